"""`smurfq sim fault` while no simulator is running."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from smurfq.cli import main
from smurfq.cli.exit_codes import ExitCode

pytest.importorskip("numpy")


def call(folder: Path, *arguments: str) -> Result:
    environ = {"SMURFQ_STATE_DIR": str(folder), "SMURFQ_SLOTS": "crate1slot2 crate1slot3"}
    return CliRunner().invoke(main, ["sim", "fault", *arguments], env=environ)


def test_faults_are_set_and_cleared_for_each_slot(tmp_path: Path) -> None:
    assert call(tmp_path, "silent", "--slot", "crate1slot2").exit_code == ExitCode.SUCCEEDED
    done = call(tmp_path, "gaps", "--value", "0.3", "--slot", "crate1slot3", "--json")
    assert "the next one there will start with these faults" in done.stderr
    assert json.loads(done.stdout) == {"crate1slot2": {"silent": True}, "crate1slot3": {"gaps": 0.3}}
    call(tmp_path, "silent", "--off", "--slot", "crate1slot2")
    assert json.loads(call(tmp_path, "--json").stdout) == {"crate1slot3": {"gaps": 0.3}}
    call(tmp_path, "--clear")
    assert "no slot has a fault" in call(tmp_path).stdout


def test_it_tells_which_faults_there_are(tmp_path: Path) -> None:
    text = call(tmp_path).stdout
    for name in ("silent", "dead_registers", "no_cryocard", "never_closes", "gaps", "locked_up"):
        assert name in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("silent",), "which slot?"),
        (("silent", "--slot", "crate1slot9"), "is not in the configuration"),
        (("quiet", "--slot", "crate1slot2"), "no such fault: 'quiet'"),
        (("gaps", "--value", "much", "--slot", "crate1slot2"), "is not JSON"),
    ],
)
def test_wrong_faults_are_rejected(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = call(tmp_path, *arguments)
    assert done.exit_code == ExitCode.USAGE
    assert said in done.stderr
    assert not (tmp_path / "sim").exists()
