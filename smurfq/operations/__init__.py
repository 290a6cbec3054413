"""Defines the operations of a slot: parameter models, a module for each family, and the table of all operations.

Everything that submits, checks, runs or documents an operation uses this table. The functions are in ``smurfq.tasks``.
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
