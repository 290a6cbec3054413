"""Which tasks have ended by Celery's metadata, from a real Valkey."""

from __future__ import annotations

import json

import pytest
from celery import states

from smurfq.core import keys
from smurfq.store.connection import Client
from smurfq.store.final_metadata import final_metadata
from smurfq.store.snapshot import meta_text


@pytest.mark.parametrize("state", sorted(states.ALL_STATES | {"PROGRESS"}))
@pytest.mark.parametrize("step", [1, -1])
def test_a_task_has_ended_as_celery_says_in_whatever_order_its_fields_are(
    valkey: Client, state: str, step: int
) -> None:
    result = {"status": "PROGRESS" if state in states.READY_STATES else "SUCCESS", "text": '"status": "SUCCESS"'}
    meta = dict(list(json.loads(meta_text("an-id", state, result, {})).items())[::step])
    valkey.set(keys.meta("an-id"), json.dumps(meta))
    assert final_metadata(valkey, ["an-id"]) == ({"an-id": meta} if state in states.READY_STATES else {})


def test_several_tasks_are_told_apart(valkey: Client) -> None:
    for task_id, state in (("a", "SUCCESS"), ("b", "PROGRESS"), ("d", "REVOKED")):
        valkey.set(keys.meta(task_id), meta_text(task_id, state, None, {}))
    found = final_metadata(valkey, ["a", "b", "c", "d"])
    assert {task_id: meta["status"] for task_id, meta in found.items()} == {"a": "SUCCESS", "d": "REVOKED"}
    assert final_metadata(valkey, []) == {}
