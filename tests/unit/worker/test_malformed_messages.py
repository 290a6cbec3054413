"""A worker drops messages that it cannot pass on."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from celery.worker import state

from smurfq.worker.malformed_messages import tolerant_handler


class PendingBatch:
    """A request, as Celery's bookkeeping knows it."""

    id = "a-1"


def test_a_place_that_was_taken_for_what_never_starts_is_given_back() -> None:
    """Whatever the reason: a slot's worker has one place, and would wait for it for ever."""
    before, kept, told, given_back, rejected = PendingBatch(), [], [], [], []
    state.task_reserved(before)

    def handle(_message: Any) -> None:
        kept.append(PendingBatch())
        state.task_reserved(kept[0])
        raise RecursionError("while pickling")

    message = SimpleNamespace(
        headers={"task": "smurfq.test", "id": "a-1"},
        properties={},
        content_type="application/json",
        payload=[[], {"slot": "crate1slot1"}, {}],
        body=json.dumps([[], {}, {}]),
        reject=lambda: rejected.append(True),
    )
    try:
        tolerant_handler(handle, lambda *what: told.append(what), lambda: given_back.append(True))(message)
        assert kept[0] not in state.reserved_requests
        assert before in state.reserved_requests
    finally:
        state.reset_state()
    assert given_back == rejected == [True]
    ((task_id, cause),) = told
    assert task_id == "a-1"
    assert isinstance(cause, RecursionError)
