"""Files of a run as they are on disk."""

from __future__ import annotations

import os
from pathlib import Path

from smurfq.pool_child.written_files import changes, g3_files

SLOT = "crate1slot2"


def test_a_registered_file_gets_the_name_that_numpy_gave_it(tmp_path: Path) -> None:
    tune, arrays, there, gone = (str(tmp_path / name) for name in ("1_tune", "arrays", "there.txt", "gone.npy"))
    for path in (f"{tune}.npy", f"{arrays}.npz", there, f"{there}.npy"):
        Path(path).touch()
    assert dict(changes([tune, arrays, there, gone, gone, "relative.npy"])) == {
        tune: {"path": f"{tune}.npy"},
        arrays: {"path": f"{arrays}.npz"},
        gone: {"missing": True},
    }


def test_only_sessions_that_began_within_the_run_are_its_own(tmp_path: Path) -> None:
    def streamed(sid: int, number: int, slot: str = SLOT, written: float | None = None) -> Path:
        path = tmp_path / str(sid)[:5] / slot / f"{sid}_{number:03}.g3"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        written = sid + 10 if written is None else written
        os.utime(path, (written, written))
        return path

    since, until = 1_700_099_990.5, 1_700_100_020.5
    streamed(1_700_099_980, 0)
    streamed(1_700_099_980, 1, written=until)  # a session that was open before
    streamed(1_700_099_990, 0, written=since - 0.1)  # of the same second, over before
    own = [streamed(1_700_099_991, 0), streamed(1_700_099_991, 1), streamed(1_700_100_010, 0)]  # the folder changes
    streamed(1_700_100_010, 0, slot="crate1slot3")
    streamed(1_700_100_021, 0)
    (own[0].parent / "notes_of.g3").touch()
    assert list(g3_files(tmp_path, SLOT, since, until)) == own
    assert list(g3_files(tmp_path / "not here", SLOT, since, until)) == []
