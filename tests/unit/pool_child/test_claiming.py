"""The parts of a claim that need no Redis; the claim itself is tested in ``tests/integration/pool_child``."""

from __future__ import annotations

import json

import pytest
from celery.app.task import Context

from smurfq.pool_child.claiming import is_claimed, kept_request
from smurfq.store.fence import Claim

ME = "smurf@crate1slot2 pid 7"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Claim("ok", ""), True),
        (Claim("claimed", ME), True),
        (Claim("claimed", "smurf@crate1slot2 pid 8"), False),
        (Claim("final", ME), False),
        (Claim("unleased", ME), False),
        (Claim("busy", ME), False),
    ],
)
def test_a_run_is_claimed_by_an_answer_or_by_one_that_was_lost(answer: Claim, expected: bool) -> None:
    assert is_claimed(answer, ME) is expected


def test_the_kept_request_is_enough_to_fail_a_chain_a_chord_and_errbacks() -> None:
    linked = {
        "chain": [{"task": "smurfq.take_noise", "options": {"task_id": "next"}}],
        "chord": {"task": "smurfq.test", "options": {"task_id": "body"}},
        "errbacks": [{"task": "a.callback"}],
        "group": "a-group",
        "group_index": 1,
        "root_id": "root",
        "parent_id": "parent",
    }
    request = Context(id="an-id", retries=2, kwargs={"slot": "s"}, delivery_info={"routing_key": "a.queue"}, **linked)
    kept = kept_request("smurfq.take_iv", request)
    assert {name: kept[name] for name in linked} == linked
    assert (kept["id"], kept["task"], kept["name"]) == ("an-id", "smurfq.take_iv", "smurfq.take_iv")
    assert (kept["retries"], kept["queue"], kept["kwargs"]) == (2, "a.queue", {"slot": "s"})
    assert json.loads(json.dumps(kept)) == kept, "it is kept in Redis as JSON"


def test_a_request_without_links_is_kept_too() -> None:
    kept = kept_request("smurfq.take_iv", Context(id="an-id"))
    assert (kept["args"], kept["kwargs"], kept["queue"], kept["chain"], kept["chord"]) == ([], {}, None, None, None)
