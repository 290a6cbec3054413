"""Priorities, duplicates, batches and locks with a real Valkey, for every way to submit."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from celery import chain, chord, group
from celery.utils import uuid

from smurfq.app import SmurfqApp
from smurfq.client import Slot, Slots, Submission, submit_all
from smurfq.client.connection import Connection
from smurfq.config import load
from smurfq.core import keys
from smurfq.core.jsonsafe import dumps
from smurfq.core.session import Outcome
from smurfq.errors import (
    BatchError,
    DuplicateError,
    ParameterError,
    RequestError,
    SlotHeldError,
    SlotLockedError,
    StoreUnavailableError,
    UnknownOperationError,
)
from smurfq.operations import OPERATIONS, WORKFLOW
from smurfq.reaper import Reaper
from smurfq.store.connection import Client
from smurfq.store.fence import Running
from smurfq.store.holds import Hold
from smurfq.store.locks import Lock
from tests.integration.records import Writer
from tests.site.valkey import Valkey

ONE, TWO = "crate1slot2", "crate1slot3"


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A producer of the site whose Redis is there; it leaves no socket."""
    made = Connection(load({"SMURFQ_REDIS_URL": url, "SMURFQ_SLOTS": f"{ONE},{TWO}", "SMURFQ_OWNER": "ann"}))
    try:
        yield made
    finally:
        made.app.backend.result_consumer.stop()
        made.app.backend.client.close()
        made.redis.close()


@pytest.fixture(scope="module")
def one_connection(valkey_url: str) -> Iterator[Connection]:
    with connected(valkey_url) as made:
        yield made


@pytest.fixture
def connection(valkey: Client, one_connection: Connection) -> Connection:
    return one_connection


@pytest.fixture
def app(connection: Connection) -> SmurfqApp:
    return connection.app


@pytest.fixture
def slot(connection: Connection) -> Slot:
    return Slot(ONE, connection=connection)


def trial(app: SmurfqApp, slot: str = ONE, operation: str = "test", **params: Any) -> Any:
    """An operation's signature, as a schedule makes it."""
    return app.signature(f"smurfq.{operation}", kwargs={"slot": slot, **params}, immutable=True)


def run_as_celery_does(app: SmurfqApp, slot: Slot) -> str:
    """Send the next step of what is next in the queue, as Celery's trace does after a success; the id it took."""
    item = slot.queue()[0]
    connection = slot._connection
    connection.queues.remove(item)
    connection.redis.zrem(keys.WAITING, item.task_id)
    steps = list(item.embed.get("chain") or ())
    if steps:
        step = app.signature(steps.pop())
        step.apply_async(chain=steps, parent_id=item.task_id, root_id=item.headers["root_id"], priority=None)
    return item.task_id


def is_empty(connection: Connection) -> bool:
    """Whether nothing of a submission is left in Redis."""
    others = ("smurfq:lock:", "_kombu", "celery-taskset-meta-")  # the last is how many members a chord has
    left = [key for key in connection.redis.keys("*") if not str(key).startswith(others)]
    return not left


# priorities


@pytest.mark.parametrize(("priority", "number"), [("urgent", 0), ("normal", 5), ("background", 9), (9, 9), (None, 5)])
def test_a_priority_is_a_name_or_its_number(app: SmurfqApp, slot: Slot, priority: Any, number: int) -> None:
    trial(app).apply_async(priority=priority)
    app.send_task("smurfq.test", kwargs={"slot": ONE}, priority=priority)
    app.submit("test", slot=ONE, priority="normal" if priority is None else priority)
    assert [item.priority for item in slot.queue()] == [number] * 3


@pytest.mark.parametrize("priority", ["soon", 3, -1, True, 0.5, "0", [0]])
def test_a_priority_that_there_is_not_is_rejected_by_name(
    app: SmurfqApp, connection: Connection, priority: Any
) -> None:
    with pytest.raises(ParameterError, match=r"urgent \(0\), normal \(5\), background \(9\)"):
        trial(app).apply_async(priority=priority)
    with pytest.raises(ParameterError, match="there is no priority"):
        chain(trial(app), trial(app).set(priority=priority)).apply_async()
    assert is_empty(connection)


