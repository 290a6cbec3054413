"""What operations themselves wrote down, and what must be true of it whatever was killed meanwhile.

Each operation appends lines to its slot's journal; the journal knows nothing of Celery, Redis or the record.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

# Every operation of a soak runs this. Times are of one clock for all processes of the machine.
SCRIPT = """
import os, sys, time, json, socket
journal, task, seconds = sys.argv[1], os.environ["SMURF_SESSION_ID"], float(sys.argv[2])
def note(what):
    line = f"{what} {task} {os.getpid()} {time.clock_gettime(time.CLOCK_MONOTONIC):.6f}\\n"
    fd = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, line.encode())
    os.close(fd)
note("start")
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
target = (os.environ["SMURFPUB_UDP_HOST"], int(os.environ["SMURFPUB_UDP_PORT"]))
for number in range(20):
    sock.sendto(json.dumps({"host": "soak", "id": os.environ["SMURFPUB_ID"], "script": "soak", "time": time.time(),
                            "seq_no": number, "type": "session_data", "payload": {str(number): task}}).encode(), target)
    time.sleep(seconds / 20)
note("end")
"""


@dataclass(frozen=True)
class Line:
    """One line of a journal."""

    what: str
    task_id: str
    pid: int
    at: float


def read(journal: Path) -> list[Line]:
    """The lines of a slot's journal, in the order in which they were written."""
    lines = [text.split() for text in journal.read_text().splitlines()] if journal.exists() else []
    return [Line(what, task_id, int(pid), float(at)) for what, task_id, pid, at in lines]


def run_twice(lines: list[Line]) -> list[str]:
    """The tasks that were started more than once."""
    starts = Counter(line.task_id for line in lines if line.what == "start")
    return [task_id for task_id, times in starts.items() if times > 1]


def at_once(lines: list[Line]) -> list[tuple[str, str]]:
    """Pairs of tasks of one slot of which the second was started while the first still wrote."""
    found = []
    last: dict[str, float] = {}
    for line in lines:
        last[line.task_id] = line.at
    running: str | None = None
    for line in lines:
        if line.what == "start":
            if running is not None and last[running] > line.at:
                found.append((running, line.task_id))
            running = line.task_id
    return found


def orphans(state_dir: str) -> list[str]:
    """The processes that a site has left behind, by the variable that all of them have."""
    marker = f"SMURFQ_STATE_DIR={state_dir}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if marker in (folder / "environ").read_bytes().split(b"\0"):
                found.append(
                    f"process {folder.name}: {(folder / 'cmdline').read_bytes().replace(bytes(1), b' ').decode()}"
                )
    return found


def ended(lines: list[Line]) -> set[str]:
    """The tasks that came to their end."""
    return {line.task_id for line in lines if line.what == "end"}
