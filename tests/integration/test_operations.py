"""Operations on a live worker: their results, failures and ends."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from celery import chain, chord, group
from celery.utils import uuid

from smurfq.app import app
from smurfq.core.session import SessionRecord
from smurfq.core.slot import worker_name
from smurfq.errors import (
    OperationAbortedError,
    OperationDiedError,
    OperationFailedError,
    OperationTimeLimitError,
    ParameterError,
    UnknownOperationError,
    UnknownSlotError,
    UnsupportedOptionError,
)
from smurfq.store.control_requests import Request
from smurfq.tasks import run
from smurfq.tasks import test as trial
from tests.site.eventually import WITHIN_S, eventually
from tests.site.live import LiveSite
from tests.site.process_group import lives

SLOT = "crate1slot1"

# A script that publishes as pysmurf's Publisher does, without the cost of importing pysmurf.
PUBLISH = """
import json, os, socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
seq = 0
def publish(payload, msgtype):
    global seq
    message = dict(host="here", id=os.environ["SMURFPUB_ID"], script="test", time=time.time(), seq_no=seq, type=msgtype,
                   payload=payload)
    seq += 1
    sock.sendto(json.dumps(message).encode(), (os.environ["SMURFPUB_UDP_HOST"], int(os.environ["SMURFPUB_UDP_PORT"])))
"""


# And one that waits while the bridge's socket holds much: on a loaded machine the kernel may drop what comes then.
WAIT = """
def wait():
    port = f":{int(os.environ['SMURFPUB_UDP_PORT']):04X}"
    while any(int(row[4].split(":")[1], 16) > 1_000_000 for row in map(str.split, open("/proc/net/udp"))
              if row[1].endswith(port)):
        time.sleep(0.01)
"""


def record_of(task: Any) -> SessionRecord:
    return app.records.read(task.id)


def ended(task: Any, within_s: float = WITHIN_S) -> SessionRecord:
    """The record of a task, once it has ended in Celery too."""
    eventually(task.ready, within_s, f"{task.id} ends; {record_of(task).to_dict()}")
    return record_of(task)


def test_the_test_operation_returns_its_record(site: LiveSite) -> None:
    record = trial.delay(slot=SLOT).get(timeout=WITHIN_S)
    assert record["data"] == {"test": 10}
    assert (record["status"], record["success"], record["outcome"], record["op_code"]) == ("done", True, "succeeded", 5)
    assert record["complete"] is True
    assert record["lost"] == 0


def test_a_script_that_publishes_leaves_what_the_document_shows(site: LiveSite) -> None:
    script = site.script(
        "stream_data.py",
        PUBLISH
        + """
publish({"active_channels": [0, 1, 2, 3, 4]}, "session_data")
publish("Starting data stream", "session_log")
publish("Data stream is closed", "session_log")
publish({"datafile": "/data/smurf_data/20200316/1584401673/outputs/1584402020.dat", "worst": float("nan")},
        "session_data")
print("printed", sys.argv[1:])
""",
    )
    record = run.delay(slot=SLOT, script=script, args=["--bands", 0]).get(timeout=WITHIN_S)
    assert record["data"] == {
        "datafile": "/data/smurf_data/20200316/1584401673/outputs/1584402020.dat",
        "active_channels": [0, 1, 2, 3, 4],
        "worst": None,
    }
    texts = [text for _, text in record["messages"]]
    assert texts == ["Starting data stream", "Data stream is closed"]
    assert record["log"] == "printed ['--bands', '0']\n"
    assert Path(record["log_file"]).read_text() == record["log"]
    assert record["complete"]


def test_progress_is_seen_while_it_runs(site: LiveSite) -> None:
    enough = site.folder / "progress.seen"
    script = site.script(
        "progress.py",
        PUBLISH
        + f"""
step = 0
while not os.path.exists({str(enough)!r}):
    publish(f"step {{step}}", "session_log")
    publish({{"step": step}}, "session_data")
    step += 1
    time.sleep(0.05)
