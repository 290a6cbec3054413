"""The command line with a real Valkey: its output and exit codes."""

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
from smurfq.client import Slot
from smurfq.client.connection import Connection
from smurfq.config import load
from smurfq.core import session
from smurfq.core.session import Outcome
from smurfq.store.bridge import BridgeBoard, Counters, Health
from smurfq.store.connection import Client
from smurfq.store.feeds import Feeds
from tests.integration.records import Writer, beside, serve, until_followed
from tests.site.bridge import BRIDGE_KEY, HOST
from tests.site.eventually import WITHIN_S, eventually
from tests.site.ports import free_port

Cli = Callable[..., Result]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def environ(valkey: Client, valkey_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "SMURFQ_REDIS_URL": valkey_url,
        "SMURFQ_SLOTS": "crate1slot2,crate1slot3",
        "SMURFQ_STATE_DIR": str(tmp_path),
    }


@pytest.fixture
def connection(environ: dict[str, str]) -> Connection:
    return Connection(load(environ))


@pytest.fixture
def slot(connection: Connection) -> Slot:
    return Slot("crate1slot2", connection=connection)


@pytest.fixture
def cli(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    for name in [name for name in os.environ if name.startswith("SMURFQ_") or name == "SLOT"]:
        monkeypatch.delenv(name)

    def invoke(*arguments: str, **variables: str) -> Result:
        return CliRunner(env={**environ, **variables}).invoke(main, list(arguments))

    return invoke


def _end(connection: Connection, run_id: str, outcome: str = "succeeded", **more: Any) -> None:
    writer = Writer(connection, run_id)
    writer.start()
    for event in more.get("events", ()):
        writer.write(event)
    writer.end(Outcome(outcome), more.get("error"))


def test_submit_writes_the_id_and_what_it_waits_for(cli: Cli, slot: Slot) -> None:
    result = cli("submit", "take_iv", "-s", "crate1slot2", "-p", "tag=cal", "--priority", "urgent")
    assert result.exit_code == 0
    (waiting,) = slot.queue()
    assert (waiting.kwargs["tag"], waiting.priority) == ("cal", 0)
    assert waiting.task_id in result.output
    assert "no worker serves crate1slot2" in result.output
    assert f"smurfq follow {waiting.task_id[:8]}" in result.output


def test_submit_for_scripts(cli: Cli, slot: Slot) -> None:
    told = json.loads(cli("submit", "test", "--json", SLOT="2").stdout)
    assert [item.task_id for item in slot.queue()] == [told["session_id"]]
    assert (told["status"], told["slot"]) == ("queued", "crate1slot2")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("submit", "take_iw"), "take_iv"),
        (("submit", "take_iv", "-p", "tagg=cal"), "tag"),
        (("submit", "set_biases", "-p", "bias=99"), "bias"),
        (("submit", "set_biases"), "bias"),
    ],
)
def test_a_request_that_is_wrong_is_rejected(cli: Cli, slot: Slot, arguments: tuple[str, ...], told: str) -> None:
    result = cli(*arguments, SLOT="2")
    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.splitlines()) <= 2
    assert slot.queue() == []


def test_run_sends_the_whole_path_and_what_stands_after_the_dashes(cli: Cli, slot: Slot) -> None:
    result = cli("run", "a/tune.py", "-s", "2", "--log", "no", "--detach", "--", "--bands", "0", "-x")
    assert result.exit_code == 0
    (waiting,) = slot.queue()
    assert waiting.kwargs == {
        "script": str(Path.cwd() / "a/tune.py"),
        "args": ["--bands", "0", "-x"],
        "log": False,
        "slot": "crate1slot2",
    }


def test_submit_can_follow(cli: Cli, slot: Slot, connection: Connection) -> None:
    def work() -> None:
        _end(connection, eventually(slot.queue)[0].task_id, "aborted")

    with beside(work):
        result = cli("submit", "test", "-s", "2", "--follow", "--json", "--timeout", "60")
    assert result.exit_code == 4
    assert json.loads(result.stdout.splitlines()[-1])["record"]["outcome"] == "aborted"


def test_run_follows_and_shows_what_the_script_prints(cli: Cli, slot: Slot, connection: Connection) -> None:
    def work() -> None:
        waiting = eventually(slot.queue)[0]
        _end(connection, waiting.task_id, events=[session.log_text("step 1\nstep 2", 1.0)])

    with beside(work):
        result = cli("run", "/scripts/a.py", "-s", "2", "--log", "out.log")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-3:-1] == ["step 1", "step 2"]
    (record,) = slot.history()
    assert record.params == {"script": "/scripts/a.py", "args": [], "log": str(Path.cwd() / "out.log")}


