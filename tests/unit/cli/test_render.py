"""Records and slots are formatted for people."""

from __future__ import annotations

import io
from dataclasses import replace

import click
import pytest

from smurfq.cli.holding import TimeSpan
from smurfq.cli.render import final_lines, history_table, queue_table, show_record, terminal
from smurfq.cli.terminal_text import clean
from smurfq.core.session import SessionRecord
from smurfq.store.queues import Waiting

FAILED = SessionRecord(
    "3f2a91c0-aaaa",
    op_name="take_iv",
    slot="crate1slot2",
    params={"tag": "cal"},
    status="done",
    success=False,
    outcome="failed",
    error={"type": "OperationFailedError", "message": "no detector\nat all\x1b[31m"},
    submit_time=1000.0,
    start_time=1001.0,
    end_time=1011.5,
    messages=[[1002.0, "first"], [1003.0, "second\x07"]],
    messages_total=2,
    data={"a": [1, 2]},
    files=[{"path": "/data/x.npy"}],
    stages=[["noise", 1002.5]],
    log="one\ntwo\n",
    log_file="/logs/" + 150 * "x",
    lost=3,
    complete=False,
)


def _shown(record: SessionRecord) -> str:
    written = io.StringIO()
    show_record(terminal(written), record)
    return written.getvalue()


def test_nothing_that_a_script_prints_steers_the_terminal() -> None:
    assert clean("\x1b[31mred\x1b[0m\x1b]0;title\x07 a\tb\r\n") == "red]0;title a\tb\n"


def test_a_record_is_shown_whole() -> None:
    text = _shown(FAILED)
    for told in ("failed", "no detector", "first", "second", "/data/x.npy", "noise", "two", '"a"', '{"tag": "cal"}'):
        assert told in text
    assert f"log file    {FAILED.log_file}" in text.splitlines()
    assert "3 messages of the publisher" in text
    assert "\x1b" not in text


def test_the_end_of_a_run_says_what_is_missing_and_what_to_do() -> None:
    text = "\n".join(line.plain for line in final_lines(FAILED))
    assert text.startswith("failed in 10 s, 3 messages of the publisher were lost")
    assert "did not confirm" in text
    assert "smurfq show 3f2a91c0" in text


def test_the_end_of_a_success_shows_its_data_cut_where_long() -> None:
    record = SessionRecord("3f2a91c0-aaaa", status="done", outcome="succeeded", data={"n": list(range(5000))})
    text = "\n".join(line.plain for line in final_lines(record))
    assert text.startswith("succeeded\ndata = {")
    assert len(text) < 5000
    assert "smurfq show 3f2a91c0 --json" in text


def test_a_success_ends_with_what_is_still_on_and_how_to_turn_it_off() -> None:
    found = {"safe": False, "text": "left on: streaming, biases of groups 3 (3 V)", "expected": {"bias_dacs": [0] * 32}}
    data = {"test": 10, "make_safe": found}
    record = SessionRecord(
        "3f2a91c0-aaaa", op_name="run", slot="crate1slot2", status="done", outcome="succeeded", data=data
    )
    *above, last = [line.plain for line in final_lines(record)]
    assert last.startswith("the card: left on: streaming, biases of groups 3 (3 V); ")
    assert "`smurfq submit all_off -s crate1slot2 -p disable_amps=false -p disable_tones=false`" in last
    assert "`smurfq submit zero_biases -s crate1slot2`" in last
    assert "bias_dacs" not in "\n".join(above)
    assert last == [line.plain for line in final_lines(record, data=False)][-1]


def test_tables_keep_a_line_a_row() -> None:
    written = io.StringIO()
    console = terminal(written)
    console.print(history_table([FAILED]))
    waiting = Waiting("4f" * 18, "smurfq.run", "crate1slot2", 0, [], {"slot": "x", "script": "/a"}, {}, {}, "", "")
    console.print(queue_table([waiting]))
    lines = written.getvalue().splitlines()
    assert len(lines) == 4
    assert "3f2a91c0" in lines[1]
    assert "no detector at all" in lines[1]
    assert lines[3].split() == ["1", "4f4f4f4f", "crate1slot2", "run", "urgent", "-", '{"script":', '"/a"}']


def test_history_has_the_whole_error() -> None:
    written = io.StringIO()
    record = replace(FAILED, error={"type": "OperationFailedError", "message": "no tones " * 300 + "in band 7"})
    terminal(written).print(history_table([record]))
    assert written.getvalue().splitlines()[1].endswith("in band 7")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5h", 5400), ("30min", 1800), ("2d", 172_800)]
)
def test_time_spans(text: str, seconds: float) -> None:
    assert TimeSpan().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-3", "0", "3 weeks", "1h30"])
def test_other_time_spans_are_rejected(text: str) -> None:
    with pytest.raises(click.BadParameter, match="30min"):
        TimeSpan().convert(text, None, None)
