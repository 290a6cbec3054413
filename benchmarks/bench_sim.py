"""What simulated slots cost: to start, to keep, to stream; and how fast their registers answer."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.figures import Row, Table
from benchmarks.site import SCRIPTS, SLOTS
from smurfq.sim import presence
from tests.site.eventually import eventually
from tests.site.ports import free_port
from tests.site.process_group import ROOT

_WATCHED_S = 10.0
_STARTS_WITHIN_S = 30.0
_MB = 1e6
_STREAMS = (  # downsample factor, compressed, what it is
    (20, True, "streaming 200 Hz, compressed"),
    (1, False, "streaming 4 kHz, as for bias steps"),
    (1, True, "streaming 4 kHz, compressed"),
)
_REMARKS = (
    "Each slot has 1,700 detectors. A recorder, a separate process, writes the slot's files in frames of",
    "half a second. It spends most of its time on starting an encoder for each channel of a frame. Gets",
    "and puts use pyepics. Start: the time until Channel Access answers, including the writing of tunes",
    "and configuration.",
)


@dataclass(frozen=True)
class _Simulator:
    """A running simulator."""

    process: subprocess.Popen[bytes]
    port: int
    started_s: float

    def processes(self) -> list[psutil.Process]:
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def cores(self) -> dict[str, float]:
        """The cores that the server and its recorders use, over some seconds."""
        before = {process: process.cpu_times() for process in self.processes()}
        time.sleep(_WATCHED_S)
        found = {"server": 0.0, "recorders": 0.0}
        for process, times in before.items():
            part = "recorders" if "smurfq.sim.recorder" in process.cmdline() else "server"
            found[part] += (sum(process.cpu_times()[:2]) - sum(times[:2])) / _WATCHED_S
        return found

    def memory(self) -> str:
        parts = [process.memory_full_info() for process in self.processes()]
        return f"PSS {sum(p.pss for p in parts) / _MB:.0f} MB, RSS {sum(p.rss for p in parts) / _MB:.0f} MB"


class _Client:
    """A process that speaks Channel Access to a slot."""

    def __init__(self, slot: str, port: int) -> None:
        environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "EPICS_CA_ADDR_LIST": f"127.0.0.1:{port}",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
        }
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPTS / "slot_client.py"), slot[-1]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ,
            text=True,
        )

    def ask(self, line: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def measure() -> Table:
    """One slot, idle and streaming, and six of them in one process."""
    with _simulator(SLOTS[:1]) as one, _client(SLOTS[0], one.port) as client:
        rates = client.ask("rates")
        rows = [
            Row("start of one slot of 1,700 detectors", f"{one.started_s:.1f} s"),
            Row(
                "get / put with wait, one after another",
                f"{1 / rates['get_s']:.0f} / {1 / rates['put_s']:.0f} a second",
            ),
            Row("get of the mask, 4096 numbers", f"{rates['mask_s'] * 1e3:.2f} ms"),
            Row("one slot idle", _weight(one)),
            *(_streaming(one, client, *how) for how in _STREAMS),
        ]
    with _simulator(SLOTS) as six, contextlib.ExitStack() as clients:
        rows.append(Row("six slots idle, served by one process", _weight(six)))
        asked = [clients.enter_context(_client(slot, six.port)) for slot in SLOTS]
        for client in asked:
            client.ask("open 20 1")
        rows.append(Row("six slots streaming 200 Hz, compressed", _weight(six)))
        for client in asked:
            client.ask("close")
    return Table("Simulated slots", rows, _REMARKS)


def _streaming(simulator: _Simulator, client: _Client, factor: int, compressed: bool, what: str) -> Row:
    opened_s = client.ask(f"open {factor} {compressed:d}")["open_s"]
    weight = _weight(simulator)
    slowest_s = client.ask(f"gets {_WATCHED_S / 2:g}")["slowest_get_s"]
    closed_s = client.ask("close")["close_s"]
    return Row(
        what,
        f"{weight}; slowest get meanwhile {slowest_s * 1e3:.0f} ms; "
        f"opened in {opened_s * 1e3:.0f} ms, closed in {closed_s * 1e3:.0f} ms",
    )


def _weight(simulator: _Simulator) -> str:
    cores = ", ".join(f"{part} {used:.3f}" for part, used in simulator.cores().items())
    return f"cores: {cores}; {simulator.memory()}"


@contextmanager
def _simulator(slots: Sequence[str]) -> Iterator[_Simulator]:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        began = time.perf_counter()
        environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SMURFQ_STATE_DIR": folder,
            "SMURFQ_SLOTS": ",".join(slots),
            "SMURFQ_SIM_PORT": str(port),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "smurfq", "sim"],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )
        try:
            eventually(lambda: presence.read(Path(folder) / "sim"), _STARTS_WITHIN_S, "the simulator serves")
            yield _Simulator(process, port, time.perf_counter() - began)
        finally:
            process.terminate()
            process.wait(_STARTS_WITHIN_S)


@contextmanager
def _client(slot: str, port: int) -> Iterator[_Client]:
    client = _Client(slot, port)
    try:
        yield client
    finally:
        client.close()
