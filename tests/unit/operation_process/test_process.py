"""An operation's process, forked for real and watched by a supervisor: how it ends, whatever its body does."""

from __future__ import annotations

import atexit
import os
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smurfq.config import load
from smurfq.core.session import Event
from smurfq.operation_process import process
from smurfq.operation_process.session import Session
from smurfq.pool_child.end_request import AbortRequest
from smurfq.pool_child.ending import Ending
from smurfq.pool_child.output import Output
from smurfq.pool_child.supervisor import Supervisor

Body = Callable[[Session], Any]


class Watched:
    """How an operation ended, what it told its record, and what it printed."""

    def __init__(self, body: Body, op_name: str = "test", abort: bool = False) -> None:
        self.events: list[Event] = []
        self.output = Output(False, Path(), self.events.append, lambda line: None)
        self.log = ""
        self.output._show = self._show  # type: ignore[method-assign]
        spare = process.fork({op_name: body}, load({}), lambda: None)
        supervisor = Supervisor(spare, self.output, self._add, time_limit_s=60.0, abort_grace_s=0.0, kill_grace_s=30.0)
        self._supervisor, self._abort = supervisor, abort
        slot = "crate1slot2"
        job = {"session_id": "an-id", "op_name": op_name, "slot": slot, "publisher": slot, "params": {}}
        job["environment"] = {}
        try:
            self.ending: Ending = supervisor.run(job, [self.output.write_end])
        finally:
            supervisor.close()

    def _add(self, event: Event) -> None:
        self.events.append(event)
        if self._abort and event.get("text") == "ready":
            self._supervisor.ask(AbortRequest("tester", "enough"))

    def _show(self, text: str, size: int) -> None:
        self.log += text

    @property
    def result(self) -> dict[str, Any]:
        assert self.ending.result is not None, (self.ending, self.log)
        return self.ending.result

    @property
    def texts(self) -> list[str]:
        return [event["text"] for event in self.events if event["k"] == "message"]


def wait_for(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def in_child(child: Callable[[], None], then: Callable[[Session, int], None]) -> Body:
    """A body that forks, waits for what the child does, and goes on."""

    def body(session: Session) -> None:
        pid = os.fork()
        if pid == 0:
            child()
        else:
            then(session, wait_for(pid))

    return body


def tell(session: Session, code: int) -> None:
    session.add_message(f"child {code}")


def raises(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize(
    ("child", "code"),
    [
        (lambda: sys.exit(0), 0),
        (lambda: sys.exit(3), 3),
        (lambda: sys.exit(2**70), 255),
        (lambda: sys.exit("no light"), 1),
        (lambda: None, 0),
        (raises(ValueError("of the child")), 1),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), -signal.SIGTERM),
    ],
    ids=["exits 0", "exits 3", "exits 2**70", "exits with words", "falls off the end", "raises", "is terminated"],
)
def test_a_child_ends_with_its_own_code_and_its_operation_goes_on(child: Callable[[], None], code: int) -> None:
    watched = Watched(in_child(child, tell))
    assert watched.result["ok"]
    assert watched.texts == [f"child {code}"]
    assert watched.ending.exit_code == 0


def test_a_child_does_not_hide_the_failure_of_its_operation() -> None:
    def fail(_session: Session, _code: int) -> None:
        raise ValueError("of the operation")

    watched = Watched(in_child(lambda: sys.exit(0), fail))
    assert watched.result["message"] == "of the operation"


def test_the_operation_that_waits_is_not_ended_by_the_end_of_its_child() -> None:
    """It had five seconds from the result that its child had sent."""

    def work(session: Session, _code: int) -> None:
        time.sleep(6.0)
        session.add_message("all done")

    watched = Watched(in_child(lambda: None, work))
    assert watched.result["ok"]
    assert watched.texts == ["all done"]


