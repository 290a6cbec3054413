"""The recorder: a streamer in a separate process, which does not outlive its parent and completes its files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

pytest.importorskip("so3g", reason="needs so3g (pip install smurfq[slot])")

from spt3g import core

from smurfq.errors import StreamError
from smurfq.sim.recorder import Recorder
from smurfq.sim.samples import Samples
from smurfq.sim.stream_options import StreamOptions
from tests.site.eventually import WITHIN_S, eventually
from tests.site.process_group import ROOT

pytestmark = pytest.mark.slot
NOW = 1_700_000_000.0
STATUS = {"AMCc.SmurfProcessor.ChannelMapper.NumChannels": 3}

SERVER = """
import sys
from pathlib import Path
from smurfq.sim.recorder import Recorder
recorder = Recorder(Path(sys.argv[1]), "crate1slot2", crate=1, slot=2)
recorder.open(float(sys.argv[2]), {}).result()
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    found = Recorder(tmp_path, "crate1slot2", crate=1, slot=2)
    yield found
    found.stop()


def samples(first: int, count: int, channels: int = 3) -> Samples:
    at = np.arange(first, first + count, dtype=np.int64)
    noise = np.random.default_rng(first).normal(0, 300, (channels, count))
    return Samples(
        time_ns=round(NOW * 1e9) + at * 5_000_000,
        counts=noise.astype(np.int32),
        tes_biases=np.zeros((12, count), np.int32),
        frame_counter=at * 20,
        relays=np.zeros(count, np.int64),
    )


def frames(path: Path) -> list[Any]:
    return list(core.G3File(str(path)))


def child_of(process: int) -> psutil.Process:
    children = psutil.Process(process).children()
    (found,) = (child for child in children if "smurfq.sim.recorder" in child.cmdline())
    return found


def test_a_session_comes_through_whole(recorder: Recorder, tmp_path: Path) -> None:
    recorder.start()
    session = recorder.open(NOW, STATUS, StreamOptions(agg_time_s=0.1)).result(WITHIN_S)
    assert session == recorder.session_id == 1_700_000_000
    path = Path(recorder.filepath)
    assert path == tmp_path / "17000/crate1slot2/1700000000_000.g3"
    for first in range(0, 500, 50):
        recorder.write(samples(first, 50))
    recorder.update(NOW + 1, {**STATUS, "AMCc.SmurfProcessor.Filter.Disable": 1})
    recorder.close(NOW + 3).result(WITHIN_S)
    assert (recorder.session_id, recorder.filepath, recorder.dropped) == (0, "", 0)
    kinds = [str(frame.type) for frame in frames(path)]
    assert kinds == ["Observation", "Wiring", *["Scan"] * 10, "Wiring", "Wiring", "Observation"]


def test_errors_come_across(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "17000").write_text("in the way")
    with pytest.raises(StreamError, match="check the folder's owner"):
        recorder.open(NOW, STATUS).result(WITHIN_S)
    recorder.write(samples(0, 5))
    with pytest.raises(StreamError, match="open a session before writing"):
        recorder.close(NOW).result(WITHIN_S)
    assert recorder.open(NOW + 1e8, STATUS).result(WITHIN_S) == 1_800_000_000
    recorder.close(NOW + 1e8).result(WITHIN_S)


def test_the_writers_thread_never_waits_for_a_frame(recorder: Recorder) -> None:
    """A frame of a full slot takes the encoder 50 ms and more; what writes it has gone on long before."""
    recorder.open(NOW, STATUS, StreamOptions(agg_time_s=0.1)).result(WITHIN_S)
    stretches = [samples(first, 30, channels=1700) for first in range(0, 300, 30)]
    began = time.thread_time()
    for stretch in stretches:
        recorder.write(stretch)
    waited = recorder.close(NOW + 2)
    assert time.thread_time() - began < 0.1
    waited.result(WITHIN_S)
    assert recorder.dropped == 0


def test_a_killed_recorder_is_reported_and_replaced(recorder: Recorder) -> None:
    recorder.open(NOW, STATUS).result(WITHIN_S)
    child_of(os.getpid()).kill()
    with pytest.raises(StreamError, match="recorder of crate1slot2 ended with code -9 in session 1700000000"):
        recorder.close(NOW + 1).result(WITHIN_S)
    assert (recorder.session_id, recorder.filepath) == (0, "")
    assert recorder.open(NOW + 2, STATUS).result(WITHIN_S) == 1_700_000_002
    recorder.close(NOW + 2).result(WITHIN_S)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_its_server_and_completes_the_file(tmp_path: Path, how: signal.Signals) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path), str(NOW)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline().strip() == "open"
        child = child_of(server.pid)
        child.send_signal(signal.SIGTERM)  # its server's end ends it, nothing else
        server.send_signal(how)
        server.wait(WITHIN_S)
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, WITHIN_S, "the recorder ends")
    found = frames(tmp_path / "17000/crate1slot2/1700000000_000.g3")
    assert [str(frame.type) for frame in found] == ["Observation", "Wiring", "Wiring", "Observation"]
    assert found[-1]["stream_placement"] == "end"