""",
    )
    live = []

    def see(message: dict[str, Any]) -> None:
        if message["status"] == "PROGRESS" and "step" in message["result"]["data"]:
            live.append(message["result"])
        if len({shown["data"]["step"] for shown in live}) >= 5:
            enough.touch()

    run.delay(slot=SLOT, script=script).get(timeout=WITHIN_S, on_message=see)
    steps = [shown["data"]["step"] for shown in live]
    assert steps == sorted(steps)
    for shown, step in zip(live, steps, strict=True):
        assert f"step {step}" in [text for _, text in shown["messages"]]


def test_a_result_of_any_size_comes_back(site: LiveSite) -> None:
    script = site.script(
        "big.py", PUBLISH + WAIT + "\nfor i in range(300): publish({f'k{i}': 'x' * 40000}, 'session_data'); wait()\n"
    )
    record = run.delay(slot=SLOT, script=script).get(timeout=WITHIN_S)
    assert sum(len(value) for value in record["data"].values()) == 300 * 40000


def test_a_script_that_raises_fails_and_its_record_says_why(site: LiveSite) -> None:
    script = site.script("raises.py", "print('before')\nraise ValueError('no such band: 9')\n")
    task = run.delay(slot=SLOT, script=script)
    with pytest.raises(OperationFailedError, match="no such band: 9"):
        task.get(timeout=WITHIN_S)
    record = record_of(task)
    assert record.outcome == "failed"
    assert record.error is not None
    assert "raises.py" in record.error["traceback"]
    assert "before\n" in record.log


@pytest.mark.parametrize(("code", "words"), [("3", "exit code 3"), ("'no detectors'", "no detectors")])
def test_an_exit_code_is_a_failure(site: LiveSite, code: str, words: str) -> None:
    script = site.script("exits.py", f"import sys\nsys.exit({code})\n")
    with pytest.raises(OperationFailedError, match=words):
        run.delay(slot=SLOT, script=script).get(timeout=WITHIN_S)


def test_exit_code_0_is_success(site: LiveSite) -> None:
    script = site.script("exits0.py", "import sys\nsys.exit(0)\n")
    assert run.delay(slot=SLOT, script=script).get(timeout=WITHIN_S)["success"]


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("os._exit(7)", "exit code 7"),
    ],
)
def test_a_death_without_a_result_is_reported_within_a_second(site: LiveSite, ending: str, words: str) -> None:
    script = site.script("dies.py", f"import os, signal\nprint('last words', flush=True)\n{ending}\n")
    task = run.delay(slot=SLOT, script=script)
    with pytest.raises(OperationDiedError, match=words):
        task.get(timeout=WITHIN_S)
    record = record_of(task)
    assert record.log == "last words\n"
    assert record.outcome == "failed"
    assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["success"]


def test_child_processes_of_a_script_end_with_it(site: LiveSite) -> None:
    script = site.script(
        "leaves.py",
        "import os, subprocess, sys\n"
        "group = subprocess.Popen(['sleep', '300'])\n"
        "away = subprocess.Popen(['setsid', 'sleep', '300'])\n"
        "print(group.pid, away.pid)\n",
    )
    record = run.delay(slot=SLOT, script=script).get(timeout=WITHIN_S)
    for pid in record["log"].split():
        assert not lives(int(pid))
    assert any("left behind" in text for _, text in record["messages"])


def test_a_script_may_have_processes_of_its_own(site: LiveSite) -> None:
    """As sodetlib's tes_param_correction has."""
    script = site.script(
        "parallel.py",
        "import multiprocessing\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "def double(x):\n    return 2 * x\n"
        "if __name__ == '__main__':\n"
        "    with ProcessPoolExecutor(2) as pool:\n        print(sum(pool.map(double, range(10))))\n"
        "    child = multiprocessing.Process(target=print, args=('from a child',))\n"
        "    child.start()\n    child.join()\n    print(child.exitcode)\n",
    )
    assert run.delay(slot=SLOT, script=script).get(timeout=WITHIN_S)["log"] == "90\nfrom a child\n0\n"


def test_a_time_limit_ends_it(site: LiveSite) -> None:
    script = site.script("long.py", "import time\nprint('on', flush=True)\ntime.sleep(300)\n")
    task = run.apply_async(kwargs={"slot": SLOT, "script": script}, time_limit=0.5)
    with pytest.raises(OperationTimeLimitError, match=r"time limit of 0\.5 s"):
        task.get(timeout=WITHIN_S)
    assert record_of(task).outcome == "failed"


