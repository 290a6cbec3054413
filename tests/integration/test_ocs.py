"""OCS clients with real workers: the behaviour on which code for ocs and socs relies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from smurfq.client import Slot
from smurfq.client.connection import Connection
from smurfq.config import Settings, load
from smurfq.core import keys
from smurfq.errors import StoreUnavailableError, UnknownSlotError, WaitTimeoutError
from smurfq.ocs import ERROR, OK, TIMEOUT, ControlClientError, MatchedClient, MultiSlotController, OCSClient
from smurfq.ocs.wait_for_end import wait_for_end
from tests.integration.records import serve
from tests.site.eventually import eventually
from tests.site.live import LiveSite
from tests.site.ports import free_port

SERVED = ("crate1slot1", "crate1slot2")
UNSERVED = "crate1slot7"
NAME = "pysmurf-controller-crate1slot2"
PUBLISHING = """
import json, os, socket, sys
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
address = (os.environ["SMURFPUB_UDP_HOST"], int(os.environ["SMURFPUB_UDP_PORT"]))
def publish(number, kind, payload):
    message = {"host": "h", "id": os.environ["SMURFPUB_ID"], "script": "s", "time": 1.0,
               "seq_no": number, "type": kind, "payload": payload}
    out.sendto(json.dumps(message).encode(), address)
publish(0, "session_log", "Starting data stream")
publish(1, "session_log", "Data stream is closed")
publish(2, "session_data", {"datafile": "/data/1584402020.dat", "active_channels": [0, 1, 2, 3, 4]})
"""
ARGUMENTS = """
import json, os, socket, sys
message = {"host": "h", "id": os.environ["SMURFPUB_ID"], "script": "s", "time": 1.0,
           "seq_no": 0, "type": "session_data", "payload": {"argv": sys.argv[1:]}}