def test_urgent_ones_are_served_first_and_background_ones_last(app: SmurfqApp, slot: Slot) -> None:
    order = ["background", "normal", "urgent", "background", "urgent", "normal"]
    ids = [slot.submit("test", priority).id for priority in order]  # type: ignore[arg-type]
    assert [item.task_id for item in slot.queue()] == [ids[place] for place in (2, 4, 1, 5, 0, 3)]


def test_the_steps_of_a_chain_keep_its_priority_or_their_own(app: SmurfqApp, slot: Slot) -> None:
    steps = chain(trial(app), trial(app).set(priority="background"), group(trial(app), trial(app)), trial(app))
    steps.apply_async(priority="urgent")
    seen = []
    for _ in range(2):
        seen.append(slot.queue()[0].priority)
        run_as_celery_does(app, slot)
    assert seen == [0, 9]
    assert [item.priority for item in slot.queue()] == [0, 0]  # the group, which is a chord's header by now
    assert {json.dumps(item.embed["chord"]["options"]["headers"]["smurfq_priority"]) for item in slot.queue()} == {"0"}


def test_a_group_and_a_chord_hand_their_priority_on(app: SmurfqApp, slot: Slot) -> None:
    group(trial(app), trial(app)).apply_async(priority="urgent")
    chord([trial(app)], trial(app)).apply_async(priority="urgent")
    assert [item.priority for item in slot.queue()] == [0] * 3


# duplicates


def test_no_operation_has_a_parameter_that_means_something_else_to_submit() -> None:
    taken = {"unique", "owner", "priority", "operation", "slot", "headers"}
    for operation in (*OPERATIONS.values(), WORKFLOW):
        assert not taken & {parameter.name for parameter in operation.parameters}, operation.name


def test_a_duplicate_of_a_waiting_run_is_rejected_on_request(
    app: SmurfqApp, slot: Slot, connection: Connection
) -> None:
    first = slot.submit("take_iv", tag="cal")  # not asked to be the only one
    for ask in (
        lambda: slot.submit("take_iv", unique=True, tag="cal"),
        lambda: slot.submit("take_iv", "urgent", unique="running", tag="cal", kwargs=None),
        lambda: trial(app, ONE, "take_iv", tag="cal").apply_async(unique=True),
        lambda: app.send_task("smurfq.take_iv", kwargs={"tag": "cal", "slot": ONE}, unique=True),
    ):
        with pytest.raises(DuplicateError, match=f"already waiting: run {first.id}") as caught:
            ask()
        assert (caught.value.session_id, caught.value.state) == (first.id, "waiting")
    slot.submit("take_iv", unique=True, tag="other")
    slot.submit("take_iv", tag="cal")  # nobody asked
    Slot(TWO, connection=connection).submit("take_iv", unique=True, tag="cal")
    assert len(slot.queue()) == 3
    with pytest.raises(ParameterError, match="'waiting' or 'running'"):
        slot.submit("test", unique="always")


@pytest.mark.parametrize("how", ["removed", "aborted", "started", "lost", "revoked"])
def test_a_duplicate_is_accepted_when_the_first_run_no_longer_waits(
    app: SmurfqApp, slot: Slot, connection: Connection, how: str
) -> None:
    first = slot.submit("test", unique=True)
    (item,) = slot.queue()
    if how == "removed":
        first.remove()
    elif how == "aborted":
        assert first.abort() == "removed"
    elif how == "started":
        connection.queues.remove(item)
        running = Running(first.id, "test", ONE, ONE, "host", "lease", time.time())
        assert connection.fence.claim(running, "smurfq.test", 0, "a worker", '{"status": "STARTED"}').ok
        with pytest.raises(DuplicateError, match="already running"):
            slot.submit("test", unique="running")
        assert slot.submit("test", unique=True).abort() == "removed"
        connection.fence.finished(running)
        app.write_end(first.id, Outcome.SUCCEEDED)
    elif how == "lost":
        connection.queues.remove(item)
        connection.redis.zadd(keys.WAITING, {first.id: time.time() - 3600})
        connection.redis.hset(keys.record(first.id), "_resent", 99)
        assert Reaper(app).sweep() == [first.id]
    else:
        connection.queues.remove(item)
        app.end_records(first.id, None, Outcome.ABORTED, ValueError("revoked"))
    again = slot.submit("test", unique="running")
    assert [item.task_id for item in slot.queue()] == [again.id]