def test_an_abort_runs_finally_blocks_and_ends_the_children(site: LiveSite) -> None:
    script = site.script(
        "aborts.py",
        "import subprocess, time\n"
        "child = subprocess.Popen(['sleep', '300'])\n"
        "print(child.pid, flush=True)\n"
        "try:\n    time.sleep(300)\nfinally:\n    print('cleaned up', flush=True)\n",
    )
    task = run.delay(slot=SLOT, script=script)
    eventually(lambda: record_of(task).log, what="it runs")
    app.control_requests.ask(task.id, Request("abort", by="tester", reason="enough"))
    with pytest.raises(OperationAbortedError, match="tester"):
        task.get(timeout=WITHIN_S)
    record = record_of(task)
    assert record.outcome == "aborted"
    assert "cleaned up" in record.log
    assert not lives(int(record.log.split()[0]))
    assert [name for name, _ in record.stages if name.startswith("abort")] == ["abort: asked", "abort: signalled"]


def test_one_that_does_not_heed_is_killed_and_made_safe(site: LiveSite) -> None:
    script = site.script(
        "stubborn.py",
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('on', flush=True)\n"
        "while True: time.sleep(1)\n",
    )
    task = run.delay(slot=SLOT, script=script)
    eventually(lambda: record_of(task).log, what="it runs")
    app.control_requests.ask(task.id, Request("abort", by="tester", grace_s=0.2))
    with pytest.raises(OperationAbortedError, match="had to be killed"):
        task.get(timeout=WITHIN_S)
    record = record_of(task)
    assert [name for name, _ in record.stages][-1] == "abort: killed"
    assert "make_safe" in record.data


def test_celerys_revoke_ends_as_clean_as_an_abort(site: LiveSite) -> None:
    script = site.script(
        "revoked.py",
        "import time\nprint('on', flush=True)\ntry:\n    time.sleep(300)\nfinally:\n    print('clean', flush=True)\n",
    )
    steps = chain(run.si(slot=SLOT, script=script), trial.si(slot=SLOT), trial.si(slot="crate1slot2"))
    last = steps.apply_async()
    first = last.parent.parent
    eventually(lambda: record_of(first).log, what="it runs")
    first.revoke(terminate=True)
    record = ended(first)
    assert record.outcome == "aborted"
    assert "clean" in record.log
    for step in (first, last.parent, last):
        eventually(step.ready, what="each step has a final state")
        assert step.state == "FAILURE"


def test_a_revoked_step_that_waits_ends_its_chain(site: LiveSite) -> None:
    gate = site.gate("busy")
    busy = run.delay(slot=SLOT, script=gate.script)
    last = chain(trial.si(slot=SLOT), trial.si(slot=SLOT)).apply_async()
    worker = worker_name(SLOT, "control")
    assert app.control.revoke(last.parent.id, destination=[worker], reply=True, timeout=WITHIN_S, limit=1)
    gate.open()
    assert busy.get(timeout=WITHIN_S)["success"]
    eventually(last.ready, what="the rest of the chain ends")
    assert (last.parent.state, last.state) == ("REVOKED", "REVOKED")
    eventually(lambda: app.records.header(last.parent.id).outcome == "aborted", what="Celery tells its own end first")


def test_the_operations_of_a_slot_run_in_order_and_one_at_a_time(site: LiveSite) -> None:
    journal = site.folder / "journal"
    script = site.script(
        "journal.py",
        f"import sys, time\nwith open({str(journal)!r}, 'a') as f:\n"
        "    print('in', sys.argv[1], file=f, flush=True)\n    time.sleep(0.1)\n"
        "    print('out', sys.argv[1], file=f, flush=True)\n",
    )
    tasks = [run.delay(slot=SLOT, script=script, args=[str(i)]) for i in range(5)]
    for task in tasks:
        task.get(timeout=WITHIN_S)
    expected = [f"{what} {i}" for i in range(5) for what in ("in", "out")]
    assert journal.read_text().split("\n")[:-1] == expected


def test_a_chain_a_group_and_a_chord_over_slots(site: LiveSite) -> None:
    last = chain(trial.s(slot=SLOT), trial.s(slot="crate1slot2"), trial.s(slot=SLOT)).apply_async()
    assert last.get(timeout=WITHIN_S)["success"]
    both = group(trial.s(slot=SLOT), trial.s(slot="crate1slot2")).apply_async()
    assert [record["slot"] for record in both.get(timeout=WITHIN_S)] == [SLOT, "crate1slot2"]
    joined = chord([trial.s(slot=SLOT), trial.s(slot="crate1slot2")], trial.s(slot=SLOT)).apply_async()
    assert joined.get(timeout=WITHIN_S)["success"]


