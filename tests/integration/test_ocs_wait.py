"""The wait of an OCS client for the end of a run, against a real Valkey, without workers."""

from __future__ import annotations

from smurfq.client.connection import Connection
from smurfq.config import load
from smurfq.core import keys
from smurfq.core.session import Outcome, SessionRecord
from smurfq.ocs.wait_for_end import wait_for_end
from smurfq.store.connection import Client
from tests.integration.records import Writer, beside, until_followed
from tests.site.eventually import WITHIN_S


def test_a_wait_does_not_read_the_events_before_it(valkey: Client, valkey_url: str) -> None:
    at = Connection(load({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SLOTS": "crate1slot2"}))
    at.records.start(SessionRecord("a-run", op_name="stream", slot="crate1slot2"))
    unreadable = valkey.xadd(keys.events("a-run"), {"w": "a-writer", "n": "0", "b": "not JSON"})

    def end() -> None:
        until_followed(at)
        valkey.xdel(keys.events("a-run"), unreadable)  # the final record is read from the first event on
        Writer(at, "a-run").end(Outcome.SUCCEEDED)

    with beside(end):
        record = wait_for_end(at, "a-run", lambda: True, timeout_s=WITHIN_S, patience_s=WITHIN_S)
    assert record.outcome == Outcome.SUCCEEDED
