"""The orphans of an earlier operation are ended before a run takes its card, and its record names them."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from smurfq.app import app
from smurfq.core.session import SessionRecord
from smurfq.host.operation_mark import mark_of
from smurfq.pool_child.card_lock import take_card
from smurfq.pool_child.claimed_run import ClaimedRun
from smurfq.store.connection import Client
from tests.claimed_runs import SLOT, claimed_run, workers
from tests.site.producer import bind


@pytest.fixture
def run(valkey: Client, valkey_url: str, tmp_path: Path) -> Iterator[ClaimedRun]:
    """A run that was claimed, and has not taken its card yet."""
    bind({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SLOTS": SLOT, "SMURFQ_STATE_DIR": str(tmp_path)})
    with workers() as make_worker:
        made = claimed_run(make_worker(app), app)
        app.records.start(SessionRecord(made.task_id, op_name="take_iv", slot=SLOT))
        yield made
        made.unlock()


def test_orphans_of_an_earlier_operation_of_the_card_are_ended_and_named(run: ClaimedRun) -> None:
    orphan = subprocess.Popen(["sleep", "60"])
    try:
        mark = mark_of(run.worker.lock, "an earlier session")
        resource.prlimit(orphan.pid, resource.RLIMIT_RTTIME, (mark, mark))
        take_card(run)
        assert run.lock is not None
        orphan.wait()
    finally:
        orphan.kill()
        orphan.wait()
    text = f"ended processes that an earlier operation of {SLOT} had left behind: sleep ({orphan.pid})"
    assert run.orphans == text
    assert [message for _, message in app.records.read(run.task_id).messages] == [text]
