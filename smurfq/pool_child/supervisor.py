"""Gives an operation's process its job, and watches it to its end."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from smurfq.core import session as events
from smurfq.core.session import Event
from smurfq.host import exec_flag, processes
from smurfq.operation import frames, wire
from smurfq.operation.abort_signal import ABORT_SIGNAL
from smurfq.operation.process import Spare
from smurfq.pool_child import abort
from smurfq.pool_child.abort import Plan, Stage, Why
from smurfq.pool_child.output import Output

_TICK_S = 1.0
_EXIT_WITHIN_S = 5.0  # from an operation's result to the end of its process
_SCRIPT = "run"  # the operation whose process may replace itself by ``exec``


@dataclass(frozen=True)
class Ending:
    """How an operation's process ended.

    ``result`` is what it said last, None if it died without a word; ``exit_code`` as in ``subprocess``; ``plan`` is
    why it was ended, if it was, and ``stage`` how far that had to go; ``left_behind`` are the processes that it had
    started and that were killed after it; ``malformed`` is what came instead of a frame, for which it was killed;
    ``has_execed``: it had replaced its program by another.
    """

    result: dict[str, Any] | None
    exit_code: int
    oom: bool
    plan: Plan | None
    stage: Stage
    stopped: bool
    left_behind: list[str] = field(default_factory=list)
    malformed: str | None = None
    has_execed: bool = False


class Supervisor:
    """Watches one operation, from its job to its last process.

    ``once``: by file descriptor, what is called when it is readable for the first time.
    """

    def __init__(
        self,
        spare: Spare,
        output: Output,
        add: Callable[[Event], None],
        *,
        time_limit_s: float | None,
        abort_grace_s: float,
        kill_grace_s: float,
        once: Mapping[int, Callable[[Supervisor], None]] | None = None,
    ) -> None:
        self._spare = spare
        self._once = once or {}
        self._output = output
        self._add = add
        self._abort_grace_s = abort_grace_s
        self._kill_grace_s = kill_grace_s
        self._time_limit_s = time_limit_s
        self._frames = wire.FrameReader(spare.sock, sender=spare.pid)
        self._malformed: str | None = None
        self._result: dict[str, Any] | None = None
        self._result_at: float | None = None
        self._plan: Plan | None = None
        self._stage = Stage.NONE
        self._stopped = False
        self._asked: list[Plan | str] = []
        self._asked_lock = threading.Lock()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def ask_stop(self, *, by: str = "", reason: str = "") -> None:
        """Have a process end in good order. From any thread."""
        self._ask("stop asked for" + (f" by {by}" if by else "") + (f": {reason}" if reason else ""))

    def ask_abort(
        self, *, by: str, reason: str, grace_s: float | None = None, delay_s: float = 0.0, why: Why = Why.ABORT
    ) -> None:
        """Have the operation ended, in stages; ``grace_s`` instead of the configured graces. From any thread."""
        self._ask(
            abort.plan(
                why,
                by=by,
                reason=reason,
                now=time.monotonic(),
                abort_grace_s=self._abort_grace_s if grace_s is None else grace_s,
                kill_grace_s=self._kill_grace_s if grace_s is None else grace_s,
                delay_s=delay_s,
            )
        )

    def _ask(self, what: Plan | str) -> None:
        with self._asked_lock:
            self._asked.append(what)
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"!")

    def run(self, job: Mapping[str, Any], files: list[int]) -> Ending:
        """How the operation ended that was given ``job`` and the open ``files`` (its output's, then its locks')."""
        oom_before = processes.out_of_memory_kills()
        started = time.monotonic()
        if self._time_limit_s is not None:
            self._asked.append(
                abort.plan(
                    Why.TIME_LIMIT,
                    by="smurfq",
                    reason=f"it ran past its time limit of {self._time_limit_s:g} s",
                    now=started,
                    abort_grace_s=self._abort_grace_s,
                    kill_grace_s=self._kill_grace_s,
                    delay_s=self._time_limit_s,
                )
            )
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died while it waited: seen below
                wire.send_with_files(self._spare.sock, dict(job), files)
            self._output.close_write_end()
            self._spare.sock.setblocking(False)
            self._watch()
        finally:
            left_behind = self._kill_all()
        has_execed = self._has_execed()
        code = self._exit_code()
        self._take_frames()
        while self._frames.has_more:
            self._take_frames()
        self._output.read_rest()
        if self._result is None and has_execed and job["op_name"] == _SCRIPT:
            self._result = _result_of_exec(code)
        return Ending(
            result=self._result if self._malformed is None else None,
            exit_code=code,
            oom=processes.out_of_memory_kills() > oom_before,
            plan=self._plan if self._stage > Stage.NONE else None,
            stage=self._stage,
            stopped=self._stopped,
            left_behind=left_behind,
            malformed=self._malformed,
            has_execed=has_execed,
        )

    def close(self) -> None:
        """Close what is open."""
        self._spare.close()
        self._output.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _watch(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._spare.pidfd, selectors.EVENT_READ, "exit")
            selector.register(self._spare.sock, selectors.EVENT_READ, "frames")
            selector.register(self._output.fileno, selectors.EVENT_READ, "output")
            selector.register(self._wake_read, selectors.EVENT_READ, "wake")
            for descriptor in self._once:
                selector.register(descriptor, selectors.EVENT_READ, "once")
            while True:
                self._heed()
                for key, _ in selector.select(self._patience_s()):
                    if key.data == "exit":
                        return
                    if key.data == "frames":
                        self._read_frames(selector)
                    elif key.data == "output" and not self._output.read():
                        selector.unregister(self._output.fileno)
                    elif key.data == "wake":
                        with contextlib.suppress(BlockingIOError):
                            os.read(self._wake_read, 1024)
                    elif key.data == "once":
                        selector.unregister(key.fd)
                        self._once[key.fd](self)
                self._output.flush()
                if self._result_at is not None and time.monotonic() > self._result_at + _EXIT_WITHIN_S:
                    return

    def _read_frames(self, selector: selectors.BaseSelector) -> None:
        self._take_frames()
        if self._frames.closed:
            selector.unregister(self._spare.sock)

    def _take_frames(self) -> None:
        """Take in some of the frames that have arrived. An operation that sends anything else is killed."""
        try:
            for frame in self._frames.read():
                self._take(frames.check(frame))
        except wire.MalformedFrameError as error:
            self._malformed = str(error)
            self._frames.close()
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self._spare.pidfd, signal.SIGKILL)

    def _take(self, frame: dict[str, Any]) -> None:
        if frame.get("k") == "result":
            self._result = frame
            self._result_at = time.monotonic()
        else:
            self._add(frame)

    def _patience_s(self) -> float:
        due = [_TICK_S]
        if (flush := self._output.due_s()) is not None:
            due.append(flush)
        if self._plan is not None and (at := self._plan.next_at(self._stage)) is not None:
            due.append(max(0.0, at - time.monotonic()))
        return min(due)

    def _heed(self) -> None:
        with self._asked_lock:
            asked, self._asked = self._asked, []
        for what in asked:
            if isinstance(what, Plan):
                self._join(what)
            elif self._stage is Stage.NONE:
                self._stopped = True
                self._spare.flag[0] = wire.STOP
                self._add(events.header(time.time(), status="stopping"))
                self._add(events.message(what, time.time()))
        if self._plan is not None and self._result is None:
            stage = self._plan.due(self._stage, time.monotonic())
            if stage > self._stage:
                self._advance(stage)

    def _join(self, new: Plan) -> None:
        """A reason that takes effect first is the reason; a later one may only make it faster."""
        if self._plan is None or (self._stage is Stage.NONE and new.ask_at < self._plan.ask_at):
            self._plan = new if self._plan is None else new.sooner(self._plan)
        else:
            self._plan = self._plan.sooner(new)

    def _advance(self, stage: Stage) -> None:
        plan, now = self._plan, time.time()
        assert plan is not None
        if self._stage is Stage.NONE:
            self._spare.flag[0] = wire.ABORT
            self._add(events.header(now, status="stopping"))
            self._add(events.message(f"{plan.why}, by {plan.by}: {plan.reason}", now))
            self._add(events.stage("abort: asked", now))
        self._stage = stage
        if stage is Stage.SIGNALLED:
            self._add(events.stage("abort: signalled", now))
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self._spare.pidfd, ABORT_SIGNAL)
        elif stage is Stage.KILLED:
            self._add(events.stage("abort: killed", now))
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._spare.pid, signal.SIGKILL)

    def _kill_all(self) -> list[str]:
        """End every process that the operation has left, and the operation itself if it is still there."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._result is None or not self._has_exited():
                signal.pidfd_send_signal(self._spare.pidfd, signal.SIGKILL)
        return processes.kill_group(self._spare.pid)

    def _has_exited(self) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._spare.pidfd, selectors.EVENT_READ)
            return bool(selector.select(0))

    def _has_execed(self) -> bool:
        """Whether the process, which is dead and not yet waited for, had replaced its program by another."""
        return self._spare.is_marked_fork and exec_flag.is_still_fork(self._spare.pid) is False

    def _exit_code(self) -> int:
        with contextlib.suppress(ChildProcessError):
            _, status = os.waitpid(self._spare.pid, 0)
            return os.waitstatus_to_exitcode(status)
        return -signal.SIGKILL


def _result_of_exec(code: int) -> dict[str, Any] | None:
    """The result of a script that replaced its process by another program: its exit code; None if a signal ended it."""
    if code < 0:
        return None
    if code == 0:
        return {"k": "result", "ok": True}
    return {
        "k": "result",
        "ok": False,
        "aborted": False,
        "type": "OperationFailedError",
        "message": f"the script replaced itself by another program, which ended with exit code {code}",
        "fields": {"exit_code": code},
        "traceback": "",
    }


def is_alive(spare: Spare) -> bool:
    """Whether a spare process still waits for its job."""
    try:
        return spare.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
