"""Priorities and locks with real workers, which reject foreign messages and harmful commands."""

from __future__ import annotations

import base64
import json
import pickle
import uuid
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from celery import chain, group

from smurfq.app import app
from smurfq.client import Slot
from smurfq.client.connection import Connection
from smurfq.config import load
from smurfq.core import keys
from smurfq.core.session import SessionRecord
from smurfq.errors import OperationFailedError, SlotLockedError
from smurfq.store.queues import list_key
from smurfq.tasks import test as trial
from smurfq.worker.remote_control import CLOSED
from tests.site.eventually import eventually
from tests.site.live import LiveSite

ONE, TWO, NOBODYS = "crate1slot1", "crate1slot2", "crate1slot3"
WITHIN_S = 60.0
SUBMITTING = """
import sys
from smurfq.client import Slot
from smurfq.tasks import test
run = Slot(sys.argv[1]).submit("test")
print("submitted", run.id, "and", test.delay(slot=sys.argv[1]).id)
"""


@pytest.fixture(scope="module")
def connection(site: LiveSite) -> Connection:
    return Connection(load(site.environ))


@pytest.fixture
def slot(connection: Connection) -> Iterator[Slot]:
    slot = Slot(TWO, connection=connection)
    slot.release(force=True)
    yield slot
    for name in (ONE, TWO, NOBODYS):
        Slot(name, connection=connection).unlock(force=True)
        Slot(name, connection=connection).release(force=True)


def ended(task_id: str) -> SessionRecord:
    """The record of a run, once it is over."""
    eventually(lambda: app.records.header(task_id).done, WITHIN_S, f"{task_id} ends")
    return app.records.read(task_id)


def test_a_chain_over_two_slots_keeps_priority_and_owner(slot: Slot) -> None:
    slot.hold("ann")
    result = chain(trial.si(slot=ONE), group(trial.si(slot=TWO), trial.si(slot=TWO)), trial.si(slot=ONE)).apply_async(
        priority="urgent", owner="ann"
    )
    Slot(TWO, connection=slot._connection).lock("bob")  # accepted before: goes on
    eventually(lambda: len(slot.queue()) == 2, WITHIN_S)
    assert [(item.priority, item.headers["smurfq_owner"]) for item in slot.queue()] == [(0, "ann")] * 2
    with pytest.raises(SlotLockedError):
        trial.delay(slot=TWO)
    slot.release("ann")
    record = result.get(timeout=WITHIN_S)
    assert record["submitted_by"] == "ann"


def test_a_script_submits_in_the_name_of_who_submitted_it(site: LiveSite, slot: Slot) -> None:
    other = Slot(NOBODYS, connection=slot._connection)
    other.lock("night")
    script = site.script("submitting.py", SUBMITTING)
    mine = slot.submit("run", owner="night", script=script, args=[NOBODYS]).wait(WITHIN_S)
    assert mine.success, mine.error
    waiting = other.queue()
    assert [item.headers["smurfq_owner"] for item in waiting] == ["night"] * 2
    for item in waiting:
        other.run(item.task_id).remove()
    theirs = slot.submit("run", owner="eve", script=script, args=[NOBODYS]).wait(WITHIN_S)
    assert theirs.outcome == "failed"
    assert "locked by night; a submission by eve is rejected" in str(theirs.error)
    assert other.queue() == []


def test_a_refused_step_of_a_chain_fails_the_rest_and_not_the_step_before(slot: Slot) -> None:
    slot.hold("ann")
    chained = chain(trial.si(slot=ONE), trial.si(slot=TWO).set(unique=True), trial.si(slot=ONE)).apply_async()
    waits = slot.submit("test")  # in the way of the second step, which is sent when the first is over
    with pytest.raises(Exception, match=r"waiting there already|is queued|already"):
        chained.get(timeout=WITHIN_S)
    first = ended(chained.parent.parent.id)
    assert first.success
    waits.remove()
    slot.release("ann")


def test_commands_that_undo_a_worker_s_guarantees_are_rejected(site: LiveSite, slot: Slot) -> None:
    node = f"smurf@{TWO}"
    before = children(site)
    arguments: dict[str, dict[str, Any]] = {
        "pool_grow": {"n": 2},
        "pool_shrink": {"n": 1},
        "pool_restart": {"reload": True},
        "autoscale": {"max": 4, "min": 2},
        "add_consumer": {"queue": ONE},
        "cancel_consumer": {"queue": TWO},
        "rate_limit": {"task_name": "smurfq.test", "rate_limit": "1/h"},
        "time_limit": {"task_name": "smurfq.test", "hard": 1, "soft": 1},
    }
    assert arguments.keys() == CLOSED.keys()
    for name, given in arguments.items():
        answer = app.control.broadcast(name, given, destination=[node], reply=True, limit=1, timeout=WITHIN_S)
        assert "rejected by smurfq" in answer[0][node]["error"], name
    (queues,) = app.control.inspect([node], timeout=WITHIN_S, limit=1).active_queues().values()
    assert sorted(queue["name"] for queue in queues) == [TWO, f"{TWO}.emergency"]
    assert slot.submit("test").wait(WITHIN_S).success
    assert children(site) == before


