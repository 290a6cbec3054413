"""The events that correct and complete the list of a run's files."""

from __future__ import annotations

from pathlib import Path

from smurfq.core.session import SessionHeader
from smurfq.pool_child.file_listing import file_events
from smurfq.pool_child.job import Job
from smurfq.store.fence import Running

SLOT = "crate1slot2"
STREAM_ID = "ufm_mv9"
BEGAN = 1_700_000_000


def job(publisher: str = SLOT) -> Job:
    running = Running("an-id", "take_iv", SLOT, publisher, "a-host", "a token", 0.0)
    return Job("an-id", "take_iv", SLOT, publisher, {}, {}, running, SessionHeader("an-id"), stream_id=STREAM_ID)


def g3_file(timestreams: Path) -> str:
    """Make the file of a g3 session that begins at BEGAN."""
    folder = timestreams / str(BEGAN)[:5] / STREAM_ID
    folder.mkdir(parents=True)
    path = folder / f"{BEGAN}_000.g3"
    path.touch()
    return str(path)


def test_the_g3_files_of_the_run_are_added(tmp_path: Path) -> None:
    path = g3_file(tmp_path)
    (event,) = file_events(tmp_path, job(), [], BEGAN, BEGAN + 10.0)
    assert (event["k"], event["file"]) == ("file", {"path": path, "kind": "g3_file"})
    assert file_events(tmp_path, job(), [path], BEGAN, BEGAN + 10.0) == [], "it is registered"


def test_an_operation_that_only_reads_has_streamed_nothing(tmp_path: Path) -> None:
    g3_file(tmp_path)
    assert file_events(tmp_path, job(f"{SLOT}.state"), [], BEGAN, BEGAN + 10.0) == []


def test_a_registered_file_that_is_not_there_is_marked_as_missing(tmp_path: Path) -> None:
    missing = str(tmp_path / "tune.npy")
    (event,) = file_events(tmp_path, job(), [missing], BEGAN, BEGAN + 10.0)
    assert event["set"] == {"missing": True}


def test_a_g3_file_that_cannot_be_read_loses_no_correction(tmp_path: Path) -> None:
    missing = str(tmp_path / "tune.npy")
    Path(g3_file(tmp_path)).unlink()
    (tmp_path / str(BEGAN)[:5] / STREAM_ID / f"{BEGAN}_000.g3").symlink_to("nowhere")
    (event,) = file_events(tmp_path, job(), [missing], BEGAN, BEGAN + 10.0)
    assert event["set"] == {"missing": True}