@pytest.mark.parametrize(("outcome", "code"), [("succeeded", 0), ("failed", 3), ("aborted", 4), ("lost", 5)])
def test_follow_ends_with_the_run_and_its_outcome(
    cli: Cli, slot: Slot, connection: Connection, outcome: str, code: int
) -> None:
    run = slot.submit("test")
    error = None if outcome == "succeeded" else {"type": "OperationFailedError", "message": "no detector"}
    events = [session.message("hello", 1.0), session.stage("noise", 2.0), session.data_set({"a": 1}, 3.0)]
    with beside(
        lambda: until_followed(connection), lambda: _end(connection, run.id, outcome, events=events, error=error)
    ):
        result = cli("follow", run.id[:10])
    assert result.exit_code == code
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["test", "on", "crate1slot2", run.id]
    assert [line[10:] for line in lines[1:] if re.match(r"\d\d:\d\d:\d\d", line)] == [
        "next in the queue of crate1slot2; no worker serves crate1slot2: `smurfq worker --slot crate1slot2`",
        "running",
        "hello",
        "stage noise",
        "data a",
    ]
    assert any(line.startswith(outcome) for line in lines)
    assert ("no detector" in result.stdout) == (outcome != "succeeded")
    assert ('"a": 1' in result.stdout) == (outcome == "succeeded")
    assert "\x1b" not in result.stdout


def test_follow_for_scripts_is_json_lines(cli: Cli, slot: Slot, connection: Connection) -> None:
    run = slot.submit("test")
    _end(connection, run.id, "failed", events=[session.log_text("out\n", 1.0)])
    result = cli("follow", run.id, "--json")
    assert result.exit_code == 3
    updates = [json.loads(line) for line in result.stdout.splitlines()]
    assert [update["kind"] for update in updates] == ["status", "log", "done"]
    assert updates[-1]["record"]["outcome"] == "failed"
    assert updates[-1]["record"]["session_id"] == run.id


def test_follow_gives_up_in_time(cli: Cli, slot: Slot) -> None:
    run = slot.submit("test")
    result = cli("follow", run.id, "--timeout", "0.2")
    assert result.exit_code == 6
    assert "next in the queue" in result.stderr
    assert f"smurfq abort {run.id[:8]}" in result.stderr


def test_show_and_history(cli: Cli, slot: Slot, connection: Connection) -> None:
    first, second = slot.submit("test"), Slot("crate1slot3", connection=connection).submit("take_iv", tag="cal")
    _end(connection, first.id, "failed", events=[session.message("hello", 1.0)], error={"type": "X", "message": "no"})
    shown = cli("show", first.id[:8])
    assert shown.exit_code == 0
    assert "hello" in shown.output
    assert "X: no" in shown.output
    assert json.loads(cli("show", first.id, "--json").stdout) == first.record().to_dict()
    both = json.loads(cli("history", "--json").stdout)
    assert [item["session_id"] for item in both] == [second.id, first.id]
    assert [item["outcome"] for item in both] == [None, "failed"]
    assert "messages" not in both[0]
    one = cli("history", "--slot", "2").stdout.splitlines()
    assert len(one) == 2
    assert first.id[:8] in one[1]
    assert len(json.loads(cli("history", "-n", "1", "--json").stdout)) == 1
    (iv,) = json.loads(cli("history", "--operation", "take_iv", "--json").stdout)
    assert iv["session_id"] == second.id
    assert cli("history", "--slot", "2", "-o", "smurfq.take_iv").stdout == "no such runs\n"
    assert cli("history", "--before", "2020-01-01 12:00").stdout == "no such runs\n"
    assert len(json.loads(cli("history", "--before", "2100-01-01", "--json").stdout)) == 2
    wrong = cli("history", "-o", "take_ivy")
    assert wrong.exit_code == 2
    assert "take_ivy" in wrong.stderr


@pytest.mark.parametrize("command", ["show", "follow", "logs", "abort", "stop"])
def test_an_id_that_is_not_known_is_not_found(cli: Cli, command: str) -> None:
    result = cli(command, "abcdef")
    assert result.exit_code == 9
    assert "smurfq history" in result.stderr


