"""The parameters of `workflow`."""

from smurfq.operations.kinds import Count, JsonObject, Slots, WorkflowName
from smurfq.operations.model import Parameters
from smurfq.operations.operation import Operation


class Workflow(Parameters):
    """Runs an observing workflow over several slots."""

    workflow: WorkflowName
    """a workflow of smurfq, or a file below one of the site's script folders"""
    params: JsonObject | None = None
    """parameters of the workflow"""
    slots: Slots | None = None
    """slots to use; default: all slots of the site"""
    min_survivors: Count | None = None
    """the workflow fails if fewer slots than this are left; default: 1"""
    max_failures: Count | None = None
    """the workflow fails if more slots than this have been dropped"""


# This is not in the table of operations, since it runs on no slot: it submits operations to the slots.
WORKFLOW = Operation("workflow", "control", Workflow, time_limit_s=None)