def test_session_data_of_a_child_are_dropped_with_a_warning() -> None:
    def body(session: Session) -> None:
        pid = os.fork()
        for number in range(200):
            session.data[f"{'child' if pid == 0 else 'own'} {number}"] = "x" * 4000
        if pid != 0:
            assert wait_for(pid) == 0

    watched = Watched(body)
    assert watched.result["ok"]
    names = [name for event in watched.events if event["k"] == "data" for name in event["set"]]
    assert names == [f"own {number}" for number in range(200)]
    assert watched.log.count("are not recorded") == 1


def test_bytes_that_a_child_writes_to_the_socket_are_dropped() -> None:
    """Before Python may close it, as a library's own fork has it."""
    frame = b'{"k":"result","ok":true}'

    def body(session: Session) -> None:
        sock = session._emit.__self__._sock  # type: ignore[attr-defined]
        copy = os.dup(sock.fileno())
        pid = os.fork()
        if pid == 0:
            os.write(copy, struct.pack("!Q", len(frame)) + frame + b"garbage")
            os._exit(0)
        assert wait_for(pid) == 0
        raise ValueError("of the operation")

    watched = Watched(body)
    assert watched.ending.malformed is None
    assert watched.result["message"] == "of the operation"


def test_a_child_does_not_run_the_atexit_functions_of_its_operation() -> None:
    def body(session: Session) -> None:
        atexit.register(lambda: print("ends", os.getpid(), flush=True))
        print("is", os.getpid(), flush=True)
        pid = os.fork()
        if pid != 0:
            wait_for(pid)

    lines = Watched(body).log.split("\n")
    assert lines.count(lines[0].replace("is", "ends")) == 1
    assert len([line for line in lines if line.startswith("ends")]) == 1


def test_an_abort_is_raised_in_the_operation_and_not_in_its_children() -> None:
    def body(session: Session) -> None:
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            return
        try:
            session.add_message("ready")
            time.sleep(60)
        finally:
            os.kill(pid, signal.SIGTERM)
            tell(session, wait_for(pid))

    watched = Watched(body, abort=True)
    assert watched.result["type"] == "AbortSignal"
    assert watched.texts[-1] == f"child {-signal.SIGTERM}"


def test_a_child_that_is_terminated_at_once_ends() -> None:
    """As multiprocessing's ``terminate`` does; the operation's own handler must not take the signal for it."""

    def body(session: Session) -> None:
        for _ in range(200):
            if (pid := os.fork()) == 0:
                time.sleep(60)
            os.kill(pid, signal.SIGTERM)
            assert wait_for(pid) == -signal.SIGTERM

    assert Watched(body).result["ok"]


def test_an_abort_between_forks_is_not_lost() -> None:
    def body(session: Session) -> None:
        session.add_message("ready")
        while True:
            if (pid := os.fork()) == 0:
                os._exit(0)
            wait_for(pid)

    for _ in range(5):
        watched = Watched(body, abort=True)
        assert watched.result["type"] == "AbortSignal"
        assert watched.ending.stage.name == "SIGNALLED"


# Exit


class Stubborn:
    """A stream that raises at everything."""

    def __getattr__(self, name: str) -> Any:
        raise KeyboardInterrupt

    def write(self, text: str) -> int:
        raise SystemExit(9)

    def flush(self) -> None:
        raise SystemExit(9)


class UndescribableError(BaseException):
    def __str__(self) -> str:
        raise KeyboardInterrupt


def replace_streams() -> None:
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = Stubborn()  # type: ignore[assignment,misc]


def replace_exit() -> None:
    os._exit = lambda code: None  # type: ignore[assignment,return-value]
    replace_streams()


def storm() -> None:
    def strike(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)


def profile() -> None:
    def strike(_frame: Any, event: str, _argument: Any) -> None:
        if event == "c_call":
            raise KeyboardInterrupt

    sys.setprofile(strike)


def exhaust() -> None:
    sys.setrecursionlimit(len(traceback.extract_stack()) + 20)  # as deep as the tests' runner stands, and a little more
    replace_streams()