address = (os.environ["SMURFPUB_UDP_HOST"], int(os.environ["SMURFPUB_UDP_PORT"]))
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(json.dumps(message).encode(), address)
"""
UNTIL_TOLD = """
import pathlib, sys, time
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.02)
"""
FAILING = "raise SystemExit('no such band')\n"


@pytest.fixture(scope="module")
def settings(site: LiveSite) -> Settings:
    return load({**site.environ, "SMURFQ_SLOTS": " ".join([*SERVED, UNSERVED]), "SMURFQ_OCS_PATIENCE_S": "0.5"})


@pytest.fixture
def client(settings: Settings) -> OCSClient:
    return OCSClient(NAME, settings=settings)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """What a script waits for; opened at the end at the latest."""
    path = tmp_path / "gate"
    yield path
    path.touch()


def with_settings(settings: Settings, **ocs: Any) -> OCSClient:
    changed = settings.model_copy(update={"ocs": settings.ocs.model_copy(update=ocs)})
    return OCSClient(NAME, settings=changed)


def hold_up(site: LiveSite, client: OCSClient, gate: Path) -> str:
    """The session id of a script that now runs until the gate is open."""
    reply = client.run.start(script=site.script("until_told.py", UNTIL_TOLD), args=[str(gate)])
    assert reply.status == OK, reply
    eventually(lambda: client.run.status().session["op_code"] == 3, 40, "the script runs")
    return str(reply.session["session_id"])


def test_the_example_of_the_controller_s_documentation(site: LiveSite, settings: Settings) -> None:
    controller = MatchedClient(NAME, args=[], settings=settings)
    script_path = site.script("stream.py", PUBLISHING)
    controller.run.start(script=script_path)

    ok, msg, sess = controller.run.wait()
    assert ok == OK, msg
    assert sess["data"] == {"datafile": "/data/1584402020.dat", "active_channels": [0, 1, 2, 3, 4]}
    assert [text for _, text in sess["messages"]] == ["Starting data stream", "Data stream is closed"]
    assert (sess["op_name"], sess["status"], sess["success"], sess["op_code"]) == ("run", "done", True, 5)
    assert sess["start_time"] <= sess["end_time"]
    json.dumps(sess, allow_nan=False)


def test_a_script_gets_its_arguments_as_the_controller_passes_them(site: LiveSite, client: OCSClient) -> None:
    ok, msg, session = client.run(
        script=site.script("arguments.py", ARGUMENTS), args=["--bgs", "0 1 2", "--UHF_wait", False, "--wait", 2.5]
    )
    assert (ok, session["success"]) == (OK, True), msg
    assert session["data"] == {"argv": ["--bgs", "0 1 2", "--UHF_wait", "False", "--wait", "2.5"]}


def test_a_task_that_is_called_starts_and_waits(client: OCSClient) -> None:
    ok, _, session = client.test()
    assert (ok, session["data"], session["op_name"]) == (OK, {"test": 10}, "test")
    assert client.run_test_func().session["op_name"] == "run_test_func"
    assert client.test.status().session["session_id"] != session["session_id"]
    assert "test[session=" in repr(client.test.wait())


def test_a_failure_is_in_the_session_and_not_in_the_reply(site: LiveSite, client: OCSClient) -> None:
    ok, msg, session = client.run(script=site.script("failing.py", FAILING))
    assert ok == OK
    assert msg.endswith("(FAILED).")
    assert (session["success"], session["op_code"]) == (False, 6)
    assert "no such band" in session["messages"][-1][1] + session["log"]
    assert "with ERROR" in repr(client.run.status())


def test_an_operation_that_never_ran_has_an_empty_session(settings: Settings) -> None:
    client = OCSClient("pysmurf-controller-s7", settings=settings)
    assert client.all_off.status() == (OK, "No session active.", {})
    assert client.all_off.wait() == (OK, "Idle.", {})
    assert client.all_off.abort() == (ERROR, "No session active.", {})
    assert client.check_state() == (OK, "No session active.", {})
    assert client.stream.stop() == (ERROR, "No session active.", {})


def test_a_second_start_is_rejected_and_waits_for_the_first(
    site: LiveSite, settings: Settings, client: OCSClient, gate: Path
) -> None:
    session_id = hold_up(site, client, gate)
    other = OCSClient("pysmurf-controller-s2", settings=settings)
    again = other.run.start(script=site.script("failing.py", FAILING))
    assert (again.status, again.msg) == (ERROR, 'Operation "run" already in progress.')
    assert again.session["session_id"] == session_id
    waited = other.run.wait(timeout=0)
    assert (waited.status, waited.session["session_id"]) == (TIMEOUT, session_id)
    assert other.run.wait(timeout=-1).status == TIMEOUT
    assert Slot("crate1slot2", settings).queue() == []
    gate.touch()
    assert other.run.wait(timeout=40).session["success"]
    assert client.run.wait().session["session_id"] == session_id


def test_another_operation_waits_for_its_turn(site: LiveSite, client: OCSClient, gate: Path) -> None:
    hold_up(site, client, gate)
    started = client.test.start()
    assert (started.status, started.session["status"], started.session["op_code"]) == (OK, "starting", 2)
    assert client.test.wait(timeout=0.1).status == TIMEOUT
    gate.touch()
    assert client.test.wait(timeout=40).session["success"]


def test_nothing_waits_behind_what_has_no_end(settings: Settings, client: OCSClient) -> None:
    slot = Slot("crate1slot2", settings)
    slot.hold(note="a test")
    try:
        stream = slot.submit("stream")
        refused = client.test.start()
        assert refused.status == ERROR
        assert f"stream {stream.id[:8]} is before it until somebody stops it" in refused.msg
        assert with_settings(settings, busy="queue").test.start().status == OK
    finally:
        for waiting in slot.queue():
            slot.run(waiting.task_id).remove()
        slot.release()


def test_the_site_says_whether_operations_wait(site: LiveSite, settings: Settings, gate: Path) -> None:
    strict, patient = with_settings(settings, busy="refuse"), with_settings(settings, busy="queue")
    session_id = hold_up(site, patient, gate)
    assert "run " + session_id[:8] + " is before it" in strict.test.start().msg
    second = patient.run.start(script=site.script("until_told.py", UNTIL_TOLD), args=[str(gate)])
    assert (second.status, second.session["status"]) == (OK, "starting")
    assert second.session["session_id"] != session_id
    gate.touch()
    assert patient.run.wait(timeout=40).session["session_id"] == second.session["session_id"]


def test_a_client_is_told_that_its_start_was_rejected(settings: Settings, client: OCSClient) -> None:
    assert client.test().session["success"]
    reply = client.test.start(tag="cal")
    assert (reply.status, reply.session) == (ERROR, {})
    assert "test has no parameter 'tag'" in reply.msg
    for told in (client.test.wait(), client.test.status()):
        assert (told.session["success"], told.session["op_code"], told.session["op_name"]) == (False, 6, "test")
    assert OCSClient(NAME, settings=settings).test.status().session["success"]  # others are not told of it
    assert client.test().session["success"]


def test_a_client_gets_its_own_run_although_others_start_more(settings: Settings, client: OCSClient) -> None:
    other = OCSClient(NAME, settings=settings)
    mine = client.test.start().session["session_id"]
    eventually(lambda: other.test.status().session["status"] == "done", 40)
    others = other.test().session["session_id"]
    assert client.test.wait().session["session_id"] == mine
    assert client.test.status().session["session_id"] == others


def test_an_abort_ends_the_task_and_says_so(site: LiveSite, client: OCSClient, gate: Path) -> None:
    hold_up(site, client, gate)
    assert client.run.abort().msg == 'Requested abort on task "run".'
    session = client.run.wait(timeout=60).session
    assert (session["success"], session["outcome"]) == (False, "aborted")
    assert client.run.abort() == (ERROR, "The operation is already done", {})


def test_the_controller_s_task_abort_ends_the_running_operation(site: LiveSite, client: OCSClient, gate: Path) -> None:
    hold_up(site, client, gate)
    ok, _, session = client.abort()
    assert (ok, session["success"], session["data"]) == (OK, True, {"aborted": "run"})
    assert client.run.wait().session["outcome"] == "aborted"
    assert client.abort.start() == (ERROR, "no operation is running on crate1slot2", {})


def test_a_slot_that_nobody_serves_is_not_waited_for(settings: Settings) -> None:
    client = OCSClient("pysmurf-controller-s7", settings=settings)
    refused = client.test.start()
    assert refused.status == ERROR
    assert "no worker serves crate1slot7, nothing was queued; `smurfq worker --slot crate1slot7`" in refused.msg
    assert not client.test.wait().session["success"]

    connection = Connection(settings)
    serve(connection, UNSERVED)
    started = client.test.start()
    assert started.status == OK
    connection.redis.delete(keys.lease(UNSERVED))  # its worker dies
    given_up = client.test.wait()
    assert given_up.status == ERROR
    assert "no worker has served the slot" in given_up.msg
    assert given_up.msg.endswith("the run was removed from the queue")
    assert given_up.session["session_id"] == started.session["session_id"]
    assert given_up.session["outcome"] == "aborted"
    assert Slot(UNSERVED, settings).queue() == []


def test_runs_that_others_queued_stay_in_the_queue(settings: Settings) -> None:
    slot = Slot(UNSERVED, settings)
    theirs = slot.submit("test")
    try:
        given_up = OCSClient(UNSERVED, settings=settings).test.wait()
        assert given_up.msg.endswith("the run continues")
        assert [waiting.task_id for waiting in slot.queue()] == [theirs.id]
    finally:
        theirs.remove()


def test_an_unknown_instance_or_a_missing_redis_is_told_as_ocs_tells_it(settings: Settings, client: OCSClient) -> None:
    with pytest.raises(ControlClientError, match=r"no callee registered: .*'pysmurf-controller-s9' names no slot"):
        OCSClient("pysmurf-controller-s9", settings=settings)
    gone = load({"SMURFQ_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "SMURFQ_SLOTS": "crate1slot2"})
    with pytest.raises(ControlClientError, match=r"Redis at .* does not answer"):
        OCSClient(NAME, settings=gone)
    with pytest.raises(AttributeError, match="no operation 'take_ivs'; did you mean 'take_iv'"):
        _ = client.take_ivs
    with pytest.raises(AttributeError):
        _ = client.take_iv.stop  # a task has abort, a process has stop
    with pytest.raises(AttributeError):
        _ = client.stream.abort


def test_an_outage_of_redis_is_reported_after_the_timeout(settings: Settings, client: OCSClient) -> None:
    gone = load({"SMURFQ_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "SMURFQ_SLOTS": "crate1slot2"})
    client.test.agent.connection = Connection(gone.model_copy(update={"ocs": settings.ocs}))
    for ask in (client.test.status, client.test.start, client.test.wait):
        with pytest.raises(ControlClientError, match=f"{NAME}: Redis at .* does not answer"):
            ask()
    with pytest.raises(StoreUnavailableError, match=r"Redis at .* does not answer"):
        wait_for_end(Connection(gone), "an-id", lambda: True, timeout_s=None, patience_s=0.2)
    with pytest.raises(WaitTimeoutError, match=r"was not over within 0\.2 s"):
        wait_for_end(Connection(gone), "an-id", lambda: True, timeout_s=0.2, patience_s=60.0)


def test_the_registry_names_who_is_served(settings: Settings) -> None:
    data = OCSClient("registry", settings=settings).main.status().session["data"]
    assert {address.split(".")[-1]: entry["expired"] for address, entry in data.items()} == {
        "pysmurf-controller-crate1slot1": False,
        "pysmurf-controller-crate1slot2": False,
        "pysmurf-controller-crate1slot7": True,
    }
    entry = data["observatory.pysmurf-controller-crate1slot2"]
    assert entry["agent_class"] == "PysmurfController"
    assert entry["op_codes"]["take_iv"] == 1


def test_several_slots_by_one_controller(settings: Settings) -> None:
    controller = MultiSlotController(settings=settings)
    assert list(controller.smurfs) == list(SERVED)
    assert {key: reply.status for key, reply in controller.start("test").items()} == dict.fromkeys(SERVED, OK)
    waited = controller.wait("test")
    assert all(reply.session["success"] for reply in waited.values())
    assert {key: reply.session["slot"] for key, reply in waited.items()} == {key: key for key in SERVED}
    refused = controller.start("test", ids="crate1slot2", tag="cal")
    assert list(refused) == ["crate1slot2"]
    assert refused["crate1slot2"].status == ERROR
    assert controller.stop("check_state", ids=["crate1slot1"])["crate1slot1"].status in (OK, ERROR)
    with pytest.raises(UnknownSlotError, match="no worker serves crate1slot7; workers serve crate1slot1, crate1slot2"):
        controller.start("test", ids=[UNSERVED])


def test_clients_that_start_at_once_start_one(site: LiveSite, settings: Settings, gate: Path) -> None:
    script = site.script("until_told.py", UNTIL_TOLD)
    clients = [OCSClient(NAME, settings=settings) for _ in range(8)]
    with ThreadPoolExecutor(len(clients)) as pool:
        replies = list(pool.map(lambda each: each.run.start(script=script, args=[str(gate)]), clients))
    assert sorted(reply.status for reply in replies) == [ERROR] * 7 + [OK]
    assert len({reply.session["session_id"] for reply in replies}) == 1
    gate.touch()
    assert all(each.run.wait().session["success"] for each in clients)
