"""The files of real operations on a simulated slot reach the archive under the paths that socs's monitor gives them."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from smurfq.app import app
from smurfq.core.session import SessionRecord
from smurfq.store.archive_list import ArchiveList
from tests.site.archive import copy_with_socs, rows
from tests.site.eventually import eventually
from tests.site.simulated import LONG_S, SLOTS, SimSite

pytestmark = [pytest.mark.slot, pytest.mark.slow, pytest.mark.timeout(600)]
pytest.importorskip("socs", reason="needs socs (pip install smurfq[archive])")
BGMAP = {"nsteps": 6, "hcm_wait_time": 0.5}
IV = {"bias_high": 16.0, "bias_low": 0.0, "bias_step": 0.2, "wait_time": 0.05, "overbias_wait": 0.3, "cool_wait": 0.5}


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SimSite, Path, list[SessionRecord]]]:
    """A site, its database, and the records of runs that wrote files."""
    for package in ("caproto", "so3g", "sodetlib"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("archived")
    database = folder / "suprsync.db"
    with SimSite(folder / "site", SMURFQ_ARCHIVE_DATABASE=str(database), SMURFQ_SIM_PUBLISH="true") as site:
        site.run_python("archive", "-m", "smurfq.archive")
        site.start_worker(SLOTS[0])
        runs = [
            site.succeeded("take_noise", duration=8.0),
            site.succeeded("take_bgmap", kwargs=BGMAP),
            site.succeeded("take_iv", kwargs=IV),
            site.succeeded("stream", duration=2.0),
        ]
        archive = ArchiveList(app.store, app.settings.bridge_name)
        eventually(lambda: archive.state().waiting == 0, LONG_S, lambda: site.log("archive"))
        assert archive.state().set_aside == 0, archive.state().reason
        yield site, database, [site.slot().run(run.session_id).record() for run in runs]


def test_every_file_that_was_announced_has_its_row_and_its_record_says_so(
    archived: tuple[SimSite, Path, list[SessionRecord]],
) -> None:
    from socs.agents.pysmurf_monitor.agent import create_remote_path

    _, database, records = archived
    found = {row.local_path: row for row in rows(database)}
    announced = [file for record in records for file in record.files if "pysmurf_version" in file]
    assert len(announced) > 5
    assert max(Counter(row.remote_path for row in found.values()).values()) == 1
    for file in announced:
        row = found[file["path"]]
        publisher = row.remote_path.split("/")[1]
        assert row.remote_path == create_remote_path({**file, "pub_id": publisher}, "smurf")
        assert file["remote_path"] == row.remote_path
        assert file["registered"] > 0
    deletable = {Path(path).name: row.deletable for path, row in found.items()}
    assert not any(deletable[name] for name in deletable if "iv" in name)
    assert any(deletable.values())


def test_socs_copies_every_file(archived: tuple[SimSite, Path, list[SessionRecord]], tmp_path: Path) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("socs's copier needs rsync (apt-get install rsync)")
    _, database, _ = archived
    registered = rows(database)
    assert registered
    assert not copy_with_socs(str(database), str(tmp_path))
    for row in registered:
        assert (tmp_path / row.archive_name / row.remote_path).read_bytes() == Path(row.local_path).read_bytes()


def test_every_g3_file_of_the_smurf_server_is_registered(
    archived: tuple[SimSite, Path, list[SessionRecord]],
) -> None:
    site, database, records = archived
    written = {str(path) for path in site.options.folders.timestreams.rglob("*.g3")}
    registered = {row.local_path: row for row in rows(database) if row.archive_name == "timestreams"}
    assert written
    assert set(registered) == written
    assert all(path.endswith(f"/{row.remote_path}") for path, row in registered.items())
    listed = {file["path"]: file for record in records for file in record.files if file["kind"] == "g3_file"}
    assert set(listed) == written
    assert all(file.get("registered") for file in listed.values())
