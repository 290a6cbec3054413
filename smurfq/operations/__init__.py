"""What a slot can do: a module a family with its parameter models, and the table of all operations.

All who submit, check, run or document an operation read it here. The functions that run are in ``smurfq.tasks``.
"""

from smurfq.operations.model import Parameters
from smurfq.operations.operation import REQUIRED, TASK_PREFIX, Operation, Parameter
from smurfq.operations.table import OPERATIONS, check, describe, operation, task_name, time_limit_for
from smurfq.operations.workflow import WORKFLOW

__all__ = [
    "OPERATIONS",
    "REQUIRED",
    "TASK_PREFIX",
    "WORKFLOW",
    "Operation",
    "Parameter",
    "Parameters",
    "check",
    "describe",
    "operation",
    "task_name",
    "time_limit_for",
]
