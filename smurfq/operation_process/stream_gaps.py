"""Rejects results from a stream with missing samples."""

from __future__ import annotations

from itertools import pairwise
from statistics import median_low
from typing import Any

from smurfq.errors import OperationFailedError
from smurfq.operation_process.session import Session

_TOLERATED = 0.01  # of the samples; fewer are only reported


def check_gaps(session: Session, stream: Any) -> None:
    """Report how many samples of a stream are missing; ``stream`` is sotodlib's axis manager, or None.

    Raises
    ------
    OperationFailedError
        More than a hundredth of the samples are missing.
    """
    if stream is None:
        return
    missing, expected = missing_samples(stream.primary["FrameCounter"].tolist())
    if not missing:
        return
    session.data["missing_samples"] = missing
    what = (
        f"the stream of {session.op_name} on {session.slot} has gaps: {missing} of its {expected} samples are missing"
    )
    session.add_message(f"WARNING: {what}")
    if missing > _TOLERATED * expected:
        raise OperationFailedError(
            f"{what}, so what was found in it is not to be trusted. Frames are lost between the card and the file when "
            "the server is too busy or its network drops them",
            slot=session.slot,
            missing_samples=missing,
            expected_samples=expected,
        )


def missing_samples(counters: list[int]) -> tuple[int, int]:
    """Return how many samples are missing and how many there should be, from the frame counters of the others.

    Samples that are missing before the first or after the last are not counted.
    """
    steps = [after - before for before, after in pairwise(counters)]
    usual = median_low(steps) if steps else 0
    if usual <= 0:
        return 0, len(counters)
    missing = sum(round(step / usual) - 1 for step in steps if step > usual)
    return missing, len(counters) + missing
