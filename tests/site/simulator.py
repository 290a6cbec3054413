"""A simulator without a site: ``python -m smurfq.sim`` and clients of Channel Access."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from smurfq.sim import presence
from tests.site.commands import evaluate
from tests.site.ports import free_port
from tests.site.process_group import ROOT, ProcessGroup
from tests.site.simulated import put_in_force


class Simulator(ProcessGroup):
    """The simulator of a slot, and clients of it. ``variables`` are added to its environment."""

    slot = "crate1slot2"

    def __init__(self, folder: Path, **variables: str) -> None:
        super().__init__(folder)
        port = free_port()
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "SMURFQ_STATE_DIR": str(folder),
            "SMURFQ_SIM_PORT": str(port),
            "SMURFQ_SIM_DETECTORS": "12",
            "SMURFQ_SIM_PUBLISH": "false",  # it has no bridge, and the default port may be another site's
            "EPICS_CA_ADDR_LIST": f"127.0.0.1:{port}",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            **variables,
        }
        self.process = self.launch("sim", [sys.executable, "-m", "smurfq.sim"], self.environ)

    def ready(self) -> bool:
        assert self.process.poll() is None, self.log("sim")
        return presence.read(self.folder / "sim") is not None

    def client(self, code: str) -> Any:
        """What ``code`` leaves in ``result``, run in a client of its own."""
        beginning = (
            "import epics, functools, time\nfrom epics import PV, caget, caput\n"
            "epics.ca.DEFAULT_CONNECTION_TIMEOUT = 60\nPV.get = functools.partialmethod(PV.get, timeout=60)\n"
        )
        return evaluate(self.environ, beginning + code)

    def fault(self, **asked: Any) -> None:
        """Put these faults, and no others, in force."""
        put_in_force(self.folder / "sim", self.slot, **asked)
