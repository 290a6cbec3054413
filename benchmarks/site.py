"""The site under test: the tests' live site, with pysmurf and sodetlib loaded and the limits of a real one."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import psutil

from smurfq.app import app
from smurfq.client import Slot
from tests.site.eventually import READY_WITHIN_S, eventually
from tests.site.live import LiveSite
from tests.site.ports import free_port

SLOTS = tuple(f"crate1slot{number}" for number in range(2, 8))
SLOT = SLOTS[0]
SCRIPTS = Path(__file__).parent / "scripts"


class BenchSite(LiveSite):
    """A live site whose processes can be weighed."""

    def __init__(self, folder: Path) -> None:
        self._flower_port = free_port()
        super().__init__(
            folder,
            SMURFQ_SLOTS=",".join(SLOTS),
            SMURFQ_SCRIPTS_FOLDERS=str(SCRIPTS),
            SMURFQ_WORKER_PRELOAD="true",
            SMURFQ_WORKER_LEASE_TTL_S="15",
            SMURFQ_LIMITS_ABORT_GRACE_S="10",
            SMURFQ_LIMITS_KILL_GRACE_S="10",
            SMURFQ_FLOWER_PORT=str(self._flower_port),
        )

    @cached_property
    def slot(self) -> Slot:
        """The slot whose operations are measured."""
        return Slot(SLOT, app.settings)

    @property
    def url(self) -> str:
        """Where the site's Valkey is."""
        return self.environ["SMURFQ_REDIS_URL"]

    def start_flower(self) -> None:
        """Start Flower; returns once it answers."""
        self.run_python("flower", "-m", "smurfq", "flower")
        eventually(self._flower_answers, READY_WITHIN_S, "Flower answers")

    def _flower_answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._flower_port)) == 0

    def whole(self, name: str) -> list[psutil.Process]:
        """A part of the site (``valkey``, ``bridge``, ``worker-<slot>``, ``flower``) with all its descendants."""
        root = psutil.Process(self.valkey.pid if name == "valkey" else self.processes[name].pid)
        return [root, *root.children(recursive=True)]

    def cpu_s(self, name: str) -> float:
        """The CPU seconds that a part's present processes have used."""
        total = 0.0
        for process in self.whole(name):
            with contextlib.suppress(psutil.NoSuchProcess):  # an operation's, which has just ended
                used = process.cpu_times()
                total += used.user + used.system
        return total


@contextmanager
def site() -> Iterator[BenchSite]:
    """A site with nothing but its Valkey, ended with all its processes."""
    with tempfile.TemporaryDirectory(prefix="smurfq-bench-") as folder, BenchSite(Path(folder) / "site") as made:
        yield made
