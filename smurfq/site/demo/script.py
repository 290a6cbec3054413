"""Contains the demo's control script, and checks its result."""

from __future__ import annotations

from pathlib import Path

from smurfq.core.session import SessionRecord
from smurfq.errors import StartError

DURATION_S = 4.0
CHANNELS = [0, 1, 2, 3, 4]
MESSAGES = ("Starting data stream", "Data stream is closed")


def script_path() -> Path:
    """Return the path of the control script that the demo runs.

    Raises
    ------
    StartError
        smurfq is installed without its examples.
    """
    path = Path(__file__).resolve().parents[3] / "examples" / "scripts" / "stream_data.py"
    if not path.is_file():
        raise StartError(f"the demo's script {path} does not exist; run the demo from a checkout of smurfq")
    return path


def problems(record: SessionRecord) -> list[str]:
    """Return a list of the problems in the final record of the script's run."""
    found = []
    if record.outcome != "succeeded":
        found.append(
            f"the run {record.outcome}: {(record.error or {}).get('message', 'the record has no error message')}"
        )
    texts = [text for _, text in record.messages]
    found += [f"the message {text!r} did not arrive" for text in MESSAGES if text not in texts]
    if record.data.get("active_channels") != CHANNELS:
        found.append(f"active_channels is {record.data.get('active_channels')}, not {CHANNELS}")
    datafile = record.data.get("datafile")
    if not datafile or not Path(datafile).is_file():
        found.append(f"datafile is {datafile!r}, which is not a file")
    elif datafile not in [file.get("path") for file in record.files]:
        found.append(f"{datafile} is not among the record's files")
    if record.lost or not record.complete:
        found.append(f"{record.lost} messages were lost, and the record has complete={record.complete}")
    return found