@pytest.mark.parametrize("act", [replace_streams, replace_exit, exhaust])
@pytest.mark.parametrize(
    ("end", "code"), [(lambda: None, 0), (raises(ValueError("it failed")), 1), (raises(UndescribableError()), 1)]
)
def test_the_process_exits_with_its_own_code_whatever_its_streams_are(
    act: Callable[[], None], end: Callable[[], None], code: int
) -> None:
    def body(_session: Session) -> None:
        act()
        end()

    watched = Watched(body)
    assert watched.ending.exit_code == code
    assert watched.result["ok"] is (code == 0)


@pytest.mark.parametrize("act", [storm, profile])
def test_the_process_exits_whatever_interrupts_its_end(act: Callable[[], None]) -> None:
    for _ in range(10):
        watched = Watched(lambda session: act())
        assert watched.ending.exit_code in (0, 1, 70)
        assert watched.ending.stage.name == "NONE"


# Descriptors


def test_the_process_has_no_descriptor_of_the_worker() -> None:
    read_end, write_end = os.pipe()

    def body(session: Session) -> None:
        own = session._emit.__self__._sock.fileno()  # type: ignore[attr-defined]
        for number in range(3, 64):
            if number != own:
                try:
                    os.write(number, b"\x80\x04garbage")
                except OSError:
                    continue

    watched = Watched(body)
    os.close(write_end)
    assert watched.result["ok"]
    assert os.read(read_end, 100) == b""
    os.close(read_end)


GARBAGE = {
    "a huge length": b"\xff" * 8,
    "no JSON": struct.pack("!Q", 7) + b"garbage",
    "nested too deep": struct.pack("!Q", 200_000) + b"[" * 100_000 + b"]" * 100_000,
}


def raw(value: bytes) -> bytes:
    return struct.pack("!Q", len(value)) + value


@pytest.mark.parametrize(
    "sent",
    [
        *GARBAGE.values(),
        raw(b"[]"),
        raw(b'{"k":"result"}'),
        raw(b'{"k":"header","t":1,"set":{"status":"done","outcome":"succeeded"}}'),
        raw(b'{"k":"result","ok":true}') + b"\xff" * 8,
    ],
    ids=[*GARBAGE, "no object", "a result without a value", "a header of the worker's", "garbage after a result"],
)
def test_an_operation_that_sends_something_malformed_is_killed(sent: bytes) -> None:
    def body(session: Session) -> None:
        session.add_message("before")
        os.write(session._emit.__self__._sock.fileno(), sent)  # type: ignore[attr-defined]
        time.sleep(60)

    watched = Watched(body)
    assert watched.ending.result is None
    assert watched.ending.malformed
    assert watched.ending.exit_code == -signal.SIGKILL
    assert watched.texts == ["before"]


def test_data_that_no_record_can_hold_is_rejected_in_the_operation() -> None:
    deep: Any = []
    for _ in range(100):
        deep = [deep]

    def body(session: Session) -> None:
        session.data["deep"] = deep

    watched = Watched(body)
    assert watched.ending.malformed is None
    assert watched.result["type"] == "MalformedFrameError"


# exec


@pytest.mark.parametrize(("code", "succeeds"), [(0, True), (3, False)])
def test_a_script_that_execs_a_program_ends_as_that_does(code: int, succeeds: bool) -> None:
    def body(_session: Session) -> None:
        os.execv("/bin/sh", ["sh", "-c", f"exit {code}"])

    watched = Watched(body, op_name="run")
    assert watched.result["ok"] is succeeds
    assert watched.ending.exit_code == code


@pytest.mark.parametrize("op_name", ["run", "test"])
def test_a_program_that_a_signal_ends_has_no_result(op_name: str) -> None:
    watched = Watched(lambda session: os.execv("/bin/sh", ["sh", "-c", "kill -9 $$"]), op_name=op_name)
    assert watched.ending.result is None


def test_only_a_script_may_exec() -> None:
    assert Watched(lambda session: os.execv("/bin/true", ["true"])).ending.result is None


@pytest.mark.parametrize("descriptors", [False, True])
def test_os_exit_is_no_success(descriptors: bool) -> None:
    def body(_session: Session) -> None:
        if descriptors:
            os.closerange(3, 256)
        os._exit(0)

    assert Watched(body, op_name="run").ending.result is None