def test_an_id_that_is_cut_too_short_is_rejected(cli: Cli, slot: Slot) -> None:
    for _ in range(17):  # of 17 ids two begin alike
        slot.submit("test")
    starts = [item.task_id[0] for item in slot.queue()]
    twice = next(start for start in starts if starts.count(start) > 1)
    assert "record ids begin" in cli("show", twice).stderr


def test_logs_are_whole_where_the_file_is_here(cli: Cli, slot: Slot, connection: Connection, tmp_path: Path) -> None:
    file = tmp_path / "run.log"
    file.write_text("all\nof it\n")
    run = slot.submit("test")
    events = [session.header(1.0, log_file=str(file)), session.log_text("of it\n", 2.0)]
    _end(connection, run.id, events=events)
    assert cli("logs", run.id).stdout == "all\nof it\n"
    assert json.loads(cli("logs", run.id, "--json").stdout)["whole"] is True
    file.unlink()
    tail = cli("logs", run.id)
    assert tail.stdout == "of it\n"
    assert str(file) in tail.stderr
    assert json.loads(cli("logs", run.id, "--json").stdout)["whole"] is False


def test_logs_can_be_followed(cli: Cli, slot: Slot, connection: Connection) -> None:
    run = slot.submit("test")
    events = [session.log_text("one\ntw", 1.0), session.message("not this", 2.0), session.log_text("o\n", 3.0)]
    with beside(lambda: until_followed(connection), lambda: _end(connection, run.id, "failed", events=events)):
        result = cli("logs", run.id, "--follow")
    assert (result.exit_code, result.stdout) == (0, "one\ntwo\n")


def test_status(cli: Cli, slot: Slot, connection: Connection) -> None:
    text = cli("status").stdout
    assert f"bridge  {HOST} is not running" in text
    assert "no worker" in text
    run = slot.submit("test")
    writer = Writer(connection, run.id)
    writer.start()
    writer.message("hello")
    serve(connection)
    slot.hold("ann", "swap")
    slot.submit("take_iv")
    counters = Counters(received=5, lost=2)
    BridgeBoard(connection.redis, HOST).show(Health(HOST, 7, "h", 1.0, "127.0.0.1:8200", 1, counters))
    text = cli("status", "--slot", "2").stdout
    for told in ("127.0.0.1:8200", "5 received", "2 lost", "worker alive", "held by ann", "runs: test", "'hello'"):
        assert told in text
    assert "waiting: take_iv" in text
    assert "crate1slot3" not in text
    told = json.loads(cli("status", "--json").stdout)
    assert told["bridges"][HOST]["counters"]["lost"] == 2
    assert [item["slot"] for item in told["slots"]] == ["crate1slot2", "crate1slot3"]
    assert told["slots"][0]["running"][0]["session_id"] == run.id


def test_queue_list_move_and_remove(cli: Cli, slot: Slot) -> None:
    assert cli("queue", "list").stdout == "nothing waits\n"
    first, second = slot.submit("test"), slot.submit("take_iv", tag="cal")
    lines = cli("queue", "list").stdout.splitlines()
    assert [line.split()[:2] for line in lines[2:]] == [["1", first.id[:8]], ["2", second.id[:8]]]
    assert '"tag": "cal"' in lines[3]
    assert cli("queue", "move", second.id[:8]).exit_code == 0
    listed = json.loads(cli("queue", "list", "--json").stdout)
    assert [item["session_id"] for item in listed["crate1slot2"]] == [second.id, first.id]
    assert cli("queue", "remove", first.id, "-m", "enough").exit_code == 0
    assert first.record().outcome == "aborted"
    again = cli("queue", "remove", first.id)
    assert again.exit_code == 2
    assert "ended as aborted" in again.stderr


def test_stop_and_abort(cli: Cli, slot: Slot, connection: Connection) -> None:
    nothing = cli("abort", "--slot", "2")
    assert nothing.exit_code == 2
    assert "no operation is running on crate1slot2" in nothing.stderr
    waiting, run = slot.submit("test"), slot.submit("test")
    assert "removed from its queue" in cli("stop", waiting.id[:8], "--by", "ann").stdout
    writer = Writer(connection, run.id)
    writer.start()
    told = json.loads(cli("stop", "--slot", "2", "--json").stdout)
    assert told == {"session_id": run.id, "answer": "asked", "status": "running", "outcome": None}
    with beside(lambda: until_followed(connection), lambda: writer.end(Outcome.ABORTED)):
        result = cli("abort", "--slot", "2", "--grace", "1", "--by", "ann", "-m", "enough", "--wait")
    assert result.exit_code == 0
    assert "it ended as aborted" in result.stdout
    asked = [
        item for item, _ in zip(connection.control_requests.subscribe(run.id, block_ms=10), range(2), strict=False)
    ]
    assert [(item.verb, item.by, item.grace_s) for item in asked if item] == [
        ("stop", asked[0].by if asked[0] else "", None),
        ("abort", "ann", 1.0),
    ]
    assert "had already ended" in cli("abort", run.id).stdout


