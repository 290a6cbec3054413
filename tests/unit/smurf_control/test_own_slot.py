"""Registers of other slots are recognized, and a child of an operation inherits the limit to its own slot."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from smurfq.errors import OperationFailedError
from smurfq.smurf_control import own_slot
from smurfq.smurf_control.own_slot import CARD_CLOSED, VARIABLE, other_server

OWN = "crate1slot2"
CHILD_PYTHON = Path(sys.modules["smurfq.smurf_control.own_slot"].__file__ or "").parent / "child_python"


@pytest.mark.parametrize(
    ("register", "other"),
    [
        ("smurf_server_s2:AMCc:FpgaTopLevel:AppTop", None),
        ("smurf_server_s2", None),
        ("smurf_server_s3:AMCc:FpgaTopLevel:AppTop", "smurf_server_s3"),
        ("smurf_server_s3", "smurf_server_s3"),
        ("smurf_server_s22:AMCc:enable", "smurf_server_s22"),
        ("smurf_server_s02:AMCc:enable", "smurf_server_s02"),
        ("smurf_server_s:AMCc:enable", "smurf_server_s"),
        ("dev_epics:AMCc:enable", "dev_epics"),
        ("dev_epics:AMCc", "dev_epics"),
        ("shm-smrf-sp01:Crate:Sensors:Slots:3:CarrierInfo", None),
        ("cryostat:thermometer:AMCc", None),
        ("smurf_server_status:uptime", None),
        ("AMCc:enable", None),
        ("", None),
    ],
)
def test_the_other_slots_server_is_recognized_by_the_register_name(register: str, other: str | None) -> None:
    assert other_server(register, OWN) == other


@pytest.mark.parametrize("register", ["smurf_server_s2:AMCc:enable", "smurf_server_s3:AMCc:enable"])
def test_a_workflow_may_open_no_slot(register: str) -> None:
    assert other_server(register, "workflows") == register.partition(":")[0]
    assert other_server("cryostat:thermometer", "workflows") is None


def test_a_closed_card_cannot_be_opened_and_other_devices_can(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    channels: Any = types.ModuleType("epics.ca")
    channels.create_channel = lambda name: f"channel {name}"
    monkeypatch.setitem(sys.modules, "epics.ca", channels)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setenv(VARIABLE, OWN)
    monkeypatch.setenv(CARD_CLOSED, "it was not made safe")
    own_slot.limit_child()
    monkeypatch.delenv(CARD_CLOSED)  # a script may do so, and the card stays closed
    for register in ("smurf_server_s2:AMCc:enable", b"smurf_server_s2:AMCc:enable", "dev_epics:AMCc"):
        with pytest.raises(OperationFailedError):
            channels.create_channel(register)
    assert channels.create_channel("cryostat:thermometer") == "channel cryostat:thermometer"
    assert capsys.readouterr().err.count("smurfq: it was not made safe") == 1


def in_python(text: str, *before: Path, flags: tuple[str, ...] = (), variables: dict[str, str] | None = None) -> str:
    """What a Python prints that is started as a child of an operation is."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", text],
        env={"PATH": "", "PYTHONPATH": os.pathsep.join(map(str, (CHILD_PYTHON, *before))), **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_a_childs_own_sitecustomize_is_run_too(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('of the site')")
    assert in_python("import sitecustomize; print(sitecustomize.__file__)", tmp_path, variables={VARIABLE: OWN}).split(
        "\n"
    ) == [
        "of the site",
        str(tmp_path / "sitecustomize.py"),
    ]


def test_a_child_without_the_libraries_starts_with_few_modules_more() -> None:
    names = "import sys; print(*sys.modules)"
    more = set(in_python(names, variables={VARIABLE: OWN}).split()) - set(in_python(names, flags=("-E",)).split())
    assert {name for name in more if not name.startswith("importlib")} <= {"sitecustomize", "__future__", "warnings"}


def test_a_python_that_no_operation_started_is_not_limited() -> None:
    assert in_python("import sys; print([f for f in sys.meta_path if 'Guard' in str(f)])") == "[]"
