"""Describes an operation: its parameter model, lane, time limit, and the session data that it sets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pydantic.fields import FieldInfo

from smurfq.core.plain_values import native
from smurfq.core.slot import Lane
from smurfq.operations.kinds import allowed
from smurfq.operations.model import Keyword, ParameterModel, Parameters, kind_of

TASK_PREFIX: Final = "smurfq."


class _Required:
    """The marker for a parameter without a default."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()


@dataclass(frozen=True)
class Parameter:
    """A parameter, for help texts and documentation. ``default`` is in the form in which it is sent."""

    name: str
    allowed: str
    default: Any = REQUIRED
    doc: str = ""
    keyword: str | None = None

    @property
    def required(self) -> bool:
        """Return whether the parameter must be given."""
        return self.default is REQUIRED

    def to_dict(self) -> dict[str, Any]:
        """Return the parameter as a JSON object."""
        described = {"name": self.name, "required": self.required, "allowed": self.allowed, "doc": self.doc}
        return described if self.required else {**described, "default": self.default}


def parameters_of(model: type[ParameterModel]) -> tuple[Parameter, ...]:
    """Return the parameters that a model describes."""
    return tuple(_parameter(name, field) for name, field in model.model_fields.items())


def _parameter(name: str, field: FieldInfo) -> Parameter:
    return Parameter(
        field.alias or name,
        allowed(kind_of(field)),
        REQUIRED if field.is_required() else native(field.default),
        field.description or "",
        next((one.name for one in field.metadata if isinstance(one, Keyword)), None),
    )


@dataclass(frozen=True)
class Operation:
    """An operation of a slot.

    Parameters
    ----------
    leaves
        The session data that the operation sets, for the reference page.
    time_limit_s
        None if the operation may run until it is stopped, or if the site's own limit applies (``run``). A ``duration``
        that was requested is added (``time_limit_for``).
    repeatable
        Whether the operation may be repeated after a lost run: the card is then in the same state as after one run.
    process
        Whether the operation is a process, which ``stop`` ends with success.
    """

    name: str
    lane: Lane
    model: type[Parameters]
    leaves: str = "nothing"
    feed: str | None = None
    feed_fields: tuple[str, ...] = ()
    time_limit_s: float | None = 3600.0
    repeatable: bool = False
    process: bool = False

    @property
    def task_name(self) -> str:
        """Return the name of the operation's Celery task."""
        return TASK_PREFIX + self.name

    @property
    def summary(self) -> str:
        """Return a sentence that says what the operation does."""
        return self.model.__doc__ or ""

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return the parameters of the operation."""
        return parameters_of(self.model)

    @cached_property
    def keywords(self) -> tuple[Parameter, ...]:
        """Return the keywords in ``kwargs`` that are checked."""
        return parameters_of(self.model.keywords) if self.model.keywords else ()

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter of this name, or None."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)
