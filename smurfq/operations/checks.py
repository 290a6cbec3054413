"""Checks parameters against a model, and describes errors in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from smurfq.core.plain_values import shown
from smurfq.core.suggestion import suggest
from smurfq.errors import ParameterError
from smurfq.operations.model import ContradictionError, ParameterModel
from smurfq.operations.operation import Parameter, parameters_of

Model = TypeVar("Model", bound=ParameterModel)


def validate(model: type[Model], given: Mapping[str, Any], name: str, subject: str) -> Model:
    """Return ``given`` as an instance of ``model``. Errors start with ``subject`` and have ``name`` as ``operation``.

    Raises
    ------
    ParameterError
        A parameter is unknown, missing or not allowed, or contradicts another. The error reports the first problem.
    """
    known = {parameter.name: parameter for parameter in parameters_of(model)}
    for unknown in given:
        if unknown not in known:
            hint = suggest(str(unknown), known) if known else "; it takes none"
            text = f"{subject} has no parameter {unknown!r}{hint}"
            raise ParameterError(text, operation=name, parameter=str(unknown), known=list(known))
    try:
        return model.model_validate(dict(given))
    except ValidationError as cause:
        error = cause.errors(include_url=False)[0]
        text, fields = _described(error, known, given)
        raise ParameterError(f"{subject}: {text}", operation=name, **fields) from cause


def _described(
    error: ErrorDetails, known: Mapping[str, Parameter], given: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]]:
    """Return a description of the error, and the fields of the ``ParameterError``."""
    reason = error.get("ctx", {}).get("error")
    if isinstance(reason, ContradictionError):
        return str(reason), reason.fields
    parameter = known[str(error["loc"][0])]
    value = shown(given.get(parameter.name))
    if parameter.name not in given:
        what = f"is missing; it must be {parameter.allowed}"
    else:
        because = f" ({reason})" if reason and str(reason) else ""
        what = f"must be {parameter.allowed}; got {value}{because}"
    fields = {"parameter": parameter.name, "got": value, "allowed": parameter.allowed}
    return f"parameter {parameter.name} {what}", fields