def test_of_many_at_once_one_is_taken(connection: Connection, slot: Slot) -> None:
    answers: list[str] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        try:
            answers.append(slot.submit("test", unique=True).id)
        except DuplicateError as error:
            answers.append(f"refused: {error.session_id}")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    assert connection.app  # made before, so that they meet in Redis and not at an import
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    (taken,) = [item.task_id for item in slot.queue()]
    assert sorted(answers) == sorted([taken] + [f"refused: {taken}"] * 7)


def test_the_index_of_duplicates_does_not_grow(slot: Slot, connection: Connection) -> None:
    for _ in range(40):
        slot.submit("test").remove()
    (key,) = connection.redis.keys("smurfq:duplicates:*")
    assert connection.redis.scard(key) <= 5
    assert connection.redis.ttl(key) > 0


def test_an_id_that_is_taken_is_rejected_and_the_run_under_it_left_alone(app: SmurfqApp, slot: Slot) -> None:
    run = slot.submit("test")
    Writer(slot._connection, run.id).start()
    before = run.record()
    with pytest.raises(DuplicateError, match="belongs to another submission"):
        trial(app).apply_async(task_id=run.id)
    assert run.record() == before
    assert slot.queue() == []


# batches


def test_a_batch_is_queued_whole_and_in_its_order(connection: Connection, slot: Slot) -> None:
    asked = [Submission("test", name) for name in (ONE, TWO, ONE)] + [Submission("test", ONE, priority="urgent")]
    runs = submit_all(asked, connection=connection)
    assert [item.task_id for item in slot.queue()] == [runs[3].id, runs[0].id, runs[2].id]
    assert [run.record().status for run in runs] == ["queued"] * 4
    assert {run.record().submitted_by for run in runs} == {"ann"}


def test_a_batch_with_wrong_submissions_is_rejected_and_names_each(connection: Connection) -> None:
    asked = [
        Submission("test", ONE),
        Submission("take_iw", ONE),
        Submission("test", "crate9slot1"),
        Submission("take_iv", TWO, {"tagg": "cal"}),
        Submission("test", TWO, priority="soon"),  # type: ignore[arg-type]
    ]
    with pytest.raises(
        BatchError, match=r"4 of 5 submissions are rejected, and nothing was queued: number 2: .*take_iv"
    ):
        submit_all(asked, connection=connection)
    assert is_empty(connection)


def test_a_batch_with_a_locked_slot_or_a_duplicate_is_rejected_as_a_whole(connection: Connection, slot: Slot) -> None:
    Slot(TWO, connection=connection).lock("bob")
    with pytest.raises(SlotLockedError, match=TWO):
        submit_all([Submission("test", ONE), Submission("test", TWO)], connection=connection)
    with pytest.raises(SlotLockedError, match=TWO):
        Slots(connection=connection).submit("test")
    with pytest.raises(BatchError, match=r"number 2: .* with the same parameters already"):
        submit_all([Submission("test", ONE, unique=True)] * 2, connection=connection)
    assert is_empty(connection)
    waiting = slot.submit("test")
    with pytest.raises(DuplicateError, match=waiting.id):
        submit_all([Submission("take_iv", ONE), Submission("test", ONE, unique=True)], connection=connection)
    assert [item.task_id for item in slot.queue()] == [waiting.id]


