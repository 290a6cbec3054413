"""Every error keeps its fields in Celery's JSON."""

from __future__ import annotations

import json
import pickle

import pytest
from celery import Celery

from smurfq import errors
from smurfq.errors import SmurfqError

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SmurfqError)]
backend = Celery(set_as_current=False, backend="cache+memory://", result_serializer="json").backend


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_it_survives_celerys_json_with_its_fields(kind: type[SmurfqError]) -> None:
    error = kind("what came; what to do", slot="crate1slot2", known=["a", 1.5, None])
    wire = json.loads(json.dumps(backend.prepare_exception(error, serializer="json")))
    back = backend.exception_to_python(wire)
    assert type(back) is kind
    assert str(back) == "what came; what to do"
    assert back.fields == {"slot": "crate1slot2", "known": ["a", 1.5, None]}
    assert back.slot == "crate1slot2"


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_it_can_be_pickled_and_says_when_it_is_raised(kind: type[SmurfqError]) -> None:
    back = pickle.loads(pickle.dumps(kind("words", {"slot": "s"})))
    assert (type(back), str(back), back.slot) == (kind, "words", "s")
    assert kind.__doc__
    assert len(kind.__mro__) <= 10


def test_a_field_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = SmurfqError("words").nothing


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.ParameterError, ValueError),
        (errors.UnknownSlotError, LookupError),
        (errors.OperationTimeLimitError, TimeoutError),
        (errors.WaitTimeoutError, TimeoutError),
        (errors.StoreUnavailableError, ConnectionError),
        (errors.RecordNotFoundError, LookupError),
    ],
)
def test_a_caller_may_catch_the_builtin(kind: type[SmurfqError], builtin: type[Exception]) -> None:
    with pytest.raises(builtin):
        raise kind("words")
