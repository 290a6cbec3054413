"""The operation's own process: forked in advance, it waits for its job, runs it and exits.

It is a fork of the preloaded pool child. So it starts with pysmurf and sodetlib imported, and without any state of an
earlier operation. It leads a session and a process group of its own, which can be killed as a whole, and it dies with
the pool child. It has none of the worker's file descriptors, and it exits whatever the operation does.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import socket
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from smurfq import smurf_control
from smurfq.config import Settings
from smurfq.core.jsonsafe import nested_deeper, plain
from smurfq.core.messages import MAX_DEPTH
from smurfq.host import exec_flag, isolation
from smurfq.host.disk_space import room_for
from smurfq.host.lock import lock_path
from smurfq.host.operation_mark import mark_of, mark_this_process
from smurfq.host.orphans import SESSION_VARIABLE
from smurfq.host.process_control import end_with_parent
from smurfq.operation_process import wire
from smurfq.operation_process.abort_signal import ABORT_SIGNAL, FrameSender, is_abort
from smurfq.operation_process.exit_code import DIED
from smurfq.operation_process.forked_children import children_end_here, flush_output
from smurfq.operation_process.session import Session
from smurfq.private_api.interpreter import allow_children, forget_exit_functions, run_exit_functions

Body = Callable[..., Any]
_TEXT_CHARS = 16_384  # of a traceback or of an error's message in the record


@dataclass(frozen=True)
class Spare:
    """The supervisor's side of a process that waits for its job.

    ``is_marked_fork`` says that the kernel marks the process as a fork. If so, a later call of ``exec`` is noticed.
    """

    pid: int
    pidfd: int
    sock: socket.socket
    flag: mmap.mmap
    is_marked_fork: bool

    def close(self) -> None:
        """Close the supervisor's ends; a process that still waits then ends by itself."""
        self.sock.close()
        self.flag.close()
        os.close(self.pidfd)


def fork(bodies: Mapping[str, Body], settings: Settings, after_fork: Callable[[], None]) -> Spare:
    """Return a new process that waits for a job of one of ``bodies``; ``after_fork`` drops the parent's connections."""
    here, there = socket.socketpair()
    flag = mmap.mmap(-1, 1)
    parent, leave = os.getpid(), os._exit
    pid = os.fork()
    if pid == 0:
        try:
            here.close()
            _child(there, flag, parent, bodies, settings, after_fork)
        finally:
            leave(DIED)
    there.close()
    return Spare(pid, os.pidfd_open(pid), here, flag, bool(exec_flag.is_still_fork(pid)))


def _child(
    sock: socket.socket,
    flag: mmap.mmap,
    parent: int,
    bodies: Mapping[str, Body],
    settings: Settings,
    after_fork: Callable[[], None],
) -> NoReturn:
    code, leave = DIED, os._exit  # a script may replace that of the module
    try:
        os.setsid()
        end_with_parent(parent)
        isolation.drop_descriptors(sock.fileno())
        forget_exit_functions()
        isolation.reset_signals()
        isolation.reset_logging()
        allow_children()
        with children_end_here():
            code = _wait_and_run(sock, flag, bodies, settings, after_fork)
    except BaseException:  # noqa: BLE001 - a process's rim
        traceback.print_exc()
    finally:
        # Nothing but this one call of a C function: no handler of a signal runs before it, so nothing can be raised.
        leave(code)


def _wait_and_run(
    sock: socket.socket,
    flag: mmap.mmap,
    bodies: Mapping[str, Body],
    settings: Settings,
    after_fork: Callable[[], None],
) -> int:
    """Wait for the job and run it; the process's exit code."""
    job_and_files = wire.receive_with_files(sock)
    if job_and_files is None:
        return 0
    job, files = job_and_files
    after_fork()
    isolation.take_stdio(files[0])
    for lock in files[1:]:
        os.set_inheritable(lock, True)  # processes that the operation starts hold the card's lock too
    isolation.reseed()
    return _run(job, sock, flag, bodies, settings)


def _run(
    job: Mapping[str, Any], sock: socket.socket, flag: mmap.mmap, bodies: Mapping[str, Body], settings: Settings
) -> int:
    mark_this_process(mark_of(lock_path(settings.state_dir, job["publisher"]), job["session_id"]))
    os.environ.update(job["environment"])
    os.environ[SESSION_VARIABLE] = job["session_id"]
    sender = FrameSender(sock)
    session = Session(
        emit=sender.send,
        flag=flag,
        settings=settings,
        slot=job["slot"],
        session_id=job["session_id"],
        op_name=job["op_name"],
        params=job["params"],
    )

    def operate() -> None:
        with children_end_here():
            try:
                body = bodies[job["op_name"]]
                smurf_control.limit_to_slot(session.slot)
                body(session, **job["params"])
            finally:
                run_exit_functions()

    signal.signal(ABORT_SIGNAL, sender.raise_abort)
    result = _result_of(operate, settings)
    _block_signals()
    changes = _result_of(session.data.send_changes, settings)
    result = changes if result["ok"] else result
    flush_output()
    sender.send(result)
    return _exit_code(result)


def _result_of(act: Callable[[], None], settings: Settings) -> dict[str, Any]:
    """Call ``act``, and return the result frame for the supervisor."""
    try:
        act()
    except BaseException as error:  # noqa: BLE001 - a process's rim: whatever it was goes into the record
        described = _describe(error, settings)
        with contextlib.suppress(BaseException):
            traceback.print_exc()
        return {"k": "result", "ok": False, **described}
    return {"k": "result", "ok": True}


def _block_signals() -> None:
    """Let no signal interrupt the end of the process: the handlers are the script's own."""
    while True:
        with contextlib.suppress(BaseException):  # of a handler whose signal had come before
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            return


def _exit_code(result: Mapping[str, Any]) -> int:
    """Return the process's exit code: the script's own, if it has one."""
    if result["ok"]:
        return 0
    code = result["fields"].get("exit_code")
    return code if isinstance(code, int) and 0 < code < 256 else 1


def _describe(error: BaseException, settings: Settings) -> dict[str, Any]:
    name = type(error).__name__
    described = {"aborted": is_abort(error), "type": name, "fields": {}, "traceback": ""}
    try:
        folders = (settings.state_dir, settings.smurf.timestreams_dir, settings.smurf.smurf_data_dir, Path())
        full = room_for(error, folders)
        fields = plain(getattr(error, "fields", {}))
        return {
            **described,
            "message": (str(error)[:_TEXT_CHARS] or name) + (f"; {full}: make room" if full else ""),
            "fields": fields if isinstance(fields, dict) and not nested_deeper(fields, MAX_DEPTH) else {},
            "traceback": "".join(traceback.format_exception(error))[-_TEXT_CHARS:],
        }
    except BaseException as cause:  # noqa: BLE001 - a script's exception may raise in its own methods
        return {**described, "message": f"it cannot be described: {type(cause).__name__} was raised by its own methods"}
