"""Finds the files of the demo's workflow: sodetlib's pictures and the g3 files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from smurfq.core.session import SessionRecord

DRAWN = {
    "take_iv": ("iv_rfracs", "iv_rns"),
    "take_bias_steps": ("bs_rfrac_summary",),
    "take_noise": ("white_noise_summary", "asd_summary"),
}


def pictures(record: SessionRecord) -> list[Path]:
    """Return the pictures that an operation registered."""
    return [Path(file["path"]) for file in record.files if file.get("plot") and file.get("path")]


def g3_files(record: SessionRecord, timestreams: Path) -> list[Path]:
    """Return the g3 files of a stream, in order."""
    return sorted(timestreams.rglob(f"{record.data.get('sid')}_*.g3"))


def missing(records: Mapping[str, SessionRecord], timestreams: Path) -> list[str]:
    """Return a list of the problems in the records and files of the operations."""
    found = []
    for operation, names in DRAWN.items():
        drawn = [path for path in pictures(records[operation]) if path.is_file()]
        found += [
            f"{operation} made no picture {name}.png" for name in names if not any(name in path.name for path in drawn)
        ]
    files = g3_files(records["stream"], timestreams)
    if not files or not all(path.stat().st_size for path in files):
        found.append(f"the stream {records['stream'].data.get('sid')} wrote no g3 file below {timestreams}")
    for operation, record in records.items():
        if not record.simulated:
            found.append(f"the record of {operation} does not say that its slot is simulated")
        if record.lost or not record.complete:
            found.append(f"{record.lost} messages of {operation} were lost, complete={record.complete}")
    return found
