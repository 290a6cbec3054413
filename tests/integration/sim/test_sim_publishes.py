"""The messages of a simulated smurf server: g3 files and registers, sent by pysmurf's own Publishers."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("caproto")
pytest.importorskip("epics")
pytest.importorskip("so3g")
pytest.importorskip("pysmurf")

from spt3g import core

from smurfq.sim import registers as r
from smurfq.sim.published import PUBLISHED
from tests.site.eventually import READY_WITHIN_S, WITHIN_S, eventually
from tests.site.simulator import Simulator

pytestmark = [pytest.mark.slot, pytest.mark.filterwarnings("ignore")]
SERVER, WRITER = "PySmurf_Server", "undeclared"
PREFIX = "smurf_server_s2:"
POLLED = {one.path for one in PUBLISHED.values() if one.poll_s == 1.0}

Message = dict[str, Any]


class Monitor:
    """What a simulator has published: the messages that arrived at a UDP port, in order."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(WITHIN_S)
        self.port = self._socket.getsockname()[1]
        self.messages: list[Message] = []

    def until(self, condition: Callable[[Message], bool]) -> Message:
        """The first message from now on that meets a condition."""
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            self.messages.append(json.loads(self._socket.recv(65536)))
            if condition(self.messages[-1]):
                return self.messages[-1]
        raise AssertionError(f"not heard; the last of {len(self.messages)} is {self.messages[-1]}")

    def value(self, register: str, wanted: Callable[[Any], bool] = lambda _value: True) -> Any:
        """The next value of a register that meets a condition."""
        path = PUBLISHED[register].path
        found = self.until(lambda one: one["payload"].get("path") == path and wanted(one["payload"]["value"]))
        return found["payload"]["value"]

    def skip(self) -> None:
        """Forget what has arrived."""
        self._socket.setblocking(False)
        try:
            while True:
                self._socket.recv(65536)
        except BlockingIOError:
            self._socket.settimeout(WITHIN_S)

    def close(self) -> None:
        """Close the port."""
        self._socket.close()


@pytest.fixture(scope="module")
def monitor() -> Iterator[Monitor]:
    made = Monitor()
    yield made
    made.close()


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory, monitor: Monitor) -> Iterator[Simulator]:
    variables = {
        "SMURFQ_SIM_PUBLISH": "true",
        "SMURFQ_BRIDGE_PORT": str(monitor.port),
        "SMURFQ_SIM_FILE_DURATION_S": "2",
    }
    with Simulator(tmp_path_factory.mktemp("published"), **variables) as made:
        eventually(made.ready, READY_WITHIN_S, "the simulator serves")
        yield made
        assert made.stop(made.process) == 0, made.log("sim")


@pytest.fixture(autouse=True)
def _no_faults_are_left(simulator: Simulator) -> Iterator[None]:
    yield
    simulator.fault()


def test_registers_are_published_while_nothing_runs(simulator: Simulator, monitor: Monitor) -> None:
    configuration = yaml.safe_load((simulator.folder / "sim" / "config" / "sys_config.yml").read_text())
    stream_id = configuration["slots"]["SLOT[2]"]["stream_id"]
    missing = {*POLLED, SERVER, WRITER}

    def complete(one: Message) -> bool:
        if one["type"] == "start":
            missing.discard(one["script"])
        elif one["type"] == "metadata":
            assert one["id"] == f"STREAMER:{stream_id}"
            assert one["script"] == SERVER
            assert one["payload"]["type"] == type(one["payload"]["value"]).__name__
            missing.discard(one["payload"]["path"])
        return not missing

    monitor.until(complete)
    assert 40 < monitor.value(r.FPGA_TEMPERATURE) < 60


def test_a_register_is_published_when_it_is_written_or_read(simulator: Simulator, monitor: Monitor) -> None:
    simulator.client(f"result = caput({PREFIX + r.STREAM + 'pysmurf_action'!r}, 'take_iv', wait=True)")
    assert monitor.value(r.STREAM + "pysmurf_action", bool) == "take_iv"
    monitor.skip()
    simulator.client(f"result = caget({PREFIX + r.ROGUE_VERSION!r}, as_string=True)")
    assert monitor.value(r.ROGUE_VERSION) == "6.1.4-simulated"


def test_each_g3_file_is_published_when_it_is_complete(simulator: Simulator, monitor: Monitor) -> None:
    mask, enable, opened = (repr(PREFIX + name) for name in (r.MASK, r.ENABLE_STREAMING, r.OPEN_STREAM))
    simulator.client(
        f"caput({mask}, [0, 1, 2], wait=True)\ncaput({enable}, 1, wait=True)\nresult = caput({opened}, 1, wait=True)"
    )
    assert monitor.value(r.OPEN_STREAM, bool) == 1
    files = [monitor.until(lambda one: one["type"] == "g3_file") for _ in range(2)]
    simulator.fault(gaps=0.5)
    assert monitor.value(r.FRAMES_LOST, bool) % 20 == 0
    simulator.client(f"caput({enable}, 0, wait=True)\nresult = caput({opened}, 0, wait=True)")
    files += [one for one in monitor.messages[monitor.messages.index(files[-1]) + 1 :] if one["type"] == "g3_file"]
    while not (files[-1]["type"] == "g3_file" and _ends(files[-1])):
        files.append(monitor.until(lambda one: one["type"] == "g3_file"))
    paths = [Path(one["payload"]["path"]) for one in files]
    assert {one["script"] for one in files} == {WRITER}
    assert {one["payload"]["archive_name"] for one in files} == {"timestreams"}
    assert paths == sorted(paths[0].parent.glob("*.g3"))
    assert len(paths) > 2


def _ends(message: Message) -> bool:
    """Whether a published file, which can be read to its end, is the last of its session."""
    frames = list(core.G3File(message["payload"]["path"]))
    return "stream_placement" in frames[-1] and bool(frames[-1]["stream_placement"] == "end")


def test_the_sensors_and_the_link_follow_the_faults(simulator: Simulator, monitor: Monitor) -> None:
    simulator.fault(overheated=True, link_errors=True)
    assert monitor.value(r.FPGA_TEMPERATURE, lambda value: value > 80)
    assert monitor.value(r.LINK_ERRORS[0], lambda value: value > 0)
    simulator.fault(locked_up=True)
    monitor.skip()
    monitor.value(r.FRAMES_LOST)
    before = len(monitor.messages)
    monitor.value(r.FRAMES_LOST)
    assert not [one for one in monitor.messages[before:] if "FpgaTopLevel" in one["payload"]["path"]]


def test_no_message_is_missing(simulator: Simulator, monitor: Monitor) -> None:
    """A number may be missing only where the tests before have skipped some."""
    monitor.skip()
    first = monitor.until(lambda one: one["script"] == SERVER)
    beginning = len(monitor.messages)
    for _ in range(40):
        monitor.until(lambda one: one["script"] == SERVER)
    numbers = [one["seq_no"] for one in monitor.messages[beginning:]]
    assert numbers == list(range(first["seq_no"] + 1, first["seq_no"] + 41))