def test_a_failed_step_ends_the_chain_with_a_final_state(site: LiveSite) -> None:
    script = site.script("fails.py", "raise SystemExit(1)\n")
    last = chain(run.si(slot=SLOT, script=script), trial.si(slot=SLOT), trial.si(slot=SLOT)).apply_async()
    with pytest.raises(OperationFailedError):
        last.get(timeout=WITHIN_S, propagate=True)
    eventually(lambda: last.parent.state == "FAILURE", WITHIN_S, "the step between has its end too")


def test_a_failed_member_of_a_chord_fails_its_body(site: LiveSite) -> None:
    script = site.script("fails.py", "raise SystemExit(1)\n")
    joined = chord([run.si(slot=SLOT, script=script), trial.si(slot="crate1slot2")], trial.si(slot=SLOT)).apply_async()
    eventually(joined.ready, what="the body ends")
    assert joined.state == "FAILURE"


def test_an_operation_may_answer_the_failure_of_another(site: LiveSite) -> None:
    """As `link_error=all_off.s(slot=…)` does, in either form; Celery puts the failed task's id before it."""
    script = site.script("fails.py", "raise SystemExit(1)\n")
    answers = [trial.s(slot="crate1slot2"), trial.si(slot="crate1slot2")]
    for answer in answers:
        answer.set(task_id=uuid())
        run.apply_async(kwargs={"slot": SLOT, "script": script}, link_error=answer)
        answered = app.AsyncResult(answer.id)
        eventually(answered.ready, what="the answer runs")
        assert answered.get(timeout=WITHIN_S)["data"] == {"test": 10}


def test_a_bad_step_sent_by_a_worker_fails_that_step_only(site: LiveSite) -> None:
    """A producer that knows nothing of smurfq escapes the check of a chain; its step fails, not the one before it."""
    from celery import Celery

    bare = Celery(broker=app.settings.redis_url, backend=app.settings.redis_url, set_as_current=False)
    bare.conf.update({key: app.conf[key] for key in ("task_queues", "broker_transport_options")})
    first, bad, third = (
        bare.signature(name, kwargs={"slot": SLOT, **more}, immutable=True)
        for name, more in (("smurfq.test", {}), ("smurfq.run", {"skript": "x"}), ("smurfq.test", {}))
    )
    sent = chain(first.set(queue=SLOT), bad, third, app=bare).apply_async()
    last = app.AsyncResult(
        sent.id, parent=app.AsyncResult(sent.parent.id, parent=app.AsyncResult(sent.parent.parent.id))
    )
    bare.close()
    eventually(last.ready, what="the chain ends")
    eventually(last.parent.parent.ready, what="the first step's result is stored, after the next step was sent")
    assert last.parent.parent.state == "SUCCESS"
    assert last.parent.state == last.state == "FAILURE"
    with pytest.raises(ParameterError, match="skript"):
        last.parent.get(timeout=WITHIN_S)


def test_a_worker_rejects_arguments_that_name_another_slot(site: LiveSite) -> None:
    from celery import Celery

    ran = site.folder / "ran"
    script = site.script("other.py", f"open({str(ran)!r}, 'w')")
    bare = Celery(broker=app.settings.redis_url, backend=app.settings.redis_url, set_as_current=False)
    bare.conf.update({key: app.conf[key] for key in ("task_queues", "broker_transport_options")})
    kwargs = {"slot": SLOT, "script": script, "args": ["--slot", "2"]}
    sent = app.AsyncResult(bare.send_task("smurfq.run", kwargs=kwargs, queue=SLOT).id)
    bare.close()
    with pytest.raises(ParameterError, match=f"--slot 2 contradicts {SLOT}"):
        sent.get(timeout=WITHIN_S)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("name", "kwargs", "options", "error", "words"),
    [
        ("smurfq.run", {"slot": SLOT}, {}, ParameterError, "script"),
        ("smurfq.run", {"slot": SLOT, "script": "/a.py", "args": ["--slot", "2"]}, {}, ParameterError, "contradicts"),
        ("smurfq.take_ivv", {"slot": SLOT}, {}, UnknownOperationError, "take_iv"),
        ("smurfq.test", {"slot": "crate1slot9"}, {}, UnknownSlotError, "crate1slot1"),
        ("smurfq.test", {}, {}, UnknownSlotError, "slot"),
        ("smurfq.test", {"slot": SLOT}, {"countdown": 5}, UnsupportedOptionError, "countdown"),
        ("smurfq.test", {"slot": SLOT}, {"queue": "crate1slot2"}, UnsupportedOptionError, "queue"),
        ("os.system", {"slot": SLOT}, {}, UnknownOperationError, "os.system"),
    ],
)
def test_a_bad_request_is_rejected_before_it_is_queued(
    site: LiveSite, name: str, kwargs: dict[str, Any], options: dict[str, Any], error: type[Exception], words: str
) -> None:
    before = app.store.zcard("smurfq:history")
    with pytest.raises(error, match=words):
        app.send_task(name, kwargs=kwargs, **options)
    assert app.store.zcard("smurfq:history") == before


