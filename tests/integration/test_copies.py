"""Duplicate copies of a message are never executed, and do not change the first one's end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery.exceptions import ChordError
from celery.result import AsyncResult

from smurfq.app import app
from smurfq.core import keys
from smurfq.errors import OperationLostError
from smurfq.store.queues import Waiting
from smurfq.tasks import run
from smurfq.tasks import test as trial
from tests.integration.records import error_of
from tests.site.eventually import eventually
from tests.site.gate import Gate
from tests.site.live import LiveSite

SLOT, OTHER, UNSERVED = "crate1slot1", "crate1slot2", "crate1slot4"


@pytest.fixture
def journal(site: LiveSite, tmp_path: Path) -> Path:
    site.script("noting.py", "import sys\nwith open(sys.argv[1], 'a') as journal:\n    journal.write('begun\\n')\n")
    return tmp_path / "journal"


@pytest.fixture
def busy(site: LiveSite, request: pytest.FixtureRequest) -> Iterator[Gate]:
    """What the slot runs until it is let go; meanwhile its worker takes nothing."""
    gate = site.gate(request.node.name)
    task = run.delay(slot=SLOT, script=gate.script)
    eventually(lambda: app.records.read(task.id).log, what="it runs")
    yield gate
    gate.open()


def submit(site: LiveSite, journal: Path, slot: str) -> tuple[AsyncResult, Waiting]:
    """A script that says so when it runs, and its message."""
    task = run.delay(slot=slot, script=str(site.scripts / "noting.py"), args=[str(journal)])
    return task, next(waiting for waiting in app.waiting.waiting(slot) if waiting.task_id == task.id)


def passed_by(slot: str) -> None:
    """Return once a slot has dealt with all that was in its queue."""
    assert trial.delay(slot=slot).get(timeout=60)["success"]


def test_a_copy_in_the_same_queue_is_not_run(site: LiveSite, journal: Path, busy: Gate) -> None:
    task, message = submit(site, journal, SLOT)
    app.store.rpush(message.key, message.text, message.text)
    busy.open()
    assert task.get(timeout=60)["success"]
    app.store.rpush(message.key, message.text)
    passed_by(SLOT)
    assert journal.read_text() == "begun\n"
    assert AsyncResult(task.id, app=app).state == "SUCCESS"


def test_a_copy_in_another_slots_queue_leaves_the_first_to_its_own(site: LiveSite, journal: Path) -> None:
    task, message = submit(site, journal, UNSERVED)
    app.store.rpush(message.key.replace(UNSERVED, OTHER), message.text)
    passed_by(OTHER)
    assert not journal.exists()
    assert AsyncResult(task.id, app=app).state == "PENDING"
    assert app.records.header(task.id).status == "queued"
    assert app.waiting.remove(message)
    app.fail_waiting(message)


def test_the_record_ends_if_celery_fails_a_task_before_it_starts(site: LiveSite, journal: Path, busy: Gate) -> None:
    """As the body of a chord, one of whose members fails while the body is being sent."""
    task, _ = submit(site, journal, SLOT)
    app.backend.mark_as_failure(task.id, ChordError("a member failed"))
    busy.open()
    passed_by(SLOT)
    record = app.records.read(task.id)
    assert (record.status, record.outcome) == ("done", "failed")
    assert "a member failed" in error_of(record)["message"]
    assert not journal.exists()


def test_a_run_that_redis_lost_is_not_repeated(site: LiveSite, journal: Path, busy: Gate) -> None:
    """As by one that was killed and has lost its last second: the message is back, the claim is not."""
    task, message = submit(site, journal, SLOT)
    busy.open()
    assert task.get(timeout=60)["success"]
    claim = keys.claim(task.id, "smurfq.run", 0)
    app.store.delete(claim, keys.meta(task.id), keys.record(task.id), keys.events(task.id), keys.data(task.id))
    app.store.rpush(message.key, message.text)
    with pytest.raises(OperationLostError, match="not run again"):
        AsyncResult(task.id, app=app).get(timeout=60)
    eventually(lambda: app.records.header(task.id).outcome == "lost", what="the record says so too")
    assert journal.read_text() == "begun\n"
