"""`take_noise`."""

from __future__ import annotations

from typing import Any

from smurfq.core.results import noise_results
from smurfq.runner.session import Session
from smurfq.smurf_control import open_slot, sodetlib_function
from smurfq.tasks.gaps import check_gaps
from smurfq.tasks.keywords import keywords
from smurfq.tasks.task import operation

_WHITE_NOISE = 0  # the column of noise_pars: white noise level, index, knee


@operation
def take_noise(
    session: Session, *, duration: float = 30.0, kwargs: dict[str, Any] | None = None, tag: str | None = None
) -> None:
    """Stream for ``duration`` seconds and measure every channel's white noise level, pA/√Hz.

    Raises
    ------
    OperationFailedError
        The stream has gaps.
    """
    with open_slot(session) as (control, config):
        stream, found = sodetlib_function("noise.take_noise")(
            control, config, **keywords(kwargs, acq_time=duration, g3_tag=tag)
        )
    check_gaps(session, stream)
    results = noise_results(found["noise_pars"][:, _WHITE_NOISE])
    session.data["noise"] = {"band_medians": found["band_medians"]}
    session.data.update(results.data)
    session.feed("noise_results", results.feed)
