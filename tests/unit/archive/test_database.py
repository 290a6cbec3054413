"""Without socs, the registrar says what to install."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from smurfq.archive.database import ArchiveDatabase
from smurfq.errors import StartError


def test_a_missing_socs_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "socs", None)
    monkeypatch.delitem(sys.modules, "socs.db", raising=False)
    monkeypatch.delitem(sys.modules, "socs.db.suprsync", raising=False)
    with pytest.raises(StartError, match=r"needs the package socs: pip install 'smurfq\[archive\]'"):
        ArchiveDatabase(tmp_path / "suprsync.db", lambda: True)
