"""The parameters of `workflow`."""

from smurfq.operations.kinds import Count, JsonObject, Slots, WorkflowName
from smurfq.operations.model import Parameters
from smurfq.operations.operation import Operation


class Workflow(Parameters):
    """Runs an observing workflow over several slots."""

    workflow: WorkflowName
    """a shipped workflow, or a file below one of the site's script folders"""
    params: JsonObject | None = None
    """its own parameters"""
    slots: Slots | None = None
    """the slots to work on; else all of the site"""
    min_survivors: Count | None = None
    """it ends as failed once fewer slots than this are left; else 1"""
    max_failures: Count | None = None
    """it ends as failed once more slots than this have been dropped"""


# Not an operation of a slot, and so not in the table: it runs beside the slots, and submits operations to them.
WORKFLOW = Operation("workflow", "control", Workflow, time_limit_s=None)
