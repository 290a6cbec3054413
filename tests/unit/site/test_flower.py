"""The password of Flower's login."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from smurfq.config import load
from smurfq.errors import StartError
from smurfq.site.flower import login_words, password, password_path


def test_a_password_of_the_settings_is_used_and_kept_nowhere(tmp_path: Path) -> None:
    settings = load({"SMURFQ_STATE_DIR": str(tmp_path), "SMURFQ_FLOWER_PASSWORD": "hush"})
    assert password(settings) == "hush"
    assert not password_path(settings).exists()
    assert "hush" not in login_words(settings)


def test_one_is_made_once(tmp_path: Path) -> None:
    settings = load({"SMURFQ_STATE_DIR": str(tmp_path / "new")})
    made = password(settings)
    assert len(made) >= 20
    assert password(settings) == made
    assert stat.S_IMODE(password_path(settings).stat().st_mode) == 0o600
    assert made not in login_words(settings)
    assert str(password_path(settings)) in login_words(settings)
    assert password(load({"SMURFQ_STATE_DIR": str(tmp_path / "other")})) != made


def test_an_empty_file_is_no_password(tmp_path: Path) -> None:
    settings = load({"SMURFQ_STATE_DIR": str(tmp_path)})
    password_path(settings).touch()
    with pytest.raises(StartError, match="is empty; remove it"):
        password(settings)
