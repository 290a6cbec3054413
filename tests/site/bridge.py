"""A bridge on its own for tests: the process, a running task, and custom datagrams."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from smurfq.bridge.passed_socket import FD_VARIABLE
from smurfq.bridge.receiver import open_socket
from smurfq.core import keys
from smurfq.core.session import Event, SessionRecord
from smurfq.store import Records, connect
from smurfq.store.bridge import BridgeBoard, Counters
from smurfq.store.drain import Bridge, DrainAnswer, drain
from smurfq.store.fence import Fence, Running
from tests.site.eventually import READY_WITHIN_S, eventually
from tests.site.ports import free_port
from tests.site.process_group import ProcessGroup, environ_without_site

SLOT = "crate1slot2"
STREAM_ID = "ufm_mv9"  # of the slot
HOST = socket.gethostname()
BRIDGE_KEY = keys.bridge(HOST)
DATAGRAM_BYTES = 65_507  # the largest UDP payload over IPv4
_AHEAD_BYTES = 64 * 1024
_OVERHEAD_BYTES = 768  # of the kernel, a datagram


def waiting_bytes(port: int) -> int:
    """What the kernel holds for the UDP socket of a port, its own overhead included."""
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        _, local, _, _, queues, *_ = line.split()
        if int(local.partition(":")[2], 16) == port:
            return int(queues.partition(":")[2], 16)
    return 0


class Wire:
    """A socket that sends what a Publisher would; numbers and times can be made up."""

    def __init__(self, address: tuple[str, int], publisher: str, script: str = "wire") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(address)
        self.publisher, self.script = publisher, script
        self.next = 0
        self.paced = True
        self._ahead = 0

    def datagram(self, kind: str, payload: Any, *, seq_no: int | None = None, time_s: float | None = None) -> bytes:
        if seq_no is None:
            seq_no, self.next = self.next, self.next + 1
        message = {
            "host": HOST,
            "id": self.publisher,
            "script": self.script,
            "time": time.time() if time_s is None else time_s,
            "seq_no": seq_no,
            "type": kind,
            "payload": payload,
        }
        return json.dumps(message).encode()

    def send(self, kind: str, payload: Any, **changed: Any) -> None:
        self.raw(self.datagram(kind, payload, **changed))

    def say(self, *texts: str) -> None:
        for text in texts:
            self.send("session_log", text)

    def raw(self, datagram: bytes) -> None:
        """Send a datagram; while ``paced``, the kernel need not drop any however slow the bridge is."""
        self.socket.send(datagram)
        self._ahead += len(datagram) + _OVERHEAD_BYTES
        if self.paced and self._ahead > _AHEAD_BYTES:
            eventually(lambda: waiting_bytes(self.socket.getpeername()[1]) < _AHEAD_BYTES, what="the bridge reads on")
            self._ahead = 0

    def close(self) -> None:
        self.socket.close()


class BridgeSite(ProcessGroup):
    """A Valkey that is there, and bridges that a test starts and ends."""

    def __init__(self, url: str, folder: Path, **variables: str) -> None:
        super().__init__(folder)
        self.client = connect(url)
        self.records = Records(self.client, 3600)
        self.board = BridgeBoard(self.client, HOST)
        self.address = ("127.0.0.1", free_port())
        self.bridge = Bridge(HOST, *self.address)
        self.environ = {
            **environ_without_site(),
            "SMURFQ_REDIS_URL": url,
            "SMURFQ_STATE_DIR": str(folder / "state"),
            "SMURFQ_BRIDGE_PORT": str(self.address[1]),
            "SMURFQ_SLOTS": f"{SLOT}={STREAM_ID},crate1slot3",
            **variables,
        }
        self.wires: list[Wire] = []
        self._kept: socket.socket | None = None

    def keep_socket(self) -> None:
        """Keep the socket open in this process while bridges come and go, as a service manager does."""
        self._kept = open_socket(*self.address, 1 << 20)

    def start(self, *, wait: bool = True) -> subprocess.Popen[bytes]:
        """A bridge of this site, ready unless ``wait`` is false."""
        before = self.log().count("ready on")
        environ, descriptors = dict(self.environ), []
        if self._kept is not None:
            descriptors = [self._kept.fileno()]
            environ[FD_VARIABLE] = str(self._kept.fileno())
        process = self.launch("bridge", [sys.executable, "-m", "smurfq.udp_bridge"], environ, pass_fds=descriptors)
        if wait:
            eventually(lambda: self.log().count("ready on") > before, READY_WITHIN_S, "the bridge is ready")
            eventually(self.board.alive, what="the bridge shows its health")
        return process

    def log(self, name: str = "bridge") -> str:
        """All that the bridges wrote."""
        return super().log(name)

    def log_lines(self, pattern: str) -> list[str]:
        """The lines of the log in which ``pattern`` is found."""
        return [line for line in self.log().splitlines() if re.search(pattern, line)]

    def begin(self, task_id: str, publisher: str = SLOT) -> None:
        """Let a task run under a publisher id, in place of what ran there."""
        now = time.time()
        self.records.start(SessionRecord(task_id, op_name="run", slot=SLOT))
        self.end(publisher)
        running = Running(task_id, "run", SLOT, publisher, HOST, "test", now)
        fence = Fence(self.client, 3600)
        fence.take_lease(publisher, "test", 3600.0)  # or the reaper gives the task up
        assert fence.claim(running, "smurfq.run", 0, "test", '{"status": "STARTED"}').ok

    def end(self, publisher: str = SLOT) -> None:
        """Let nothing run under a publisher id, as after an operation that has ended."""
        fence = Fence(self.client, 3600)
        if (running := fence.running(publisher)) is not None:
            assert fence.finished(running)

    def wire(self, publisher: str = STREAM_ID, script: str = "wire") -> Wire:
        """A new source of datagrams."""
        self.wires.append(Wire(self.address, publisher, script))
        return self.wires[-1]

    def drain(self, publisher: str = SLOT) -> DrainAnswer:
        """The bridge's answer."""
        eventually(self.board.alive, what="the bridge shows its health, also after an outage")
        answer = drain(self.client, self.bridge, publisher, tries=120, wait_s=0.5)
        assert answer is not None, self.log()
        return answer

    def counters(self) -> Counters:
        """What the bridge counted, as its health shows it."""
        health = self.board.health()
        assert health is not None, self.log()
        return health.counters

    def events(self, task_id: str) -> list[Event]:
        """All events of a record, as written, second copies and all."""
        return self.records.tail(task_id, batches=1_000_000)

    def texts(self, task_id: str) -> list[str]:
        """The messages of a record."""
        return [event["text"] for event in self.events(task_id) if event["k"] == "message"]

    def close(self) -> None:
        """End all."""
        super().close()
        for wire in self.wires:
            wire.close()
        if self._kept is not None:
            self._kept.close()
        self.client.close()
        codes = [process.returncode for process in self.started]
        assert all(code in (0, 1, -signal.SIGKILL) for code in codes), self.log()
        assert "Traceback" not in self.log()
