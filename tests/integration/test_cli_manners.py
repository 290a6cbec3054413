"""Priorities, locks, batches, the live table and workflows on the command line, with a real Valkey."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from smurfq.cli import main
from smurfq.client import Slot, Submission, submit_all
from smurfq.client.connection import Connection
from smurfq.config import load
from smurfq.core import session
from smurfq.core.session import Outcome
from smurfq.store.connection import Client
from tests.integration.records import Writer, serve

Cli = Callable[..., Result]
ROOT = Path(__file__).parents[2]
ONE, TWO = "crate1slot2", "crate1slot3"
ANSI = re.compile(r"\x1b")


@pytest.fixture
def environ(valkey: Client, valkey_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "SMURFQ_REDIS_URL": valkey_url,
        "SMURFQ_SLOTS": f"{ONE},{TWO}",
        "SMURFQ_STATE_DIR": str(tmp_path),
        "SMURFQ_SCRIPTS_FOLDERS": str(tmp_path),
        "SMURFQ_OWNER": "ann",
    }


@pytest.fixture
def connection(environ: dict[str, str]) -> Connection:
    return Connection(load(environ))


@pytest.fixture
def slot(connection: Connection) -> Slot:
    return Slot(ONE, connection=connection)


@pytest.fixture
def cli(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    for name in [name for name in os.environ if name.startswith("SMURFQ_") or name == "SLOT"]:
        monkeypatch.delenv(name)

    def invoke(*arguments: str, given: str | None = None, **variables: str) -> Result:
        return CliRunner(env={**environ, **variables}).invoke(main, list(arguments), input=given)

    return invoke


def test_lock_and_unlock(cli: Cli, slot: Slot) -> None:
    slot.submit("test", owner="bob")
    locked = cli("lock", "-s", "2", "-m", "by hand", "--for", "2h")
    assert locked.exit_code == 0
    assert "crate1slot2 is locked by ann until" in locked.stdout
    assert "runs of other owners that wait there and will still start: 1" in locked.stderr
    assert cli("submit", "test", "-s", "2").exit_code == 0
    for arguments in (("submit", "test", "-s", "2", "--owner", "eve"), ("lock", "-s", "2", "--owner", "eve")):
        refused = cli(*arguments)
        assert refused.exit_code == 8
        assert "locked by ann" in refused.stderr
        assert "--force" in refused.stderr
    assert cli("submit", "test", "-s", "2", SMURFQ_OWNER="eve").exit_code == 8
    assert "locked by ann" in cli("status", "-s", "2").stdout
    assert json.loads(cli("status", "--json").stdout)["slots"][0]["lock"]["note"] == "by hand"
    assert cli("unlock", "-s", "2", "--owner", "eve").exit_code == 8
    assert "ann had locked it" in cli("unlock", "-s", "2", "--owner", "eve", "--force").stdout
    assert json.loads(cli("unlock", "-s", "2", "--json").stdout)["unlocked"] is False


def test_unique_and_priorities(cli: Cli, slot: Slot) -> None:
    first = json.loads(cli("submit", "take_iv", "-s", "2", "-p", "tag=cal", "--json").stdout)
    again = cli("submit", "take_iv", "-s", "2", "-p", "tag=cal", "--unique", "waiting")
    assert again.exit_code == 8
    assert first["session_id"] in again.stderr
    assert cli("submit", "test", "-s", "2", "--priority", "urgent").exit_code == 0
    assert cli("submit", "test", "-s", "2", "--priority", "background").exit_code == 0
    lines = cli("queue", "list").stdout.splitlines()
    assert [line.split()[4:6] for line in lines[2:]] == [["urgent", "ann"], ["normal", "ann"], ["background", "ann"]]
    assert re.search(r"waiting: test \w{8} \(urgent\), take_iv \w{8}, test \w{8} \(background\)", cli("status").stdout)
    assert "by          ann" in cli("show", first["session_id"]).stdout


def test_a_batch_from_a_file_or_the_standard_input(cli: Cli, slot: Slot, tmp_path: Path) -> None:
    lines = [
        {"operation": "take_iv", "slot": ONE, "params": {"tag": "cal"}},
        {"operation": "test", "slot": "3", "priority": "urgent", "unique": True},
    ]
    text = "\n".join(map(json.dumps, lines)) + "\n\n"
    queued = json.loads(cli("batch", "-", "--json", given=text).stdout)
    assert [(one["op_name"], one["slot"], one["submitted_by"]) for one in queued] == [
        ("take_iv", ONE, "ann"),
        ("test", TWO, "ann"),
    ]
    file = tmp_path / "night.jsonl"
    file.write_text(json.dumps(lines[0]) + "\n")
    assert "1 queued" in cli("batch", str(file)).stdout
    assert len(slot.queue()) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("{", "line 1 is not JSON"),
        ('{"operation": "test", "slot": "2"}\n[]', "line 2: expected an object"),
        ('{"operation": "test", "slots": "2"}', "unknown key 'slots'; allowed are operation, slot, params"),
        ('{"operation": "test", "slot": "2", "params": []}', "params must be an object"),
        ('{"operation": "test", "slot": "2"}\n{"operation": "take_iw", "slot": "2"}', "number 2: .*take_iv"),
        ('{"operation": "test", "slot": "7"}', "crate1slot2"),
        ('{"operation": "test", "slot": "2"}\n{"operation": "test", "slot": "2", "unique": true}', "number 2: .*batch"),
    ],
)
def test_a_batch_that_is_wrong_is_rejected_as_a_whole(cli: Cli, slot: Slot, text: str, told: str) -> None:
    result = cli("batch", "-", given=text)
    assert result.exit_code == 2
    assert re.search(told, result.stderr)
    assert slot.queue() == []
    assert slot.history() == []


def busy_site(connection: Connection) -> str:
    """A slot that is tuned within a workflow and has been before, is held and locked, and has a queue; its run's id."""
    slot = Slot(ONE, connection=connection)
    serve(connection)
    now = time.time()
    earlier = slot.submit("uxm_setup")
    writer = Writer(connection, earlier.id)
    writer.start()
    writer.write(session.header(now - 900, start_time=now - 900))
    writer.end(Outcome.SUCCEEDED)
    parent = submit_workflow(connection)
    run = connection.app.send_task("smurfq.uxm_setup", kwargs={"slot": ONE}, parent_id=parent)
    told = {"number": 1, "name": "uxm_setup", "state": "running", "started": now, "ids": {ONE: run.id}, "slots": {}}
    Writer(connection, parent).write(
        session.header(now, status="running", start_time=now),
        session.data_set({"targets": [ONE, TWO], "dropped": {TWO: "no light"}, "step_1": told}, now),
    )
    writer = Writer(connection, run.id)
    writer.start()
    writer.write(session.header(now - 60, start_time=now - 60), session.stage("setup_tune", now))
    writer.write(session.message("band 3: \x1b[31m212 resonators\x1b[0m\nof 256", now))
    submit_all([Submission("take_iv", ONE), Submission("test", ONE)], connection=connection)
    slot.hold("ann", "after this one")
    slot.lock("bob", "commissioning")
    return str(run.id)


