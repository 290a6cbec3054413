"""The table of operations, and the check of their parameters.

Tasks, clients, the CLI and the documentation read it. The functions that run are in ``smurfq.tasks``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from smurfq.core.suggestion import suggest
from smurfq.errors import UnknownOperationError
from smurfq.operations import bias, bias_steps, iv, noise, run, setup, state, stream
from smurfq.operations.checks import validate
from smurfq.operations.model import partial as partial_model
from smurfq.operations.operation import TASK_PREFIX, Operation
from smurfq.operations.workflow import WORKFLOW

_STREAM_MARGIN_S: Final = 120.0
_TABLE: Final = (
    run.RUN,
    setup.UXM_SETUP,
    setup.UXM_RELOCK,
    noise.TAKE_NOISE,
    bias_steps.TAKE_BGMAP,
    iv.TAKE_IV,
    bias_steps.TAKE_BIAS_STEPS,
    bias_steps.TAKE_BIAS_WAVES,
    bias.OVERBIAS_TES,
    bias.SET_BIASES,
    bias.ZERO_BIASES,
    bias.BIAS_DETS,
    bias.ALL_OFF,
    stream.STREAM,
    state.CHECK_STATE,
    state.RESTART_RSSI,
    state.TEST,
)

OPERATIONS: Final[Mapping[str, Operation]] = {operation.name: operation for operation in _TABLE}
_KNOWN: Final[Mapping[str, Operation]] = {**OPERATIONS, WORKFLOW.name: WORKFLOW}


def task_name(operation_name: str) -> str:
    """Return the name of the Celery task of an operation."""
    return TASK_PREFIX + operation_name


def operation(name: str) -> Operation:
    """Return the operation of this name, or of this task name.

    Raises
    ------
    UnknownOperationError
        There is no such operation. The message names the nearest one, or all.
    """
    found = _KNOWN.get(name.removeprefix(TASK_PREFIX)) if isinstance(name, str) else None
    if found is None:
        hint = suggest(str(name).removeprefix(TASK_PREFIX), OPERATIONS)
        raise UnknownOperationError(f"no operation is called {name!r}{hint}", got=name, known=list(OPERATIONS))
    return found


def check(operation_name: str, params: Mapping[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """Check parameters, and return them in the form in which they are sent, with defaults. None selects the default.

    With ``partial``, only the given parameters are checked: no defaults are added, and none may be missing.

    Raises
    ------
    ParameterError
        A parameter is unknown, missing, of the wrong type or out of range, or contradicts another.
    UnknownOperationError
        ``operation_name`` is not the name of an operation.
    """
    wanted = operation(operation_name)
    unknown = [name for name in params if wanted.parameter(name) is None]
    given = {name: value for name, value in params.items() if value is not None or name in unknown}
    model = partial_model(wanted.model) if partial else wanted.model
    checked = validate(model, given, wanted.name, wanted.name)
    return {name: value for name, value in checked if not partial or name in given}


def time_limit_for(operation_name: str, params: Mapping[str, Any]) -> float | None:
    """Return the time limit of a run with these parameters, in seconds; None as in ``Operation.time_limit_s``."""
    limit_s, duration_s = operation(operation_name).time_limit_s, params.get("duration")
    if duration_s is None:
        return limit_s
    return (_STREAM_MARGIN_S if limit_s is None else limit_s) + float(duration_s)


def describe() -> list[dict[str, Any]]:
    """Return the whole table in JSON types, for help texts, documentation and clients in other languages."""
    return [
        {
            "name": item.name,
            "task": item.task_name,
            "lane": item.lane,
            "summary": item.summary,
            "parameters": [parameter.to_dict() for parameter in item.parameters],
            "keywords": [{"name": one.name, "allowed": one.allowed, "doc": one.doc} for one in item.keywords],
            "schema": item.model.model_json_schema(),
            "leaves": item.leaves,
            "feed": item.feed,
            "feed_fields": list(item.feed_fields),
            "time_limit_s": item.time_limit_s,
            "repeatable": item.repeatable,
            "process": item.process,
        }
        for item in OPERATIONS.values()
    ]
