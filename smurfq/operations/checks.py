"""Checks parameters against a model, and says in words what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from smurfq.core.nearest_name import nearest
from smurfq.core.plain_values import shown
from smurfq.errors import ParameterError
from smurfq.operations.model import ContradictionError, ParameterModel
from smurfq.operations.operation import parameters_of

Model = TypeVar("Model", bound=ParameterModel)


def validate(model: type[Model], given: Mapping[str, Any], name: str, subject: str) -> Model:
    """Return ``given`` as an instance of ``model``; a message begins with ``subject``, ``name`` is its ``operation``.

    Raises
    ------
    ParameterError
        A parameter is unknown; or else one is missing or not allowed, the first of the model's; or else one contradicts
        another.
    """
    known = {parameter.name: parameter for parameter in parameters_of(model)}
    for unknown in given:
        if unknown not in known:
            hint = nearest(str(unknown), known) if known else "; it takes none"
            raise ParameterError(
                f"{subject} has no parameter {unknown!r}{hint}",
                operation=name,
                parameter=str(unknown),
                known=list(known),
            )
    try:
        return model.model_validate(dict(given))
    except ValidationError as cause:
        error = cause.errors(include_url=False)[0]
        reason = error.get("ctx", {}).get("error")
        if isinstance(reason, ContradictionError):
            raise ParameterError(
                f"{subject}: {reason}",
                operation=name,
                parameter=reason.parameter,
                got=reason.got,
                allowed=reason.allowed,
            ) from cause
        parameter = known[str(error["loc"][0])]
        value = given.get(parameter.name)
        if error["type"] == "missing" and len(error["loc"]) == 1:
            what = f"is missing; it must be {parameter.allowed}"
        else:
            because = f" ({reason})" if isinstance(reason, ValueError) and str(reason) else ""
            what = f"must be {parameter.allowed}; got {shown(value)}{because}"
        raise ParameterError(
            f"{subject}: parameter {parameter.name} {what}",
            operation=name,
            parameter=parameter.name,
            got=shown(value),
            allowed=parameter.allowed,
        ) from cause