def test_a_canvas_in_a_batch_is_all_or_none_and_an_error_in_the_block_queues_nothing(
    app: SmurfqApp, connection: Connection
) -> None:
    with pytest.raises(ZeroDivisionError), app.batch():
        group(trial(app, ONE), trial(app, TWO)).apply_async()
        raise ZeroDivisionError
    with pytest.raises(UnknownOperationError), app.batch():
        group(trial(app, ONE), app.signature("smurfq.take_iw", kwargs={"slot": TWO})).apply_async()
    assert is_empty(connection)
    with app.batch():
        group(trial(app, ONE), trial(app, TWO)).apply_async()
        with app.batch():
            trial(app, ONE).apply_async()
        assert is_empty(connection)
    assert [len(connection.queues.waiting(name)) for name in (ONE, TWO)] == [2, 1]


def test_a_batch_sent_again_after_a_lost_answer_is_queued_once(
    app: SmurfqApp, connection: Connection, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As redis-py does it: the script was run, its answer was lost with the connection, and it is sent again."""
    admit = app.site_store.admission.admit

    def twice(*args: Any) -> None:
        admit(*args)
        admit(*args)

    monkeypatch.setattr(app.site_store.admission, "admit", twice)
    runs = submit_all([Submission("test", ONE)] * 3, connection=connection)
    assert [item.task_id for item in slot.queue()] == [run.id for run in runs]


def test_redis_killed_in_the_middle_leaves_all_or_nothing(tmp_path: Path) -> None:
    """A batch is one transaction of the append-only file: cut anywhere, a restart has each batch whole or not."""
    folder = tmp_path / "valkey"
    with (
        Valkey(folder, appendfsync="always") as server,
        connected(server.url) as connection,
    ):
        for _ in range(3):
            submit_all([Submission("test", ONE), Submission("test", TWO)] * 5, connection=connection)
    (file,) = folder.glob("appendonlydir/*.incr.aof")
    file.write_bytes(file.read_bytes()[:-700])  # in the middle of the last batch
    with (
        Valkey(folder, appendfsync="always") as server,
        connected(server.url) as connection,
    ):
        waiting = [item.task_id for name in (ONE, TWO) for item in connection.queues.waiting(name)]
        assert len(waiting) == 20
        assert len(connection.redis.keys("smurfq:record:*")) == 20
        assert set(connection.redis.zrange(keys.WAITING, 0, -1)) == set(waiting)


def test_a_full_redis_takes_nothing_of_a_batch(valkey: Client, connection: Connection) -> None:
    assert connection.app.site_store.admission
    connection.queues.waiting(ONE)
    valkey.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailableError):
            submit_all([Submission("test", ONE), Submission("test", TWO)], connection=connection)
    finally:
        valkey.config_set("maxmemory", 0)
    assert is_empty(connection)


# locks


def submit_ways(app: SmurfqApp, slot: Slot) -> list[Callable[[], Any]]:
    """Each way to submit to the slot."""
    return [
        lambda: slot.submit("test"),
        lambda: trial(app).delay(),
        lambda: trial(app).apply_async(headers={"smurfq_owner": "cat"}),
        lambda: app.send_task("smurfq.test", kwargs={"slot": ONE}),
        lambda: group(trial(app, TWO), trial(app)).apply_async(),
        lambda: chain(trial(app, TWO), trial(app)).apply_async(),
        lambda: chord([trial(app, TWO)], trial(app)).apply_async(),
        lambda: chain(trial(app, TWO), group(trial(app, TWO), trial(app))).apply_async(),
    ]


def test_a_locked_slot_rejects_others_in_every_way(app: SmurfqApp, slot: Slot, connection: Connection) -> None:
    lock = slot.lock("bob", "swapping the UFM", for_s=3600)
    assert slot.status().lock == lock
    for number, submit in enumerate(submit_ways(app, slot)):
        with pytest.raises(
            SlotLockedError, match=r"locked by bob until .*\(swapping the UFM\).*--force.*emergency-off"
        ):
            if number == 4:
                with app.batch():
                    submit()
            else:
                submit()
    assert is_empty(connection)


def test_the_owner_the_state_lane_and_emergencies_pass_a_lock(
    app: SmurfqApp, slot: Slot, connection: Connection
) -> None:
    slot.lock("ann")
    for submit in submit_ways(app, slot)[:2]:
        submit()
    slot.lock("bob", force=True)
    slot.submit("test", owner="bob")
    trial(app).apply_async(owner="bob")
    slot.submit("check_state", once=True)
    slot.emergency_off(by="cat")
    app.submit("restart_rssi", slot=ONE, emergency=True)
    by = [item.headers["smurfq_owner"] for item in slot.queue()]
    assert by == ["ann", "ann", "ann", "ann", "bob", "bob", "ann"]
    assert slot.queue()[0].queue == f"{ONE}.emergency"


def test_a_chain_that_was_accepted_before_a_lock_continues(app: SmurfqApp, slot: Slot) -> None:
    chain(trial(app), trial(app), trial(app)).apply_async()
    slot.lock("bob")
    run_as_celery_does(app, slot)
    run_as_celery_does(app, slot)
    (last,) = slot.queue()
    assert last.headers["smurfq_owner"] == "ann"
    with pytest.raises(SlotLockedError):
        slot.submit("test")


def test_the_steps_of_the_owners_chain_continue_under_the_lock(app: SmurfqApp, slot: Slot) -> None:
    slot.lock("bob")
    chain(trial(app), trial(app)).apply_async(owner="bob")
    run_as_celery_does(app, slot)  # a worker sends it, which is nobody's owner
    assert [item.headers["smurfq_owner"] for item in slot.queue()] == ["bob"]


def test_a_lock_ends_by_itself_and_is_another_s_until_then(slot: Slot) -> None:
    slot.lock("bob", for_s=0.2)
    with pytest.raises(SlotLockedError, match="bob"):
        slot.lock()
    with pytest.raises(SlotLockedError, match="--force"):
        slot.unlock()
    deadline = time.monotonic() + 20
    while True:
        try:
            slot.submit("test")
            break
        except SlotLockedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert slot.unlock() is False
    slot.lock("bob")
    assert slot.unlock(force=True) is True


def test_a_lock_of_several_slots_is_undone_if_somebody_else_has_locked_one(connection: Connection) -> None:
    slots = Slots(connection=connection)
    slots[TWO].lock("bob")
    with pytest.raises(SlotLockedError, match=TWO):
        slots.lock()
    assert [one.status().lock is None for one in slots] == [True, False]
    slots[TWO].unlock("bob")
    assert set(slots.lock(note="cal")) == {ONE, TWO}


@pytest.mark.parametrize("kind", ["hold", "lock"])
def test_of_two_who_reserve_at_once_one_has_it(connection: Connection, kind: str) -> None:
    reserve = connection.holds.put if kind == "hold" else connection.locks.put
    make: Any = Hold if kind == "hold" else Lock
    answers: list[str] = []
    start = threading.Barrier(6)

    def ask(name: str) -> None:
        start.wait()
        try:
            reserve(make(ONE, name, since=time.time()))
            answers.append(name)
        except (SlotHeldError, SlotLockedError):
            answers.append("refused")

    threads = [threading.Thread(target=ask, args=(f"p{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len([answer for answer in answers if answer != "refused"]) == 1


def test_names_in_any_script_are_compared_whole(slot: Slot) -> None:
    slot.lock("Ådám 🔭", 'note "quoted"')
    slot.submit("test", owner="Ådám 🔭")
    with pytest.raises(SlotLockedError, match="Ådám"):
        slot.submit("test", owner="Ådám")
    assert slot.unlock("Ådám 🔭")


def test_a_worker_submits_as_the_owner_in_its_environment(
    app: SmurfqApp, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMURFQ_OWNER", "schedule")  # as an operation's process has it, whose settings are its worker's
    slot.lock("schedule")
    assert slot.submit("test").record().submitted_by == "schedule"


def test_a_refusal_is_a_request_error_and_a_message_is_json(slot: Slot, app: SmurfqApp) -> None:
    slot.lock("bob")
    with pytest.raises(RequestError):
        slot.submit("test")
    slot.unlock(force=True)
    trial(app).apply_async(serializer="pickle", compression="gzip", task_id=uuid())
    text = slot.queue()[0].text
    assert json.loads(text)["content-type"] == "application/json"
    assert dumps(asdict(Lock(ONE, "x")))
