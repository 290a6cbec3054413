"""An operation's output: the file has all of it, the record a part."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smurfq.core.session import Event
from smurfq.errors import OperationFailedError
from smurfq.host import processes
from smurfq.pool_child import output
from smurfq.pool_child.output import Output, log_file


def printed(log: bool | str, file: Path, *chunks: bytes) -> tuple[str, list[str]]:
    """What the record is given, and the lines that the worker's log is."""
    events: list[Event] = []
    lines: list[str] = []
    made = Output(log, file, events.append, lines.append)
    for chunk in chunks:
        os.write(made.write_end, chunk)
        made.read()
    made.close_write_end()
    assert made.read() is False
    made.read_rest()
    made.close()
    return "".join(event["text"] for event in events), lines


def test_a_character_cut_in_two_comes_whole(tmp_path: Path) -> None:
    text = "R = 7.8 mΩ\nT = 165 mK\n"
    raw = text.encode()
    cut = raw.index("Ω".encode()) + 1
    shown, lines = printed(True, tmp_path / "log", raw[:cut], raw[cut:])
    assert shown == text
    assert lines == text.splitlines()
    assert (tmp_path / "log").read_bytes() == raw


def test_log_false_keeps_nothing_and_a_path_is_used(tmp_path: Path) -> None:
    assert printed(False, tmp_path / "log", b"x\n") == ("", [])
    assert not (tmp_path / "log").exists()
    shown, lines = printed(str(tmp_path / "own.log"), tmp_path / "log", b"x\n")
    assert (shown, lines) == ("x\n", [])
    assert (tmp_path / "own.log").read_text() == "x\n"


def test_the_record_has_a_part_of_a_flood_and_the_file_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "LIVE_BYTES", 1000)
    shown, _ = printed(True, tmp_path / "log", *[b"x" * 500] * 10)
    assert shown.startswith("x" * 1000)
    assert f"the rest is in {tmp_path / 'log'}" in shown
    assert (tmp_path / "log").read_bytes() == b"x" * 5000


def test_a_full_disk_ends_the_file_and_not_the_operation() -> None:
    events: list[Event] = []
    made = Output("/dev/full", Path(), events.append, print)
    os.write(made.write_end, b"one\n")
    assert made.read()
    os.write(made.write_end, b"two\n")
    assert made.read()
    made.close_write_end()
    made.read_rest()
    made.close()
    assert [event["k"] for event in events] == ["message", "log"]
    assert "No space left" in events[0]["text"]
    assert events[1]["text"] == "one\ntwo\n"


def test_a_log_that_cannot_be_written_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperationFailedError, match="nothing was run"):
        Output(str(tmp_path / "file" / "run.log"), Path(), print, print)


def test_a_log_files_name_cannot_leave_its_folder() -> None:
    path = log_file(Path("/logs"), "crate1slot2", "run", "../../etc/x", 0.0)
    assert path.parent == Path("/logs/crate1slot2/19700101")


@pytest.mark.parametrize(
    ("code", "oom", "words"),
    [
        (-9, True, "for lack of memory"),
        (-9, False, "killed by SIGKILL"),
        (-11, True, "killed by SIGSEGV"),
        (7, False, "exit code 7"),
    ],
)
def test_an_exit_code_is_described_in_words(code: int, oom: bool, words: str) -> None:
    assert words in processes.exit_words(code, oom)