def submit_workflow(connection: Connection) -> str:
    from smurfq import workflows

    return workflows.submit("cold_start", connection=connection).id


def test_the_table_fits_eighty_columns_and_a_pipe(cli: Cli, connection: Connection) -> None:
    run = busy_site(connection)
    shown = cli("watch", "--once")
    assert shown.exit_code == 0
    assert not ANSI.search(shown.stdout)
    assert all(len(line) <= 80 for line in shown.stdout.splitlines()), shown.stdout
    first, second = re.split(rf"^(?={TWO})", shown.stdout, flags=re.MULTILINE)
    for told in ("uxm_setup", "4/7 setup_tune", run[:8], "cold_start", "step 1 uxm_setup"):
        assert told in first, told
    assert re.search(r" [12] min \d\d s +~1[1-4] min \d\d s +2\n", first)
    assert re.search(r"  held by ann \(after this one\)\n  locked by bob \(commissioning\)", first)
    assert "no worker" in second


def test_the_table_as_json(cli: Cli, connection: Connection) -> None:
    run = busy_site(connection)
    row, other = json.loads(cli("watch", "--once", "--json").stdout)
    assert (row["session_id"], row["stage_number"], row["stages"], row["waiting"]) == (run, 4, 7, 2)
    assert (row["workflow"], row["step"]) == ("cold_start", "1 uxm_setup")
    assert 700 < row["left_s"] < 900
    assert (other["alive"], other["operation"]) == (False, None)
    assert [row["slot"] for row in json.loads(cli("watch", "--once", "--json", "-s", "3").stdout)] == [TWO]


def watching(environ: dict[str, str], *arguments: str, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "smurfq", "watch", "--every", "0.1", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ, "TERM": "xterm-256color"},
        text=True,
        **more,
    )


