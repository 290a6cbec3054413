"""Gaps of a stream are found by its frame counters."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from smurfq.errors import OperationFailedError
from smurfq.operation_process.stream_gaps import check_gaps, missing_samples


class Counters(list[int]):
    """As sotodlib gives them, but without numpy."""

    def tolist(self) -> list[int]:
        return list(self)


def stream(counters: list[int]) -> Any:
    return SimpleNamespace(primary={"FrameCounter": Counters(counters)})


@pytest.mark.parametrize(
    ("counters", "expected"),
    [
        ([], (0, 0)),
        ([7], (0, 1)),
        ([20, 40, 60], (0, 3)),
        ([20, 40, 100, 120, 140], (2, 7)),
        ([20, 41, 60, 79, 100], (0, 5)),  # counters of a software clock are not exact
        ([20, 40, 60, 0, 20, 40], (0, 6)),  # begun anew
        ([5, 5, 5, 9], (0, 4)),  # counters that do not count tell nothing
    ],
)
def test_missing_samples_are_counted(counters: list[int], expected: tuple[int, int]) -> None:
    assert missing_samples(counters) == expected


def test_a_stream_with_many_gaps_fails_and_says_how_many(recorded: Any) -> None:
    session = recorded("take_noise")
    with pytest.raises(OperationFailedError, match="100 of its 400 samples are missing"):
        check_gaps(session.session, stream([*range(0, 200), *range(300, 400)]))
    assert session.record().data == {"missing_samples": 100}


def test_few_gaps_are_only_reported(recorded: Any) -> None:
    session = recorded("take_noise")
    check_gaps(session.session, None)
    check_gaps(session.session, stream(list(range(400))))
    assert session.events == []
    check_gaps(session.session, stream([*range(0, 200), *range(202, 400)]))
    assert "2 of its 400 samples" in session.record().messages[0][1]
