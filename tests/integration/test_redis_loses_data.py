"""`complete` is correct if Redis loses its data during a run, or a publisher's clock is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from smurfq.app import app
from smurfq.core import keys
from smurfq.core.session import SessionRecord
from smurfq.store.drain import Bridge, drain
from smurfq.tasks import run
from tests.site.bridge import HOST
from tests.site.eventually import eventually
from tests.site.live import LiveSite

SLOT = "crate1slot1"

# Sends numbered messages as pysmurf's Publisher does, up to the number that a file says.
_SCRIPT = """
import json, os, socket, time
clock = time.time
time.time = lambda: clock() + {ahead_s}
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
address = os.environ["SMURFPUB_UDP_HOST"], int(os.environ["SMURFPUB_UDP_PORT"])
host = socket.gethostname()
sent, asked = 0, 0
while asked >= 0:
    try:
        asked = int(open({asked!r}).read() or 0)
    except FileNotFoundError:
        asked = 0
    while sent < asked:
        message = dict(host=host, id=os.environ["SMURFPUB_ID"], script="test", time=time.time(), seq_no=sent,
                       type="session_log", payload=f"message {{sent}}")
        sock.sendto(json.dumps(message).encode(), address)
        sent += 1
    if asked >= 0:
        open({sent!r}, "w").write(str(sent))
    time.sleep(0.01)
