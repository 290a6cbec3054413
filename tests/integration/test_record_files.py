"""The files that a record lists are those on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from smurfq.client import Slot
from smurfq.client.connection import Connection
from smurfq.client.updates import FileUpdate
from smurfq.config import load
from smurfq.core.session import SessionRecord
from tests.site.eventually import WITHIN_S
from tests.site.live import LiveSite

SLOT = "crate1slot2"
# As pysmurf does: a tune is registered by the name that was given to np.save, which adds `.npy`.
SAVES = """
import os, sys, time
from pathlib import Path
import numpy as np
from pysmurf.client.util.pub import Publisher
folder, streams = map(Path, sys.argv[1:])
pub = Publisher("saves", env_root="SMURFPUB_")
np.save(folder / "1_tune", {"band": 4})
for name in ("1_tune", "never_written.txt"):
    pub.register_file(str(folder / name), "tune")
sid = int(time.time())
own = streams / str(sid)[:5] / os.environ["SMURFPUB_ID"]
own.mkdir(parents=True, exist_ok=True)
for number in range(2):
    (own / f"{sid}_{number:03}.g3").write_bytes(b"frames")
(own / f"{sid - 100}_000.g3").write_bytes(b"of an earlier run")
if "fails" in str(folder):
    raise RuntimeError("after all was written")
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """A worker of a slot, and a folder for g3 files."""
    pytest.importorskip("pysmurf")
    folder = tmp_path_factory.mktemp("files")
    with LiveSite(folder / "site", SMURFQ_SMURF_TIMESTREAMS_DIR=str(folder / "streams")) as live:
        live.start_bridge(wait=False)
        live.start_worker(SLOT)
        yield live


def saved(live: LiveSite, folder: Path, streams: str) -> tuple[SessionRecord, list[str]]:
    """The record of a run that saved files, and the paths that its follower was told."""
    folder.mkdir()
    slot = Slot(SLOT, connection=Connection(load(live.environ)))
    run = slot.submit("run", script=live.script("saves.py", SAVES), args=[str(folder), streams])
    told = [update.file["path"] for update in run.follow(WITHIN_S) if isinstance(update, FileUpdate)]
    return run.record(), told


@pytest.mark.parametrize("end", ["succeeds", "fails"])
def test_files_are_listed_as_they_are_on_disk(live: LiveSite, tmp_path: Path, end: str) -> None:
    streams = Path(live.environ["SMURFQ_SMURF_TIMESTREAMS_DIR"])
    before = set(streams.rglob("*.g3"))
    record, told = saved(live, tmp_path / end, str(streams))
    assert record.success is (end == "succeeds"), record.error
    listed = {file["path"]: file for file in record.files}
    assert str(tmp_path / end / "1_tune.npy") in listed
    assert str(tmp_path / end / "1_tune") not in listed
    assert {path for path, file in listed.items() if file.get("missing")} == {str(tmp_path / end / "never_written.txt")}
    assert all(Path(path).exists() for path, file in listed.items() if not file.get("missing"))
    streamed = sorted(path for path, file in listed.items() if file["kind"] == "g3_file")
    own = sorted(str(path) for path in set(streams.rglob("*.g3")) - before)[1:]
    assert streamed == own
    assert len(own) == 2
    assert set(own) < set(told), "a follower is told of them too"
