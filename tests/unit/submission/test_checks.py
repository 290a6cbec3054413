"""A request that no worker could execute is rejected before it is queued."""

from __future__ import annotations

from pathlib import Path

import pytest

from smurfq.config import Settings
from smurfq.errors import ParameterError
from smurfq.submission.checks import check_request


def test_a_relative_script_path_is_rejected_with_the_absolute_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/usr")
    params = {"slot": "crate1slot2", "script": "bin/x.py"}
    with pytest.raises(ParameterError, match=r"absolute path.*did you mean /usr/bin/x\.py\?") as caught:
        check_request(Settings(), "me", "smurfq.run", (), params, {})
    assert caught.value.parameter == "script"


def test_an_absolute_script_path_is_accepted(tmp_path: Path) -> None:
    params = {"slot": "crate1slot2", "script": str(tmp_path / "x.py")}
    assert check_request(Settings(), "me", "smurfq.run", (), params, {}).params["script"] == params["script"]