"""


class Sender:
    """A script that sends as many messages as it is asked for."""

    def __init__(self, site: LiveSite, name: str, ahead_s: float = 0.0) -> None:
        self._bridge = Bridge(HOST, "127.0.0.1", int(site.environ["SMURFQ_BRIDGE_PORT"]))
        self._asked, self._sent = site.folder / f"{name}.asked", site.folder / f"{name}.sent"
        text = _SCRIPT.format(asked=str(self._asked), sent=str(self._sent), ahead_s=ahead_s)
        self.task = run.delay(slot=SLOT, script=site.script(f"{name}.py", text), args=["--a", "1"])
        eventually(lambda: app.fence.running(SLOT), what="the script runs")

    def ask(self, count: int) -> None:
        """Have it send all messages up to the one of this number."""
        new = self._asked.with_suffix(".new")
        new.write_text(str(count))
        new.replace(self._asked)

    def send(self, count: int) -> None:
        """Have it send all up to the one of this number; returns once the bridge has taken them in."""
        self.ask(count)
        eventually(lambda: self._sent.exists() and self._sent.read_text() == str(count), what=f"{count} are sent")
        eventually(lambda: drain(app.store, self._bridge, SLOT), what="the bridge has taken them in")

    def end(self) -> SessionRecord:
        """Have it end; its record."""
        self.ask(-1)

        def done() -> bool:
            header = app.records.known_headers([self.task.id]).get(self.task.id)
            return header is not None and header.done

        eventually(done, what="the script ends")
        eventually(lambda: app.fence.running(SLOT) is None, what="the slot is free")
        return app.records.read(self.task.id)


def numbered(record: SessionRecord) -> list[int]:
    """The numbers of the messages in a record."""
    return [int(text.split()[1]) for _, text in record.messages if text.startswith("message ")]


def told(record: SessionRecord) -> str:
    """What the record says of its own gaps."""
    return " ".join(text for _, text in record.messages if "not in this record" in text)


def check_header(record: SessionRecord) -> None:
    """All that the worker knows of a run is in its record."""
    assert (record.op_name, record.slot, record.status) == ("run", SLOT, "done")
    assert record.params["args"] == ["--a", "1"]
    assert record.submit_time
    assert record.start_time
    assert record.log_file
    assert record.worker["host"]
    assert record.submitted_by


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """A site whose Redis may be emptied."""
    with LiveSite(tmp_path_factory.mktemp("loss") / "site") as live:
        live.start_bridge()
        live.start_worker(SLOT)
        yield live


def restart_empty(site: LiveSite) -> None:
    """Let Redis end without saving, and start with nothing."""
    site.valkey.stop()
    shutil.rmtree(site.folder / "valkey")
    site.valkey.start()


@pytest.mark.parametrize("how", ["flushed", "restarted"])
def test_a_run_during_which_redis_is_emptied_is_not_complete(site: LiveSite, how: str) -> None:
    sender = Sender(site, f"emptied-{how}")
    sender.send(30)
    if how == "flushed":
        app.store.flushall()
    else:
        restart_empty(site)
    sender.ask(50)
    eventually(lambda: app.fence.running(SLOT), what="the worker notes again what runs")
    eventually(lambda: app.records.known_headers([sender.task.id]), what="the header is there again")
    assert app.records.header(sender.task.id).status == "running"
    sender.send(50)
    sender.send(100)
    record = sender.end()
    kept = numbered(record)
    assert kept[-50:] == list(range(50, 100)), "what comes after the note is there belongs to the run again"
    assert (record.complete, record.outcome, record.lost) == (False, "succeeded", 0)
    assert record.unrecorded == 100 - len(kept)
    assert f"{100 - len(kept)} messages" in told(record)
    assert "Redis lost its data" in told(record)
    check_header(record)
    assert [one.session_id for one in app.records.history(SLOT)] == [record.session_id]


def test_a_run_after_whose_last_message_redis_is_emptied_is_not_complete(site: LiveSite) -> None:
    sender = Sender(site, "at-the-end")
    sender.send(10)
    app.store.flushall()
    record = sender.end()
    assert (record.complete, record.outcome, numbered(record)) == (False, "succeeded", [])
    assert "Redis lost its data" in told(record)
    check_header(record)


def test_lost_messages_are_counted_although_the_header_is_there(site: LiveSite) -> None:
    sender = Sender(site, "rolled-back")
    eventually(lambda: app.records.header(sender.task.id).status == "running")
    older = app.store.dump(keys.record(sender.task.id)) or b""
    sender.send(10)
    app.store.restore(keys.record(sender.task.id), 0, older, replace=True)
    app.store.delete(keys.events(sender.task.id))
    record = sender.end()
    assert (record.complete, record.unrecorded) == (False, 10)
    assert "10 messages reached the bridge and are not in this record" in told(record)


def test_a_run_takes_its_note_back_from_one_that_has_ended(site: LiveSite) -> None:
    first = Sender(site, "forgotten")
    first.send(5)
    names = [keys.running(SLOT), keys.record(first.task.id), keys.events(first.task.id), keys.meta(first.task.id)]
    older = {name: app.store.dump(name) or b"" for name in names}
    assert first.end().complete
    second = Sender(site, "displaced")
    second.send(5)
    for name, value in older.items():  # as a Redis has it that was killed, and wrote its file a moment before
        app.store.restore(name, 0, value, replace=True)
    eventually(lambda: getattr(app.fence.running(SLOT), "task_id", None) == second.task.id, what="its note is back")
    second.send(50)
    record = second.end()
    assert numbered(record)[-45:] == list(range(5, 50))
    assert (record.outcome, record.complete) == ("succeeded", False)
    assert "Redis lost its data" in told(record)
    forgotten = app.records.read(first.task.id)
    assert numbered(forgotten) == list(range(5))
    assert (forgotten.status, forgotten.outcome) == ("done", "lost")
    assert "forgotten how it ended" in str(forgotten.error)


def test_a_message_that_arrives_between_two_runs_belongs_to_neither(site: LiveSite) -> None:
    first = Sender(site, "first")
    first.send(5)
    assert first.end().complete
    second = Sender(site, "second")
    second.send(5)
    record = second.end()
    assert (record.complete, record.unrecorded, numbered(record)) == (True, 0, list(range(5)))


@pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0])
def test_a_publisher_whose_clock_is_wrong_loses_nothing(site: LiveSite, ahead_s: float) -> None:
    sender = Sender(site, f"clock{int(ahead_s)}", ahead_s)
    sender.send(60)
    record = sender.end()
    assert numbered(record) == list(range(60))
    assert (record.complete, record.lost, record.unrecorded) == (True, 0, 0)
    assert (record.messages[0][0] - (record.start_time or 0.0)) * ahead_s > 0, "the times are the publisher's own"