def test_a_producer_that_knows_nothing_of_smurfq_is_checked_by_the_worker(site: LiveSite) -> None:
    from celery import Celery

    bare = Celery(broker=app.settings.redis_url, backend=app.settings.redis_url)
    bare.conf.update({key: app.conf[key] for key in ("task_queues", "broker_transport_options")})
    good = bare.send_task("smurfq.test", kwargs={"slot": SLOT}, queue=SLOT)
    assert good.get(timeout=WITHIN_S)["data"] == {"test": 10}
    bad = bare.send_task("smurfq.run", kwargs={"slot": SLOT, "script": 5}, queue=SLOT)
    with pytest.raises(ParameterError, match="script"):
        bad.get(timeout=WITHIN_S)
    astray = bare.send_task("smurfq.test", kwargs={"slot": "crate1slot2"}, queue=SLOT)
    with pytest.raises(ParameterError, match="crate1slot2"):
        astray.get(timeout=WITHIN_S)
    bare.close()


def test_a_copy_of_a_message_is_not_run_again(site: LiveSite) -> None:
    journal = site.folder / "copies"
    script = site.script("copies.py", f"open({str(journal)!r}, 'a').write('ran\\n')\n")
    gate = site.gate("hold_back")
    hold_back = run.delay(slot=SLOT, script=gate.script)
    eventually(lambda: record_of(hold_back).log, what="it runs")
    task = run.delay(slot=SLOT, script=script)
    waiting: Any = eventually(lambda: next((it for it in app.waiting.waiting(SLOT) if it.task_id == task.id), None))
    for _ in range(3):
        app.store.lpush(waiting.key, waiting.text)
    gate.open()
    hold_back.get(timeout=WITHIN_S)
    assert task.get(timeout=WITHIN_S)["success"]
    assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["success"]
    assert journal.read_text() == "ran\n"
    assert task.state == "SUCCESS"


def test_a_hold_stops_the_queue_but_not_an_emergency(site: LiveSite) -> None:
    from smurfq.store.holds import Hold

    app.holds.put(Hold(SLOT, "tester", "swapping the card", time.time()))
    assert app.control_worker(SLOT, "apply_hold", timeout_s=WITHIN_S) == {"ok": "held"}
    waiting = trial.delay(slot=SLOT)
    emergency = app.submit("test", slot=SLOT, emergency=True)
    assert emergency.get(timeout=WITHIN_S)["success"]
    assert waiting.state == "PENDING"
    app.holds.release(SLOT, "tester")
    assert app.control_worker(SLOT, "apply_hold", timeout_s=WITHIN_S) == {"ok": "open"}
    assert waiting.get(timeout=WITHIN_S)["success"]


def test_an_emergency_ends_the_running_operation(site: LiveSite) -> None:
    task = run.delay(slot=SLOT, script=site.script("long.py", "import time\nprint(1, flush=True)\ntime.sleep(300)\n"))
    eventually(lambda: record_of(task).log, what="it runs")
    emergency = app.submit("test", slot=SLOT, emergency=True)
    assert emergency.get(timeout=WITHIN_S)["success"]
    with pytest.raises(OperationAbortedError, match="emergency"):
        task.get(timeout=WITHIN_S)