def test_hold_and_release(cli: Cli, slot: Slot) -> None:
    result = cli("hold", "-s", "2", "--owner", "ann", "-m", "swap", "--for", "2h")
    assert result.exit_code == 0
    assert "held by ann" in result.stdout
    hold = slot.status().hold
    assert hold is not None
    assert hold.until == pytest.approx(time.time() + 7200, abs=60)
    for arguments in (("hold", "-s", "2"), ("release", "-s", "2")):
        refused = cli(*arguments)
        assert refused.exit_code == 8
        assert "--force" in refused.stderr
    assert json.loads(cli("release", "-s", "2", "--force", "--json").stdout)["released"] is True
    assert "was not held" in cli("release", "-s", "2").stdout


def test_a_hold_that_is_not_confirmed_warns(cli: Cli, connection: Connection) -> None:
    serve(connection)
    result = cli("hold", "-s", "2")
    assert result.exit_code == 0
    assert "did not confirm" in result.stderr


def test_emergency_off(cli: Cli, slot: Slot, connection: Connection) -> None:
    detached = json.loads(cli("emergency-off", "-s", "2", "--detach", "--json", "-m", "warm").stdout)
    assert slot.queue()[0].task_id == detached["session_id"]
    slot.run(detached["session_id"]).remove()

    def switch_off() -> None:
        waiting = eventually(slot.queue)
        _end(connection, waiting[0].task_id)

    with beside(switch_off):
        result = cli("emergency-off", "-s", "2")
    assert result.exit_code == 0
    assert "succeeded" in result.stdout
    assert "smurfq release --slot crate1slot2" in result.stderr