def test_a_pipe_is_told_each_change_once(environ: dict[str, str], slot: Slot) -> None:
    with watching(environ, "-s", "2", stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert "no worker" in process.stdout.readline()
            slot.submit("test")
            assert "1 waiting" in process.stdout.readline()
            slot.lock("bob")
            assert "locked by bob" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.stdout.read() == ""
            assert process.wait(20) == 130
        finally:
            process.kill()


def test_a_terminal_has_a_live_table(environ: dict[str, str], connection: Connection, slot: Slot) -> None:
    busy_site(connection)
    leader, follower = pty.openpty()
    process = watching(environ, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    seen = ""
    try:
        deadline = time.monotonic() + 30
        released = False
        while "idle" not in seen.rpartition("SLOT")[2]:
            assert time.monotonic() < deadline, seen
            if select.select([leader], [], [], 1.0)[0]:
                seen += os.read(leader, 65536).decode(errors="replace")
            if not released and "4/7 setup_tune" in seen:
                released = True
                running = slot.running()
                assert running is not None
                Writer(connection, running.id).end(Outcome.SUCCEEDED)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    assert released
    assert "[31m212" not in seen


def test_workflows_are_listed_submitted_held_and_ended(cli: Cli, connection: Connection) -> None:
    listed = cli("workflow", "list").stdout
    for name in ("cold_start", "morning_relock", "observation", "safe_shutdown"):
        assert name in listed
    told = json.loads(cli("workflow", "submit", "cold_start", "--slot", "2", "--json").stdout)
    assert (told["workflow"], told["state"]) == ("cold_start", "queued")
    assert told["session_id"][:8] in cli("workflow", "list").stdout
    run = told["session_id"][:8]
    assert "is held before its next step by ann" in cli("workflow", "hold", run, "--owner", "ann").stdout
    assert cli("workflow", "release", run, "--owner", "eve").exit_code == 8
    assert "continues" in cli("workflow", "release", run, "--owner", "ann").stdout
    assert "had not started" in cli("workflow", "abort", run, "-m", "clouds").stdout
    assert "had already ended" in cli("workflow", "abort", run).stdout
    assert json.loads(cli("workflow", "show", run, "--json").stdout)["state"] == "aborted"
    assert cli("workflow", "follow", run).exit_code == 4


def test_a_workflow_is_shown_with_its_steps(cli: Cli, connection: Connection, slot: Slot) -> None:
    run = busy_site(connection)
    parent = connection.records.header(run).parent_id
    assert parent is not None
    shown = cli("workflow", "show", parent[:8]).stdout
    for told in ("cold_start", "crate1slot3 dropped: no light", "1 uxm_setup  running", "crate1slot2", run[:8]):
        assert told in shown, told


def test_a_workflow_shows_a_queued_run_of_its_step_as_queued(cli: Cli, connection: Connection, slot: Slot) -> None:
    parent, run = submit_workflow(connection), slot.submit("uxm_setup")
    now = time.time()
    told = {"name": "uxm_setup", "state": "running", "started": now, "ids": {ONE: run.id, TWO: "unsent"}, "slots": {}}
    Writer(connection, parent).write(session.data_set({"targets": [ONE, TWO], "step_1": told}, now))

    def shown() -> dict[str, str]:
        lines = [line.split() for line in cli("workflow", "show", parent).stdout.splitlines()]
        return {words[0]: words[1] for words in lines if words[0] in (ONE, TWO)}

    assert shown() == {ONE: "queued", TWO: "waiting"}
    writer = Writer(connection, run.id)
    writer.start()
    writer.write(session.header(now, status="running", start_time=now))
    assert shown() == {ONE: "running", TWO: "waiting"}
    (step,) = json.loads(cli("workflow", "show", parent, "--json").stdout)["steps"]
    assert step["undecided"] == {ONE: "running"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("workflow", "submit", "cold_stat"), "cold_start"),
        (("workflow", "submit", "cold_start", "-p", "nothing=1"), "nothing"),
        (("workflow", "submit", "cold_start", "--slot", "9"), "crate1slot2"),
        (("workflow", "submit", "cold_start", "--timeout", "3"), "--follow"),
        (("watch", "--slot", "9"), "crate1slot2"),
        (("submit", "test", "-s", "2", "-p", "unique=true"), "--unique"),
    ],
)
def test_wrong_arguments_are_rejected(cli: Cli, connection: Connection, arguments: tuple[str, ...], told: str) -> None:
    result = cli(*arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert not connection.redis.keys("smurfq:record:*")


def test_an_id_that_is_not_a_workflow_is_reported_as_such(cli: Cli, slot: Slot) -> None:
    run = slot.submit("test")
    for command in ("show", "abort", "hold", "follow"):
        result = cli("workflow", command, run.id)
        assert result.exit_code == 2
        assert "is not a workflow" in result.stderr


HOSTILE = "[/x][bold]\x1b[2J\x1b]0;title\x07\x9b31m\u202ebackwards\ud800\r\nnext"


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("watch", "--once"),
        ("queue", "list"),
        ("submit", "test"),
        ("submit", "test", "--owner", "bob"),
    ],
)
def test_nothing_that_others_wrote_does_anything_to_a_terminal(
    cli: Cli, slot: Slot, valkey: Client, arguments: tuple[str, ...]
) -> None:
    """Notes, owners, and what lies in a queue, whoever put it there past all checks."""
    slot.lock(owner="bob", note=HOSTILE)
    slot.hold(note=HOSTILE)
    headers = {"task": f"smurfq.{HOSTILE}", "id": HOSTILE, "smurfq_owner": HOSTILE}
    junk = json.dumps({"body": "", "headers": headers, "properties": {}})
    valkey.lpush(f"{ONE}\x06\x165", junk, b"\xff\xfe")
    result = cli(*arguments, *(() if arguments[0] in ("status", "watch") else ("--slot", ONE)))
    assert "title" in result.output, result.output
    for sign in "\x1b\x07\x9b\u202e\ud800\r":
        assert sign not in result.output, result.output
    assert "bug in smurfq" not in result.output
