"""The client and the command line with real workers and the real bridge."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from smurfq.client import DoneUpdate, LogUpdate, MessageUpdate, QueueUpdate, Slot, StageUpdate
from smurfq.client.connection import Connection
from smurfq.config import load
from smurfq.errors import OperationAbortedError, OperationFailedError
from tests.site.commands import smurfq
from tests.site.eventually import WITHIN_S, eventually
from tests.site.live import LiveSite
from tests.site.process_group import environ_without_site

NAME = "crate1slot2"
ROOT = Path(__file__).parents[2]
PUBLISHING = """
import json, os, socket, sys
print("arguments", sys.argv[1:])
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
address = (os.environ["SMURFPUB_UDP_HOST"], int(os.environ["SMURFPUB_UDP_PORT"]))
def publish(number, kind, payload):
    message = {"host": "h", "id": os.environ["SMURFPUB_ID"], "script": "s", "time": 1.0,
               "seq_no": number, "type": kind, "payload": payload}
    out.sendto(json.dumps(message).encode(), address)
publish(0, "session_log", "Starting data stream")
publish(1, "session_data", {"active_channels": [0, 1, 2, 3, 4]})
"""
WAITING = "import time\nprint('waits')\ntime.sleep(600)\n"


@pytest.fixture
def slot(site: LiveSite) -> Slot:
    connection = Connection(load(site.environ))
    slot = Slot(NAME, connection=connection)
    slot.release(force=True)
    return slot


def _cli(site: LiveSite, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in environ_without_site(**site.environ).items() if name != "SLOT"}
    return smurfq(environ, *arguments)


def test_a_script_is_followed_from_its_queue_to_its_end(site: LiveSite, slot: Slot) -> None:
    run = slot.submit("run", script=site.script("publishing.py", PUBLISHING), args=["--bands", "0"])
    updates = list(run.follow(timeout=WITHIN_S))
    assert "Starting data stream" in [update.text for update in updates if isinstance(update, MessageUpdate)]
    assert "arguments ['--bands', '0']\n" in "".join(u.text for u in updates if isinstance(u, LogUpdate))
    assert any(isinstance(update, StageUpdate) for update in updates)
    assert isinstance(updates[-1], DoneUpdate)
    record = updates[-1].record
    assert record.success
    assert record.data == {"active_channels": [0, 1, 2, 3, 4]}
    assert run.result(timeout=WITHIN_S) == record.to_dict() == slot.run(run.id).record().to_dict()


def test_a_failure_is_raised_as_it_was_and_its_record_stays(site: LiveSite, slot: Slot) -> None:
    run = slot.submit("run", script=site.script("failing.py", "print('about to')\nraise ValueError('no detector')"))
    with pytest.raises(OperationFailedError, match="no detector"):
        run.result(timeout=WITHIN_S)
    record = run.record()
    assert record.outcome == "failed"
    assert "about to" in record.log


def test_a_running_operation_is_aborted_and_over_when_abort_returns(site: LiveSite, slot: Slot) -> None:
    run = slot.submit("run", script=site.script("waiting.py", WAITING))
    followed = run.follow(timeout=WITHIN_S)
    next(update for update in followed if isinstance(update, LogUpdate))
    running = slot.running()
    assert running is not None
    assert running.id == run.id
    assert slot.status().running[0].record.op_name == "run"
    assert slot.abort(by="ann", reason="enough", grace_s=0.0, wait_s=WITHIN_S) == "asked"
    assert slot.running() is None
    with pytest.raises(OperationAbortedError, match="ann"):
        run.result(timeout=WITHIN_S)
    assert isinstance(list(followed)[-1], DoneUpdate)


def test_a_hold_is_confirmed_by_the_worker_and_nothing_starts_until_its_release(slot: Slot) -> None:
    assert slot.hold(owner="ann", note="swap").confirmed
    run = slot.submit("test")
    followed = run.follow(timeout=WITHIN_S)
    update = next(followed)
    assert isinstance(update, QueueUpdate)
    assert "held by ann (swap)" in update.text
    # The worker's poll that was in flight when the hold came may take the message, and gives it back.
    eventually(lambda: [item.task_id for item in slot.queue()] == [run.id], WITHIN_S)
    assert run.record().status == "queued"
    assert slot.release(owner="ann")
    assert isinstance(list(followed)[-1], DoneUpdate)
    assert run.wait(timeout=WITHIN_S).success


def test_emergency_off_aborts_the_running_operation_in_spite_of_a_hold(site: LiveSite, slot: Slot) -> None:
    running = slot.submit("run", script=site.script("waiting.py", WAITING))
    next(update for update in running.follow(timeout=WITHIN_S) if isinstance(update, LogUpdate))
    waiting = slot.submit("test")
    off = slot.emergency_off(by="ann", reason="trial")
    assert running.wait(timeout=WITHIN_S).outcome == "aborted"
    assert off.wait(timeout=WITHIN_S).op_name == "all_off"  # there is no card here: how it ends is another test's
    assert waiting.record().status == "queued"
    hold = slot.status().hold
    assert hold is not None
    assert hold.owner == "ann"
    waiting.remove()
    assert slot.release(owner="ann")


def test_a_run_that_celery_revokes_in_its_queue_is_over_for_those_who_wait(slot: Slot) -> None:
    slot.hold(owner="ann")
    run = slot.submit("test")
    slot._connection.app.control.revoke(run.id, destination=[f"smurf@{NAME}"])
    eventually(lambda: run.record().done, WITHIN_S)
    assert run.wait(timeout=WITHIN_S).outcome == "aborted"
    slot.release(owner="ann")


def test_the_command_line_runs_a_script_to_its_end(site: LiveSite, slot: Slot) -> None:
    script = site.script("publishing.py", PUBLISHING)
    done = _cli(site, "run", script, "--slot", NAME, "--", "--bands", "0")
    assert done.returncode == 0, done.stderr
    for told in ("Starting data stream", "arguments ['--bands', '0']", '"active_channels"', "succeeded"):
        assert told in done.stdout
    run = slot.history(1)[0].session_id
    assert _cli(site, "logs", run[:8]).stdout == "arguments ['--bands', '0']\n"
    failing = _cli(site, "run", site.script("exit.py", "import sys\nsys.exit(7)"), "--slot", NAME, "--json")
    assert failing.returncode == 3
    assert json.loads(failing.stdout.splitlines()[-1])["record"]["error"]["exit_code"] == 7


def test_the_command_line_shows_and_aborts_the_running_operation(site: LiveSite, slot: Slot) -> None:
    queued = json.loads(_cli(site, "run", site.script("waiting.py", WAITING), "-s", NAME, "-d", "--json").stdout)
    next(u for u in slot.run(queued["session_id"]).follow(WITHIN_S) if isinstance(u, LogUpdate))
    status = _cli(site, "status", "--slot", NAME).stdout
    assert "worker alive" in status
    assert f"runs: run {queued['session_id'][:8]} running" in status
    aborted = _cli(site, "abort", "--slot", NAME, "--grace", "0", "--wait", "-m", "enough")
    assert "it ended as aborted" in aborted.stdout
    assert _cli(site, "follow", queued["session_id"]).returncode == 4
