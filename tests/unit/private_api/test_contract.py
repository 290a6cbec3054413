"""Celery, kombu and CPython still have the private parts that ``smurfq.private_api`` uses.

A failure names what changed in a new version. CONTRIBUTING.md says what to do then.
"""

from __future__ import annotations

import atexit
import inspect
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, _state, states
from celery.app.task import Context
from celery.backends.base import Backend
from celery.backends.redis import RedisBackend, SentinelBackend
from celery.worker.components import Pool
from celery.worker.consumer import Consumer
from celery.worker.control import Panel
from celery.worker.request import Request
from kombu.transport.redis import Channel, QoS

from smurfq.private_api import interpreter, queue_keys, remote_control, result_backend, task_stack
from smurfq.private_api.application import HookedCelery
from smurfq.private_api.channel import hooked_channel
from smurfq.private_api.consumer import handle_unknown_tasks, keep_tasks, release_place
from smurfq.private_api.request import OpenRequest
from smurfq.worker.remote_control import CLOSED

SIGNATURES: dict[str, tuple[Callable[..., Any], list[str]]] = {
    "Celery._after_fork": (Celery._after_fork, ["self"]),
    "Celery._get_backend": (Celery._get_backend, ["self"]),
    "Backend._fail_chain": (Backend._fail_chain, ["self", "chain", "exc", "traceback", "store_result", "state"]),
    "Backend._call_task_errbacks": (Backend._call_task_errbacks, ["self", "request", "exc", "traceback"]),
    "RedisBackend.on_task_call": (RedisBackend.on_task_call, ["self", "producer", "task_id"]),
    "RedisBackend.on_chord_part_return": (
        RedisBackend.on_chord_part_return,
        ["self", "request", "state", "result", "propagate", "kwargs"],
    ),
    "SentinelBackend._get_pool": (SentinelBackend._get_pool, ["self", "params"]),
    "Consumer.connect": (Consumer.connect, ["self"]),
    "Consumer.ensure_connected": (Consumer.ensure_connected, ["self", "conn"]),
    "Consumer.create_task_handler": (Consumer.create_task_handler, ["self", "promise"]),
    "Consumer.on_unknown_task": (Consumer.on_unknown_task, ["self", "body", "message", "exc"]),
    "Request.terminate": (Request.terminate, ["self", "pool", "signal"]),
    "Request.cancel": (Request.cancel, ["self", "pool", "signal", "emit_retry"]),
    "Request.on_failure": (Request.on_failure, ["self", "exc_info", "send_failed_event", "return_ok"]),
    "Channel._brpop_start": (Channel._brpop_start, ["self", "timeout"]),
    "Channel._brpop_read": (Channel._brpop_read, ["self", "options"]),
    "Channel._receive_one": (Channel._receive_one, ["self", "c"]),
    "Channel._do_restore_message": (
        Channel._do_restore_message,
        ["self", "payload", "exchange", "routing_key", "pipe", "leftmost"],
    ),
    "Channel._q_for_pri": (Channel._q_for_pri, ["self", "queue", "pri"]),
    "QoS.restore_by_tag": (QoS.restore_by_tag, ["self", "tag", "client", "leftmost"]),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_private_method_has_its_parameters(name: str) -> None:
    method, expected = SIGNATURES[name]
    found = list(inspect.signature(method).parameters)
    versions = ", ".join(f"{package} {version(package)}" for package in ("celery", "kombu", "billiard"))
    assert found == expected, f"{name} takes {found} in {versions}; smurfq.private_api was written for {expected}"


def reads(function: Callable[..., Any], *names: str) -> None:
    """Fail unless the code of ``function`` still uses ``names``, which are made in it or on its object."""
    source = inspect.getsource(function)
    for name in names:
        assert name in source, f"{function.__qualname__} no longer uses {name}; see smurfq/private_api"


def test_the_event_loop_still_goes_by_the_poll_attributes() -> None:
    reads(Channel._brpop_start, "self._in_poll = self.client.connection", "self._brpop_sent_at = monotonic()")
    reads(
        Channel._brpop_start,
        "self._queue_cycle.consume(len(self.active_queues))",
        "self.client.connection.send_command",
    )
    reads(Channel._brpop_read, "self._in_poll = None", "self.client.parse_response")


def test_reading_still_reaches_the_overridden_methods() -> None:
    reads(Channel._receive, "self._receive_one(")
    reads(Channel._restore, "self._do_restore_message(")
    reads(QoS.restore_by_tag, "_do_restore_message")


def test_queue_keys_are_those_of_kombu() -> None:
    kombus = (Channel.sep, Channel.unacked_key, Channel.unacked_index_key)
    assert kombus == (queue_keys.SEPARATOR, queue_keys.UNACKED, queue_keys.UNACKED_INDEX)


def test_a_list_is_named_by_queue_separator_and_step() -> None:
    channel = SimpleNamespace(priority_steps=[0, 3, 9], sep=Channel.sep, priority=lambda step: step)
    assert Channel._q_for_pri(channel, "queue", 0) == "queue"
    assert Channel._q_for_pri(channel, "queue", 3) == f"queue{queue_keys.SEPARATOR}3"


def test_a_hooked_channel_calls_the_public_names() -> None:
    class Hooked(hooked_channel(Channel)):  # type: ignore[misc]
        def __init__(self) -> None:
            self.calls: list[str] = []

        def __del__(self) -> None:
            """Close nothing: there is no connection."""

        def start_taking(self, timeout_s: float | None = None) -> None:
            self.calls.append("start")

        def read_taken(self, **options: Any) -> None:
            self.calls.append("read")

        def read_broadcast(self, client: Any) -> None:
            self.calls.append("broadcast")

        def restore(self, *more: Any) -> None:
            self.calls.append("restore")

    channel = Hooked()
    channel._brpop_start(1)
    channel._brpop_read()
    channel._receive_one(None)
    channel._do_restore_message({}, "", "", None)
    assert channel.calls == ["start", "read", "broadcast", "restore"]
    assert hooked_channel(Hooked) is Hooked


@pytest.mark.parametrize(
    "name",
    ["start_taking", "read_taken", "read_broadcast", "restore", "take_queues", "lists_of", "send_poll", "end_poll"],
)
def test_kombu_has_no_method_of_the_name_of_a_hook(name: str) -> None:
    assert not hasattr(Channel, name), f"kombu's Channel has now a method {name}: rename that of hooked_channel"


def test_the_task_stack_is_emptied() -> None:
    task = object()
    _state.push_current_task(task)
    assert _state.get_current_task() is task
    task_stack.forget_current_tasks()
    assert _state.get_current_task() is None


def test_the_application_adapts_its_backend_and_forgets_tasks_after_a_fork() -> None:
    class Adapted(HookedCelery):
        def adapt_backend(self, backend: Any) -> Any:
            backend.adapted = True
            return backend

    app = Adapted(backend="cache+memory://", set_as_current=False)
    assert app.backend.adapted
    _state.push_current_task(object())
    app.reset_after_fork()
    assert _state.get_current_task() is None


def test_the_backend_calls_what_is_replaced_on_it() -> None:
    app = Celery(backend="cache+memory://", set_as_current=False)
    backend = app.backend
    calls: list[str] = []
    backend.on_chord_part_return = lambda *_args, **_kwargs: calls.append("count")

    def twice(act: Callable[[], Any]) -> Any:
        act()
        return act()

    result_backend.wrap_chord_count(backend, twice)
    backend.mark_as_done("id", 1, request=Context(chord={"task": "body"}, group="g", id="id"))
    assert calls == ["count", "count"]
    backend.on_task_call = None
    result_backend.subscribe_only_when_waited_for(backend)
    assert backend.on_task_call(None, "id") is None
    reads(Celery.send_task, "self.backend.on_task_call(")
    reads(RedisBackend.on_chord_part_return, "self.get_key_for_group(gid, '.c')")


def test_a_chain_of_a_revoked_task_is_revoked() -> None:
    app = Celery(backend="cache+memory://", set_as_current=False)
    chain = [{"task": "later", "options": {"task_id": "later-id"}, "args": (), "kwargs": {}}]
    result_backend.fail_chain(app.backend, chain, ValueError("it was revoked"), state=states.REVOKED)
    assert app.backend.get_state("later-id") == states.REVOKED


def test_errbacks_are_called_with_the_error() -> None:
    app = Celery(backend="cache+memory://", set_as_current=False)
    app.conf.task_always_eager = True
    seen: list[str] = []

    @app.task(name="errback")  # type: ignore[untyped-decorator]
    def errback(request: Any, error: Exception, _traceback: Any) -> None:
        seen.append(str(error))

    request = SimpleNamespace(errbacks=[errback.s()], id="id", root_id="id", delivery_info={}, chord=None, group=None)
    result_backend.call_errbacks(app.backend, request, ValueError("lost"))
    assert seen == ["lost"]


def test_a_request_knows_that_it_was_cancelled() -> None:
    assert Request._already_cancelled is False
    request = OpenRequest.__new__(OpenRequest)
    assert not request.was_cancelled
    request.mark_cancelled()
    assert request.was_cancelled
    assert request._already_cancelled
    assert "_context" in vars(Request)
    reads(Request.on_failure, "self._already_cancelled")


def test_a_consumer_can_be_kept_to_some_tasks() -> None:
    reads(Consumer.__init__, "self.strategies")
    reads(Consumer.create_task_handler, "on_unknown_task = self.on_unknown_task", "strategies[type_]")
    consumer = SimpleNamespace(strategies={"smurfq.a": 1, "celery.chord": 2})
    keep_tasks(consumer, "smurfq.")
    assert consumer.strategies == {"smurfq.a": 1}


def test_an_unknown_task_goes_to_what_replaces_the_handler() -> None:
    class Known:
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def on_unknown_task(self, *what: Any) -> None:
            self.seen.append(what)

    consumer = Known()
    handle_unknown_tasks(consumer, lambda celerys: celerys)
    consumer.on_unknown_task("body", "message", "error")
    assert consumer.seen == [("body", "message", "error")]


def test_a_place_in_the_pool_is_released() -> None:
    reads(Pool.create, "w.semaphore = LaxBoundedSemaphore(", "w.semaphore.release")
    released: list[int] = []
    release_place(
        SimpleNamespace(controller=SimpleNamespace(semaphore=SimpleNamespace(release=lambda: released.append(1))))
    )
    release_place(SimpleNamespace(controller=SimpleNamespace()))
    assert released == [1]


@pytest.mark.parametrize("name", [*CLOSED, "conf"])
def test_celery_has_the_remote_control_commands(name: str) -> None:
    assert name in Panel.data, f"Celery has no remote-control command {name} any more"
    assert callable(remote_control.command(name))


def test_a_remote_control_command_can_be_replaced() -> None:
    celerys = remote_control.command("ping")
    try:
        remote_control.replace_command("ping", len)
        assert Panel.data["ping"] is len
    finally:
        remote_control.replace_command("ping", celerys)


def in_child(act: Callable[[], object]) -> int:
    """The exit code of a forked process in which ``act`` runs; 1 if it raises."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if act() is not False else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_exit_functions_run_and_threads_are_waited_for() -> None:
    def act() -> bool:
        calls: list[str] = []
        interpreter.forget_exit_functions()
        atexit.register(calls.append, "exit")
        thread = threading.Thread(target=lambda: calls.append("thread"))
        thread.start()
        interpreter.run_exit_functions()
        return sorted(calls) == ["exit", "thread"]

    assert in_child(act) == 0, f"threading._shutdown or atexit._run_exitfuncs differ in Python {sys.version}"


def test_forgotten_exit_functions_do_not_run() -> None:
    def act() -> bool:
        calls: list[str] = []
        atexit.register(calls.append, "exit")
        interpreter.forget_exit_functions()
        interpreter.run_exit_functions()
        return calls == []

    assert in_child(act) == 0, f"atexit._clear differs in Python {sys.version}"


def test_a_daemon_may_have_children_once_it_is_allowed() -> None:
    def act() -> bool:
        multiprocessing.current_process()._config["daemon"] = True  # type: ignore[attr-defined]
        interpreter.allow_children()
        child = multiprocessing.get_context("fork").Process(target=int)
        child.start()
        child.join()
        return child.exitcode == 0

    assert in_child(act) == 0, f"multiprocessing's process configuration differs in Python {sys.version}"
