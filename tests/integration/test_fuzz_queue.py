"""Malformed requests and messages are rejected by name, and the slot continues to serve."""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smurfq import tasks
from smurfq.app import app
from smurfq.client import Slot
from smurfq.config import load
from smurfq.core import keys
from smurfq.errors import ParameterError, RequestError
from smurfq.ocs import ERROR, OCSClient
from smurfq.operations import OPERATIONS
from smurfq.tasks import run
from tests.site.eventually import WITHIN_S, eventually
from tests.site.live import LiveSite

SERVED, UNSERVED = "crate1slot1", "crate1slot4"
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
ODD = JSON | st.binary(max_size=4) | st.complex_numbers() | st.sets(st.integers(), max_size=2) | st.just(object())
NAMES = st.sampled_from(sorted({p.name for op in OPERATIONS.values() for p in op.parameters})) | st.text(max_size=4)
GOOD_BODY = json.dumps([[], {"slot": SERVED}, {}]).encode()
Send = Callable[[str, dict[str, Any]], Any]


def sends() -> dict[str, Send]:
    """Every way by which Python submits an operation."""
    client = OCSClient(UNSERVED, settings=app.settings)
    return {
        "delay": lambda name, params: getattr(tasks, name).delay(**{"slot": UNSERVED, **params}),
        "send_task": lambda name, params: app.send_task(f"smurfq.{name}", kwargs={"slot": UNSERVED, **params}),
        "client": lambda name, params: Slot(UNSERVED, app.settings).run(
            app.submit(name, slot=UNSERVED, params=params).id
        ),
        "ocs": lambda name, params: getattr(client, name).start(**params),
    }


def queued() -> int:
    return len(Slot(UNSERVED, app.settings).queue())


def test_any_parameters_are_queued_or_refused_by_name(site: LiveSite) -> None:
    """Nothing is queued, or written down, of what is refused; what is queued is JSON that a worker's check accepts."""
    slot, history = Slot(UNSERVED, app.settings), f"smurfq:history:{UNSERVED}"
    ways = sends()

    @QUICK
    @given(st.sampled_from(sorted(ways)), st.sampled_from(sorted(OPERATIONS)), st.dictionaries(NAMES, ODD, max_size=2))
    def submit(way: str, name: str, params: dict[str, Any]) -> None:
        before = app.store.zcard(history)
        try:
            sent = ways[way](name, params)
        except RequestError as error:
            assert name in str(error) or "slot" in params, error
            assert len(str(error)) < 5000
            assert queued() == 0
            assert app.store.zcard(history) == before
            return
        if way == "ocs":
            assert sent.status == ERROR  # nobody serves the slot, and what is wrong is told first or not at all
            assert queued() == 0
            return
        (waiting,) = slot.queue()
        assert waiting.kwargs == {**json.loads(json.dumps(waiting.kwargs)), "slot": UNSERVED}
        slot.run(waiting.task_id).remove()

    submit()


@pytest.mark.parametrize("task_id", ["", "../../etc/passwd", "a b", "a" * 200, "\u00e9", 5, {"a": 1}])
def test_an_id_that_could_be_a_path_is_rejected(site: LiveSite, task_id: Any) -> None:
    if not task_id:  # as absent: one is made
        assert app.send_task("smurfq.test", kwargs={"slot": UNSERVED}, task_id=task_id).revoke() is None
        slot = Slot(UNSERVED, app.settings)
        slot.run(slot.queue()[0].task_id).remove()
        return
    with pytest.raises(ParameterError, match="task_id must be 1 to 128 letters"):
        app.send_task("smurfq.test", kwargs={"slot": UNSERVED}, task_id=task_id)
    assert queued() == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("link", 5),
        ("link", "a"),
        ("link_error", [{"task": "smurfq.test"}]),
        ("chain", 5),
        ("chord", 5),
        ("headers", 5),
        ("retries", "x"),
        ("retries", -1),
        ("time_limit", "x"),
        ("soft_time_limit", float("nan")),
        ("expires", "soon"),
        ("shadow", {}),
        ("root_id", []),
        ("kwargs", 5),
    ],
)
def test_an_option_that_a_worker_would_stumble_over_is_rejected(site: LiveSite, option: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=f"smurfq.test: the option '{option}' must be a?.*; got"):
        app.send_task("smurfq.test", **{"kwargs": {"slot": UNSERVED}, option: value})
    assert queued() == 0


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("accepted", ["now", {"a": 1}, [1], True])
def test_a_canvas_says_when_it_was_accepted_as_a_number(site: LiveSite, accepted: Any) -> None:
    with pytest.raises(ParameterError, match="smurfq_accepted must be a time in seconds since 1970, or absent; got"):
        app.send_task("smurfq.test", kwargs={"slot": UNSERVED}, headers={"smurfq_accepted": accepted})
    assert queued() == 0


