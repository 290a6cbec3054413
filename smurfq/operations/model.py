"""The base class of all parameter models, and the check of sodetlib's keywords, which they share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator, model_validator
from pydantic.fields import FieldInfo

from smurfq.core.plain_values import native, shown
from smurfq.operations.kinds import JsonObject, Tag, allowed

PassedOn = Annotated[JsonObject | None, Field(description="further keywords for the sodetlib function")]
G3Tag = Annotated[Tag | None, Field(description="sodetlib's g3_tag; overrides kwargs")]
PassedToAnalysis = Annotated[JsonObject | None, Field(description="keywords for the analysis")]


@dataclass(frozen=True)
class Keyword:
    """Metadata of a parameter: the name of the corresponding keyword of sodetlib's function."""

    name: str


class ContradictionError(ValueError):
    """Each parameter is allowed, but some contradict each other. ``fields`` are those of a ``ParameterError``."""

    def __init__(self, text: str, **fields: Any) -> None:
        super().__init__(text)
        self.fields = fields


class ParameterModel(BaseModel):
    """The parameters of an operation or of a workflow."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    @field_validator("*", mode="before")
    @classmethod
    def _native(cls, value: Any) -> Any:
        try:
            return native(value)
        except (TypeError, OverflowError, RecursionError) as cause:
            raise ValueError(str(cause)) from cause


def _add_keywords(schema: dict[str, Any], model: type[Parameters]) -> None:
    """Add the keywords to the JSON Schema of ``kwargs``."""
    if model.keywords:
        as_object, _ = schema["properties"]["kwargs"]["anyOf"]
        as_object["properties"] = model.keywords.model_json_schema()["properties"]


class Parameters(ParameterModel):
    """The parameters of an operation. The docstring of the class is the operation's summary.

    An operation accepts keywords of a sodetlib function in ``kwargs``. ``keywords`` is the model of those keywords with
    which the function would fail in the middle of its work if they had wrong values. Their defaults are sodetlib's.
    """

    model_config = ConfigDict(use_attribute_docstrings=True, json_schema_extra=_add_keywords)
    keywords: ClassVar[type[Parameters] | None] = None

    @model_validator(mode="after")
    def _check_kwargs(self) -> Self:
        for keyword, value in (getattr(self, "kwargs", None) or {}).items():
            _check_conflict(self, keyword, value)
            _check_keyword(self.keywords, keyword, value)
        return self


@cache
def partial(model: type[Parameters]) -> type[Parameters]:
    """Return ``model`` with every field optional. ``model_fields_set`` contains the fields that were given."""
    fields: dict[str, Any] = {name: (kind_of(field), None) for name, field in model.model_fields.items()}
    return create_model(f"Partial{model.__name__}", __base__=model, __module__=model.__module__, **fields)


def kind_of(field: FieldInfo) -> Any:
    """Return the type of a field with its metadata."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _check_conflict(checked: Parameters, keyword: str, value: Any) -> None:
    """Reject a keyword that smurfq sets itself, or that contradicts a parameter."""
    if keyword in ("S", "cfg"):
        raise _conflict(keyword, "which smurfq sets itself; omit it")
    model = type(checked)
    for name, field in model.model_fields.items():
        own = name if name != "tag" else None
        also = next((one.name for one in field.metadata if isinstance(one, Keyword)), None)
        if keyword in (own, also) and not _is_same(model, name, value, getattr(checked, name)):
            why = f"got {shown(value)}; give it as the parameter {name} instead"
            raise _conflict(keyword, why)


def _is_same(model: type[Parameters], name: str, value: Any, checked: Any) -> bool:
    try:
        return value is not None and getattr(partial(model).model_validate({name: value}), name) == checked
    except ValidationError:
        return False


def _check_keyword(keywords: type[Parameters] | None, keyword: str, value: Any) -> None:
    """Reject a value with which sodetlib would fail."""
    field = keywords.model_fields.get(keyword) if keywords else None
    if keywords is None or field is None:
        return
    try:
        partial(keywords).model_validate({keyword: value})
    except ValidationError as cause:
        words = allowed(kind_of(field))
        text = f"{keyword} in kwargs must be {words}; got {shown(value)}"
        raise ContradictionError(text, parameter="kwargs", got=shown(value), allowed=words) from cause


def _conflict(keyword: str, why: str) -> ContradictionError:
    return ContradictionError(f"kwargs may not set {keyword!r}, {why}", parameter="kwargs", got=keyword)
