"""Streams of workflows on simulated slots start together, and are closed even if their workflow dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smurfq import workflows
from smurfq.app import app
from smurfq.client import Run
from smurfq.client.connection import Connection
from smurfq.workflows import SlotOutcome, Workflow, stream, streaming
from tests.integration.records import error_of
from tests.site.eventually import eventually
from tests.site.process_group import ROOT
from tests.site.simulated import DACS, SLOTS, SimSite

pytestmark = [pytest.mark.slot, pytest.mark.slow, pytest.mark.timeout(600)]
USED = SLOTS[:2]
LONG_S = 240.0
PRODUCER = """
import sys, time
from smurfq.workflows import streaming
with streaming([sys.argv[1]], tag="producer", deadline_s=200):
    print("on", flush=True)
    while True:
        time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def site(sim_site: SimSite) -> Iterator[SimSite]:
    """A worker of two simulated slots, and one seat for workflows."""
    sim_site.start_worker(USED[1], wait=False)
    sim_site.start_workflows(SMURFQ_WORKFLOWS_AT_ONCE="1")
    sim_site.await_worker(USED[1])
    yield sim_site
    for slot in USED:
        assert sim_site.read(slot)["streaming"] == 0


@pytest.fixture
def at(site: SimSite) -> Connection:
    return Connection(site.settings)


def newest(site: SimSite, slot: str) -> Run:
    return site.slot(slot).run(site.slot(slot).history(1)[0].session_id)


def is_on(site: SimSite, slot: str) -> bool:
    run = site.slot(slot).running()
    return run is not None and bool(run.record().data.get("stream_on"))


def start_producer(site: SimSite, slot: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PRODUCER, slot],
        env={"PATH": os.environ["PATH"], **site.environ, "PYTHONPATH": str(ROOT)},
        cwd=site.folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


def test_streams_are_on_together_within_the_block_and_closed_after_it(site: SimSite, at: Connection) -> None:
    with Workflow(USED, connection=at) as night:
        with streaming(tag="cmb", subtype="test", deadline_s=LONG_S) as streams:
            assert streams.report
            assert [is_on(site, slot) for slot in USED] == [True, True]
            assert [site.read(slot)["streaming"] for slot in USED] == [1, 1]
            streams.wait(1.0)
        ended = streams.close()
        assert [one.operation for one in night.reports] == ["stream on", "stream off"]
    assert ended
    for slot in USED:
        record = newest(site, slot).record()
        assert (record.outcome, record.params["tag"], record.data["stream_on"]) == ("succeeded", "cmb", False)
        assert record.params["subtype"] == "test"
        assert list(Path(site.options.folders.timestreams).rglob(f"{record.data['sid']}_*.g3"))
        assert site.read(slot)["session_id"] == 0


def test_a_slot_whose_stream_does_not_come_on_is_dropped_and_the_others_stream(site: SimSite, at: Connection) -> None:
    site.fault(USED[1], silent=True)
    try:
        with Workflow(USED, connection=at) as night:
            report = stream("on", deadline_s=LONG_S)
            assert report.failed == [USED[1]]
            assert report[USED[1]].outcome == SlotOutcome.FAILED
            assert "the stream ended: stream on crate1slot3 failed" in report[USED[1]].reason
            assert is_on(site, USED[0])
            assert stream("off").succeeded == [USED[0]]
            assert list(night.dropped) == [USED[1]]
    finally:
        site.fault(USED[1])


def test_a_producers_streams_end_with_it_by_a_signal_or_a_kill(site: SimSite) -> None:
    terminated, killed = (start_producer(site, slot) for slot in USED)
    try:
        for slot, process in zip(USED, (terminated, killed), strict=True):
            eventually(lambda: is_on(site, slot), LONG_S, f"{slot} streams")
            assert process.poll() is None
        runs = [newest(site, slot) for slot in USED]
        terminated.send_signal(signal.SIGTERM)
        killed.kill()
        for run in runs:
            record = run.wait(LONG_S)
            assert (record.outcome, record.data["stream_on"]) == ("succeeded", False), record.error
        assert terminated.wait(LONG_S) == 128 + signal.SIGTERM
    finally:
        for process in (terminated, killed):
            process.kill()
            process.communicate()
    assert any("the process that started it is gone" in text for _, text in runs[1].record().messages)


def test_a_workflows_streams_end_when_its_process_is_killed(site: SimSite, at: Connection) -> None:
    path = site.script(
        "observe.py",
        "from smurfq.workflows import *\n@workflow\ndef observe():\n"
        f"    with streaming(tag='killed', deadline_s={LONG_S}) as streams:\n        streams.wait(3600)\n",
    )
    run = workflows.submit(path, slots=list(USED), connection=at)
    eventually(lambda: all(is_on(site, slot) for slot in USED), LONG_S, "both stream")
    runs = [newest(site, slot) for slot in USED]
    running: Any = app.fence.running("workflows.1")
    assert running.task_id == run.id
    os.kill(running.processes[1].pid, signal.SIGKILL)
    assert run.wait(LONG_S).outcome == "failed"
    for one in runs:
        record = one.wait(LONG_S)
        assert (record.outcome, record.data["stream_on"]) == ("succeeded", False), record.error
        assert any(f"its workflow {run.id[:8]} has ended" in text for _, text in record.messages)


def test_an_abort_closes_the_streams_before_the_workflow_is_over(site: SimSite, at: Connection) -> None:
    run = workflows.submit(
        str(site.scripts / "observe.py"),
        slots=list(USED),
        connection=at,
    )
    eventually(lambda: all(is_on(site, slot) for slot in USED), LONG_S, "both stream")
    run.abort("an observer", "wind", wait_s=LONG_S)
    record = run.record()
    assert record.outcome == "aborted", record.error
    assert [one.name for one in run.status().steps] == ["stream on", "stream off"]
    for slot in USED:
        ended = newest(site, slot).record()
        assert (ended.outcome, ended.data["stream_on"]) == ("succeeded", False)
        assert ended.end_time <= record.end_time  # type: ignore[operator]


def test_a_workflow_opens_no_slot_by_itself(site: SimSite, at: Connection) -> None:
    text = "from smurfq.workflows import *\n@workflow\ndef drive():\n    import epics\n"
    path = site.script("drive.py", f"{text}    epics.caput('smurf_server_s{USED[0][-1]}:{DACS}', [1000] * 32)\n")
    record = workflows.submit(path, slots=list(USED), connection=at).wait(LONG_S)
    assert site.read(USED[0])["biases"] == [0.0] * 12
    assert record.outcome == "failed"
    assert error_of(record)["type"] == "OtherSlotError"
    assert "submit an operation or a script to that slot" in error_of(record)["message"]