@pytest.mark.parametrize("args", [[nested(5000)], [[1]], [nested(30)], ["x"], [{}], [1, 2]])
def test_a_positional_argument_is_rejected(site: LiveSite, args: Any) -> None:
    with pytest.raises(
        ParameterError, match="test: parameters go by keyword, as in slot='crate1slot2'; got the positi"
    ):
        app.send_task("smurfq.test", args=args, kwargs={"slot": UNSERVED})
    assert queued() == 0


def message(payload: bytes = GOOD_BODY, headers: Any = None, **changed: Any) -> str:
    """A message as it lies in the queue, good but for what is changed; a field that is None is left out."""
    whole = {
        "body": base64.b64encode(payload).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "smurfq.test", "id": str(uuid.uuid4())} if headers is None else headers,
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": SERVED},
            "correlation_id": str(uuid.uuid4()),
        },
    }
    whole.update({name.replace("_", "-"): value for name, value in changed.items()})
    return json.dumps({name: value for name, value in whole.items() if value is not None})


def of_test(name: str = "test", **headers: Any) -> dict[str, Any]:
    return {"lang": "py", "task": f"smurfq.{name}", "id": str(uuid.uuid4()), **headers}


def body(args: Any = (), kwargs: Any = None, embed: Any = None) -> bytes:
    return json.dumps([args, {"slot": SERVED} if kwargs is None else kwargs, embed or {}]).encode()


NO_TEXT = b"\x84\xff{"


def step(**changed: Any) -> dict[str, Any]:
    return {"task": "smurfq.test", "args": [], "kwargs": {}, "options": {}, "subtask_type": None, **changed}


JUNK: dict[str, str] = {
    "no JSON": "hello",
    "a number": "5",
    "a list": "[]",
    "nothing in it": "{}",
    "no headers": message().replace('"headers"', '"header"'),
    "headers that are none": message(headers=[]),
    "no properties": message(properties=None),
    "a tag that is none": message(properties={"delivery_tag": {}, "delivery_info": {}}),
    "no body": message(body=None),
    "a body that is not base64": message(body="%%%"),
    "a body that is a number": message(body=5),
    "a body that is no JSON": message(b"hello"),
    "a body of three numbers": message(b"[1, 2, 3]"),
    "keywords that are a list": message(body(kwargs=[])),
    "a pickle": message(b"\x80\x04N.", content_type="application/x-python-serialize"),
    "no task": message(headers={"id": "x"}),
    "no id": message(headers={"task": "smurfq.test"}),
    "an id that is a number": message(headers=of_test(id=5)),
    "an id that is a path": message(headers=of_test(id="../../../tmp/x")),
    "a task that is a number": message(headers=of_test(task=5)),
    "a task of Celery's": message(headers=of_test(task="celery.backend_cleanup")),
    "a task of the system's": message(headers=of_test(task="os.system")),
    "an ETA that is none": message(headers=of_test(eta="soon")),
    "an expiry that is none": message(headers=of_test(expires="soon")),
    "limits that are none": message(headers=of_test(timelimit=["a", "b"])),
    "retries that are none": message(headers=of_test(retries="x")),
    "callbacks that are none": message(body(embed={"callbacks": "a"})),
    "errbacks that are none": message(body(embed={"errbacks": [5]})),
    "a chain that is none": message(body(embed={"chain": 5})),
    "a chord that is none": message(body(embed={"chord": 3})),
    "a step of a chain with a path for an id": message(body(embed={"chain": [step(options={"task_id": "../x"})]})),
    "a canvas without its steps": message(body(embed={"callbacks": [step(subtask_type="chain")]})),
    "Celery's first protocol": message(json.dumps({"task": "smurfq.test", "id": "../x", "args": 5}).encode(), {}),
    "nested headers": message(headers=of_test(x=nested(800))),
    "nested keywords": message(body(kwargs={"slot": SERVED, "kwargs": nested(800)})),
    "nested out of reach": message().replace('"lang": "py"', '"lang": ' + "[" * 50_000 + "]" * 50_000),
    "half a character": message(body(kwargs={"slot": SERVED, "\ud800": "\udfff"}), of_test(argsrepr="\ud800")),
    "an integer of thousands of digits": message(b'[[], {"slot": "crate1slot1", "x": ' + b"9" * 5000 + b"}, {}]"),
    "a number beyond floats": message(body(kwargs={"slot": SERVED, "duration": 10**400}), of_test("take_noise")),
    "an encoding that is none": message(content_encoding=5),
    "a name without end": message(headers=of_test("a" * 100_000)),
    "stamps that are none": message(headers=of_test(stamped_headers=["a"], stamps=7)),
    "stamped headers that are none": message(headers=of_test(stamped_headers=5)),
}


