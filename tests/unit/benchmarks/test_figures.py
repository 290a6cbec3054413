"""The benchmarks' table: how samples are told."""

from __future__ import annotations

import pytest

from benchmarks.figures import Row, Table, span, times


def test_a_table_is_markdown_with_a_row_for_each_figure() -> None:
    text = Table("Abort", [Row("dead", "1 ms", peer="8.4 ms")], ["A remark."]).markdown()
    lines = text.splitlines()
    assert lines[0] == "## Abort"
    assert lines[4] == "| dead | 1 ms |  | 8.4 ms |"
    assert len({line.count("|") for line in lines[2:5]}) == 1
    assert lines[-1] == "A remark."


@pytest.mark.parametrize(
    ("samples_s", "told"),
    [
        ([0.001, 0.003, 0.002], "p50 2 ms (1 to 3; n=3)"),
        ([1.5, 1.0, 2.0], "p50 1.5 s (1 to 2; n=3)"),
        ([0.1234] * 20, "p50 123 ms, p95 123 (123 to 123; n=20)"),
        ([0.001 * n for n in range(1, 100)], "p50 50 ms, p95 95 (1 to 99; n=99)"),
    ],
)
def test_times_are_told_in_their_unit_with_their_range(samples_s: list[float], told: str) -> None:
    assert times(samples_s) == told


@pytest.mark.parametrize(
    ("values", "told"), [([10_000, 10_000], "10,000"), ([722, 2432], "722 to 2,432"), ([0.4], "0")]
)
def test_a_span_is_one_number_where_there_is_one(values: list[float], told: str) -> None:
    assert span(values) == told
