"""The register names that are kept for the next run of an operation."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from smurfq.config import Settings
from smurfq.smurf_control import connect_ahead
from smurfq.smurf_control.connect_ahead import MOST_NAMES, names_file, names_to_keep

NAMES = st.text("abcdef", min_size=1, max_size=2)


@given(st.dictionaries(NAMES, st.integers(0, 20)), st.sets(NAMES), st.sets(NAMES))
def test_used_names_are_kept_and_missing_ones_removed(before: dict[str, int], used: set[str], gone: set[str]) -> None:
    kept = names_to_keep(before, used, gone)
    assert {name for name, unused_runs in kept.items() if unused_runs == 0} == used
    assert not (gone - used) & kept.keys()
    assert kept.keys() <= used | before.keys()
    assert list(kept.values()) == sorted(kept.values())


def test_a_name_that_is_no_longer_used_is_dropped_after_some_runs() -> None:
    kept = names_to_keep({}, ["once", "always"], ())
    runs = 0
    while "once" in kept:
        kept = names_to_keep(kept, ["always"], ())
        runs += 1
        assert runs < 100
    assert runs > 2
    assert kept == {"always": 0}


def test_there_are_never_too_many_and_those_used_last_stay() -> None:
    before = {f"old{number}": 1 for number in range(MOST_NAMES)}
    kept = names_to_keep(before, ["new"], ())
    assert len(kept) == MOST_NAMES
    assert next(iter(kept)) == "new"


def test_an_invalid_file_counts_as_missing(tmp_path: Path) -> None:
    path = names_file(Settings(state_dir=tmp_path), "crate1slot2", "take_iv")
    assert connect_ahead._read(path, "s2:") == {}
    connect_ahead._write(path, {"s2:a": 0, "s2:b": 3})
    assert connect_ahead._read(path, "s2:") == {"s2:a": 0, "s2:b": 3}
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    for text in ("", "{", "[1]", '{"s2:a": "x", "s3:a": 0, "s2:\\n": 0, "s2:b": -1, "s2:c": true}', "\x00" * 2_000_000):
        path.write_text(text)
        assert connect_ahead._read(path, "s2:") == {}
    path.write_bytes(b"\xff\xfe")
    assert connect_ahead._read(path, "s2:") == {}