def test_a_slot_continues_with_any_content_of_its_queue(site: LiveSite) -> None:
    pid, slot = site.worker_pid(SERVED), Slot(SERVED, load(site.environ))
    app.store.lpush(f"{UNSERVED}\x06\x165", *JUNK.values(), NO_TEXT)
    waiting = Slot(UNSERVED, app.settings).status().waiting  # what cannot be read is shown as well
    app.store.delete(f"{UNSERVED}\x06\x165")
    assert len(waiting) == len(JUNK) + 1
    assert all(isinstance(item.task_id, str) for item in waiting)
    dropped = site.log(f"worker-{SERVED}").count(": dropped a m")

    app.store.lpush(f"{SERVED}\x06\x165", *JUNK.values(), NO_TEXT)
    record = slot.submit("test").wait(WITHIN_S)
    assert record.success, record.error
    assert site.worker_pid(SERVED) == pid, site.log(f"worker-{SERVED}")[-5000:]
    assert (
        site.log(f"worker-{SERVED}").count(": dropped a m") - dropped > len(JUNK) / 2
    )  # Celery drops the others itself
    eventually(lambda: app.store.hlen("unacked") == 0, what="nothing is left to be taken again")


def test_nothing_is_ended_for_junk_or_a_copy_in_the_emergency_queue(site: LiveSite) -> None:
    has_run = app.submit("test", slot=SERVED, emergency=True)
    assert has_run.get(timeout=WITHIN_S)["success"]
    copy = message(headers=of_test(id=has_run.id))
    elsewhere = message(body(kwargs={"slot": UNSERVED}))
    gate = site.gate("in-peace", "print('in peace')")
    task = run.delay(slot=SERVED, script=gate.script)
    eventually(lambda: app.records.read(task.id).log, what="it runs")
    app.store.lpush(f"{SERVED}.emergency", *JUNK.values(), NO_TEXT, copy, elsewhere)
    for _ in range(2):  # as often as it looks for emergencies
        await_renewal(SERVED)
    gate.open()
    assert "in peace" in task.get(timeout=WITHIN_S)["log"]
    eventually(lambda: app.store.llen(f"{SERVED}.emergency") == 0, what="the junk is dropped")


def await_renewal(slot: str) -> None:
    """Return once the lease of a slot has been renewed."""
    before = app.store.pttl(keys.lease(slot))
    while (now := app.store.pttl(keys.lease(slot))) <= before:
        before = now
        time.sleep(0.02)


COMMANDS = (
    b"hello",
    b"\xff\xfe",
    b"5",
    b"[]",
    b"{}",
    b"[" * 50_000 + b"]" * 50_000,
    message(b"{}").encode(),
    message(b"[]", {}).encode(),
    message(json.dumps({"method": "ping", "arguments": 5, "reply_to": 5}).encode(), {}).encode(),
    message(json.dumps({"method": "revoke", "arguments": {"task_id": [[1]]}}).encode(), {}).encode(),
    message(b"{}").replace('"headers": {', '"headers": 5, "none": {').encode(),
    message(b"\x80N.", {}, content_type="application/x-python-serialize").encode(),
)