def test_emergency_off_of_all_slots_ends_with_the_first_failure(cli: Cli, connection: Connection) -> None:
    def switch_off() -> None:
        for name, outcome in (("crate1slot2", "succeeded"), ("crate1slot3", "failed")):
            waiting = eventually(lambda: connection.queues.waiting(name))
            writer = Writer(connection, waiting[0].task_id)
            writer.start(name)
            writer.end(Outcome(outcome), slot=name)

    assert cli("emergency-off", "--all", "-s", "2").exit_code == 2
    with beside(switch_off):
        result = cli("emergency-off", "--all", "--by", "ann")
    assert result.exit_code == 3
    for name in ("crate1slot2", "crate1slot3"):
        assert f"all_off on {name}" in result.stdout
        hold = connection.holds.get(name)
        assert hold is not None
        assert hold.owner == "ann"


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("history",),
        ("show", "abc"),
        ("follow", "abc"),
        ("submit", "test", "-s", "2"),
        ("queue", "list"),
        ("hold", "-s", "2"),
        ("emergency-off", "-s", "2"),
    ],
)
def test_redis_away_is_unavailable(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli(*arguments, SMURFQ_REDIS_URL=f"redis://:secret@127.0.0.1:{free_port()}/0")
    assert result.exit_code == 7
    assert len(result.stderr.splitlines()) == 1
    assert "smurfq doctor" in result.stderr
    assert "secret" not in result.stderr


def test_ctrl_c_ends_the_view_and_not_the_run(environ: dict[str, str], slot: Slot, connection: Connection) -> None:
    run = slot.submit("test")
    Writer(connection, run.id).start()
    with subprocess.Popen(
        [sys.executable, "-m", "smurfq", "follow", run.id],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            while "running" not in process.stdout.readline():
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=WITHIN_S)
        finally:
            process.kill()
    assert process.returncode == 130
    assert f"{run.id[:8]} continues" in told
    assert f"smurfq follow {run.id[:8]}" in told
    assert f"smurfq abort {run.id[:8]}" in told
    assert "Traceback" not in told
    assert run.record().status == "running"
    assert next(connection.control_requests.subscribe(run.id, block_ms=10)) is None


def _until_end(descriptor: int, on_text: Callable[[str], None]) -> str:
    """All that a process writes to its terminal, until it ends; ``on_text`` sees all so far at each piece."""
    seen = ""
    deadline = time.monotonic() + WITHIN_S
    while True:
        assert time.monotonic() < deadline, seen
        if not select.select([descriptor], [], [], 1.0)[0]:
            continue
        try:
            piece = os.read(descriptor, 65536)
        except OSError:  # how Linux tells that the other end of a terminal is closed
            return seen
        if not piece:
            return seen
        seen += piece.decode(errors="replace")
        on_text(seen)


def test_a_terminal_shows_where_the_run_stands(environ: dict[str, str], slot: Slot, connection: Connection) -> None:
    run = slot.submit("test")
    writer = Writer(connection, run.id)
    writer.start()
    writer.write(session.stage("find_freq", 1.0), session.message("\x1b]0;evil\x07hello", 2.0))
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "smurfq", "follow", run.id],
        cwd=ROOT,
        env={**os.environ, **environ, "TERM": "xterm-256color", "COLUMNS": "120"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    ended: list[bool] = []

    def end_once_shown(text: str) -> None:
        if not ended and re.search(r"running.*find_freq.*data: a", text.replace("\r", "")):
            ended.append(True)
            writer.end(Outcome.SUCCEEDED)

    try:
        writer.write(session.data_set({"a": 1}, 3.0))
        text = _until_end(leader, end_once_shown)
        assert process.wait(timeout=WITHIN_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    assert ended
    assert "hello" in text
    assert "\x1b]0;" not in text
    assert "succeeded" in text.rsplit("find_freq", 1)[1]


def test_worker_rejects_a_slot_that_the_site_has_not(cli: Cli) -> None:
    result = cli("worker", "--slot", "crate1slot9")
    assert result.exit_code == 2
    assert "crate1slot9" in result.stderr


def test_the_bridge_is_the_site_s(environ: dict[str, str], connection: Connection, free_udp_port: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "smurfq", "bridge"],
        cwd=ROOT,
        env={**os.environ, **environ, "SMURFQ_BRIDGE_PORT": str(free_udp_port)},
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: connection.redis.exists(BRIDGE_KEY))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=WITHIN_S) == 0
    finally:
        process.kill()
        process.wait()


def test_feeds_are_read_by_name_and_slot(cli: Cli, valkey: Client) -> None:
    feeds = Feeds(valkey)
    for number in range(3):
        feeds.append(
            "iv_results", "crate1slot2", 1_700_000_000.0 + number, {"Rn_q50": 0.0078 + number, "Rn_total": None}
        )
    feeds.append("iv_results", "crate1slot3", 1_700_000_009.0, {"Rn_q50": 0.5})
    lines = [
        json.loads(line) for line in cli("feed", "iv_results", "--slot", "2", "-n", "2", "--json").stdout.splitlines()
    ]
    assert [line["data"]["Rn_q50"] for line in lines] == [1.0078, 2.0078]
    assert {line["block_name"] for line in lines} == {"iv_results"}
    shown = cli("feed", "iv_results").stdout
    assert shown.count("crate1slot2") == 3
    assert "Rn_total                     -" in shown
    overview = [json.loads(line) for line in cli("feed", "--json").stdout.splitlines()]
    assert [(line["slot"], line["timestamp"]) for line in overview] == [
        ("crate1slot2", 1_700_000_002.0),
        ("crate1slot3", 1_700_000_009.0),
    ]
    assert "none yet" in cli("feed").stdout
    assert cli("feed", "registers").stdout == "registers has no blocks yet\n"
    assert cli("feed", "iv_result").exit_code == 2


def test_a_feed_is_followed_as_it_comes(environ: dict[str, str], valkey: Client) -> None:
    feeds = Feeds(valkey)
    feeds.append("noise_results", "crate1slot2", 1.0, {"white_noise_level_q50": 60})
    with subprocess.Popen(
        [sys.executable, "-m", "smurfq", "feed", "noise_results", "--follow", "--json"],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["timestamp"] == 1.0
        feeds.append("noise_results", "crate1slot3", 2.0, {"white_noise_level_q50": 65})
        assert json.loads(following.stdout.readline())["slot"] == "crate1slot3"
        following.send_signal(signal.SIGINT)
        assert following.wait(WITHIN_S) == 0