def children(site: LiveSite) -> list[int]:
    """The pool processes of the slot's control worker; the spare process of an operation is a child of theirs."""
    return sorted(child.pid for child in psutil.Process(site.worker_pid(TWO)).children())


def test_a_worker_tells_its_configuration_without_passwords(site: LiveSite) -> None:
    node = f"smurf@{TWO}"
    (conf,) = app.control.inspect([node], timeout=WITHIN_S, limit=1).conf(with_defaults=True).values()
    assert conf["broker_url"].startswith("redis://")
    assert "task_queues" in conf


class Planted:
    """An object whose unpickling leaves a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (open, (self.path, "w"))


def message(task: str, body: bytes, content_type: str = "application/json", task_id: str | None = None) -> str:
    """A message as kombu's Redis transport has it, with any body under any name."""
    headers = {"lang": "py", "task": task, "id": task_id or str(uuid.uuid4()), "root_id": None, "parent_id": None}
    properties = {
        "correlation_id": headers["id"],
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": TWO},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": str(uuid.uuid4()),
    }
    encoding = "utf-8" if content_type == "application/json" else "binary"
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": encoding,
            "content-type": content_type,
            "headers": headers,
            "properties": properties,
        }
    )


def body(kwargs: dict[str, Any], *args: Any) -> bytes:
    """A task's body."""
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return json.dumps([list(args), kwargs, embed]).encode()


def test_messages_from_outside_run_nothing_and_stop_nothing(site: LiveSite, slot: Slot) -> None:
    planted = site.folder / f"planted-{uuid.uuid4().hex}"
    running = slot.submit("run", script=site.script("sleeping.py", "import time\nprint('on')\ntime.sleep(3)\n"))
    eventually(lambda: running.header().status == "running", WITHIN_S)
    inner: dict[str, Any] = {
        "task": "smurfq.test",
        "args": [],
        "kwargs": {"slot": TWO},
        "options": {},
        "subtask_type": None,
    }
    pickled = pickle.dumps(([Planted(str(planted))], {}, {}))
    yaml = f"!!python/object/apply:builtins.open ['{planted}', 'w']".encode()
    hostile = [
        message("smurfq.test", pickled, "application/x-python-serialize"),
        message("smurfq.test", yaml, "application/x-yaml"),
        message("os.system", body({}, f"touch {planted}")),
        message("celery.starmap", body({}, inner, [[]])),
        message("celery.map", body({}, inner, [None])),
        message("celery.backend_cleanup", body({})),
        message("celery.starmap", body({}, inner, [[]]), task_id=running.id),
        message("smurfq.test", body({"slot": TWO}), task_id=running.id),
        message("smurfq.test", body({"slot": ONE}), task_id=running.id),
        message("smurfq.all_off", body({"slot": "crate9slot9"}), task_id=running.id),
        message("smurfq.run", body({"slot": TWO, "script": "/etc/passwd"})),
        message("smurfq.test", b"{"),
        message("smurfq.test", body({"slot": ONE})),
        "garbage",
        "{}",
        "[]",
        '{"body": 1, "headers": {"task": "smurfq.test"}, "properties": {}}',
        "\x80\x04",
        "[" * 5000,
    ]
    app.store.lpush(list_key(TWO, 0), *hostile)
    assert len(slot.queue()) >= len(hostile) - 1  # shown, though they cannot be read
    assert running.wait(WITHIN_S).success, running.record().error
    after = slot.submit("test").wait(WITHIN_S)
    assert after.success
    eventually(lambda: app.AsyncResult(running.id).state == "SUCCESS", WITHIN_S)
    assert not planted.exists()
    assert slot.queue() == []
    eventually(lambda: app.store.hlen("unacked") == 0 and app.fence.running(TWO) is None, WITHIN_S)
    (forged,) = [one for one in slot.history(3) if one.op_name == "run" and one.session_id != running.id]
    assert "does not lie below" in str(forged.error)
    assert app.store.get(keys.running(ONE)) is None
    with pytest.raises(OperationFailedError, match=r"Errno 2"):
        slot.submit("run", script=site.script("missing.py", "open('/does/not/exist')")).result(WITHIN_S)