def test_workers_ignore_malformed_remote_control_messages(site: LiveSite) -> None:
    pids = [site.worker_pid(SERVED, lane) for lane in ("control", "state")]

    def both_answer() -> bool:  # Celery listens anew after each command that it could not make out
        return len(app.control.ping(destination=[f"smurf@{SERVED}", f"state@{SERVED}"], timeout=5.0, limit=2)) == 2

    eventually(both_answer, what="remote commands are answered")
    for text in COMMANDS:
        app.store.publish("/0.celery.pidbox", text)
    eventually(both_answer, what="remote commands are answered")
    assert Slot(SERVED, load(site.environ)).submit("test").wait(WITHIN_S).success
    assert [site.worker_pid(SERVED, lane) for lane in ("control", "state")] == pids


UNREADABLE: dict[str, tuple[str, Callable[[str], str]]] = {
    "no signatures": (
        "'chain' of a task must be a list of signatures; got 5",
        lambda task_id: message(body(embed={"chain": 5}), of_test(id=task_id)),
    ),
    "a pickle": (
        "a task must be application/json, not compressed; got 'application/x-python-serialize'",
        lambda task_id: message(b"\x80N.", of_test(id=task_id), content_type="application/x-python-serialize"),
    ),
    "compressed": (
        "not compressed; got 'application/json, compressed as application/x-gzip'",
        lambda task_id: message(zlib.compress(GOOD_BODY), of_test(id=task_id, compression="application/x-gzip")),
    ),
    "an ETA": (
        "the option 'eta' must be absent, since a message that waits for its time could be run twice; got '2099",
        lambda task_id: message(headers=of_test(id=task_id, eta="2099-01-01T00:00:00+00:00")),
    ),
    "no result": (
        "the option 'ignore_result' must be false, since the record of every operation is kept",
        lambda task_id: message(headers=of_test(id=task_id, ignore_result=True)),
    ),
    "nested": (
        "must not be nested more than 100 levels deep",
        lambda task_id: message(headers=of_test(id=task_id, x=nested(500))),
    ),
}


def test_celerys_additions_to_a_message_are_accepted(site: LiveSite) -> None:
    """Stamps, an expiry, limits and a shadow, as Celery's own producers write them."""
    options = {"expires": 600, "time_limit": 600, "soft_time_limit": 500, "shadow": "smurfq.mine"}
    signature = app.signature("smurfq.test", kwargs={"slot": SERVED}, options=options)
    signature.stamp(night="n-1")
    assert signature.apply_async().get(timeout=WITHIN_S)["outcome"] == "succeeded"


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_waiting_client_is_told_that_its_message_is_malformed(site: LiveSite, case: str) -> None:
    told, made = UNREADABLE[case]
    sent = app.AsyncResult(str(uuid.uuid4()))
    app.store.lpush(f"{SERVED}\x06\x165", made(sent.id))
    with pytest.raises(ParameterError, match=re.escape(told)):
        sent.get(timeout=WITHIN_S)


def test_the_worker_checks_what_a_foreign_producer_sends(site: LiveSite) -> None:
    """A producer that knows nothing of smurfq gets the same refusals, as the task's error."""
    bare = Celery(broker=app.settings.redis_url, backend=app.settings.redis_url)
    bare.conf.update({key: app.conf[key] for key in ("task_queues", "broker_transport_options")})
    pid = site.worker_pid(SERVED)
    sent = []

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(OPERATIONS)), st.dictionaries(NAMES, JSON, max_size=2), st.lists(JSON, max_size=2))
    def send(name: str, params: dict[str, Any], args: list[Any]) -> None:
        wrong = {**params, "no_such_parameter": 1, "slot": SERVED}
        sent.append(bare.send_task(f"smurfq.{name}", args=args, kwargs=wrong, queue=SERVED))

    send()
    try:
        for task in sent:
            with pytest.raises(RequestError):
                task.get(timeout=WITHIN_S)
        assert Slot(SERVED, app.settings).submit("test").wait(WITHIN_S).success
        assert site.worker_pid(SERVED) == pid
    finally:
        bare.close()
