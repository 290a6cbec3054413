"""A command in another terminal finds the site's simulated slots."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smurfq.config import load
from smurfq.core.process_id import ProcessId
from smurfq.site import journal, simulation
from smurfq.site.journal import Entry, Journal

pytest.importorskip("caproto")


def note(folder: Path, pid: int | None) -> None:
    """Write the journal of a site with a simulator of this process id."""
    entry = Entry(name=simulation.NAME, where="", log="", state="ready", who=ProcessId.of(pid) if pid else None)
    journal.write(folder, Journal(state="ready", who=ProcessId.of(os.getpid()), processes=[entry]))


def test_it_uses_the_variables_of_the_sites_processes(tmp_path: Path) -> None:
    environ = {"SMURFQ_STATE_DIR": str(tmp_path), "SMURFQ_SLOTS": "crate1slot2", "SMURFQ_SIM_PORT": "4711"}
    note(tmp_path, os.getpid())
    settings = load(simulation.beside_running(environ, load(environ)))
    assert settings.simulated
    assert settings.epics.ca_addr_list == "127.0.0.1:4711"
    assert settings.smurf.config_dir == tmp_path / "sim" / "config"


def test_nothing_changes_where_none_runs(tmp_path: Path) -> None:
    environ = {"SMURFQ_STATE_DIR": str(tmp_path), "SMURFQ_SLOTS": "crate1slot2"}
    assert simulation.beside_running(environ, load(environ)) == environ
    note(tmp_path, None)
    assert simulation.beside_running(environ, load(environ)) == environ


def test_files_of_simulated_slots_are_not_registered_in_the_database_of_real_ones(tmp_path: Path) -> None:
    environ = {"SMURFQ_STATE_DIR": str(tmp_path), "SMURFQ_SLOTS": "crate1slot2"}
    real = load({**environ, "SMURFQ_ARCHIVE_DATABASE": "/data/so/databases/suprsync.db"})
    assert load(simulation.simulated(environ, real, real.slots)).archive.database == tmp_path / "sim" / "suprsync.db"
    assert load(simulation.simulated(environ, load(environ), real.slots)).archive.database is None
