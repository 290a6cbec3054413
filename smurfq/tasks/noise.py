"""`take_noise`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from smurfq.core.results import noise_results
from smurfq.core.spectra import KNEE_BELOW_HZ, least_duration_s
from smurfq.errors import OperationFailedError, ParameterError
from smurfq.operation_process.keywords import keywords
from smurfq.operation_process.session import Session
from smurfq.operation_process.stream_gaps import check_gaps
from smurfq.pool_child.operation_task import operation
from smurfq.smurf_control import open_slot, sodetlib_function

_WHITE_NOISE = 0  # the column of noise_pars: white noise level, index, knee
_MORE_S: Final = 1.0  # a stream may be longer than requested by so much


@operation
def take_noise(session: Session, *, duration: float, kwargs: dict[str, Any] | None, tag: str | None) -> None:
    """Stream for ``duration`` seconds and measure every channel's white noise level in pA/√Hz.

    Raises
    ------
    ParameterError
        The stream would be too short for the fit of the white noise and the 1/f knee.
    OperationFailedError
        The stream has gaps, or was slightly too short.
    """
    wanted = keywords(session.op_name, kwargs, acq_time=duration, g3_tag=tag)
    with open_slot(session, streams=True) as (control, config):
        rate_hz = control.get_flux_ramp_freq() * 1000 / config.dev.exp["downsample_factor"]
        with _long_enough(duration, rate_hz, wanted):
            stream, found = sodetlib_function("noise.take_noise")(control, config, **wanted)
    check_gaps(session, stream)
    results = noise_results(found["noise_pars"][:, _WHITE_NOISE])
    session.data["noise"] = {"band_medians": found["band_medians"]}
    session.data.update(results.data)
    session.feed("noise_results", results.feed)


@contextmanager
def _long_enough(duration_s: float, rate_hz: float, wanted: Mapping[str, Any]) -> Iterator[None]:
    """Reject a stream that is certainly too short. If it may be too short, explain an error of the block so.

    A stream is slightly longer than its duration, since it begins before the time is counted and ends after it.
    """
    least_s = least_duration_s(rate_hz, wanted)
    if least_s is None or duration_s + _MORE_S < least_s:
        raise ParameterError(
            _too_short(duration_s, rate_hz, least_s),
            operation="take_noise",
            parameter="duration",
            got=duration_s,
            allowed=least_s,
        )
    try:
        yield
    except (ValueError, IndexError) as cause:
        if duration_s > least_s + _MORE_S:
            raise
        raise OperationFailedError(_too_short(duration_s, rate_hz, least_s), least_s=least_s) from cause


def _too_short(duration_s: float, rate_hz: float, least_s: float | None) -> str:
    needs = "no duration is enough with these kwargs" if least_s is None else f"{least_s:.1f} s would be enough"
    return (
        f"take_noise: duration is too short; got {duration_s:g} s, {needs}. At {rate_hz:g} Hz the spectrum would have "
        f"no frequency below {KNEE_BELOW_HZ:g} Hz for the fit of the knee, or none in wl_f_range for the white noise: "
        "sodetlib cuts the stream into about 50 segments. With a larger nperseg in kwargs, a shorter stream is enough"
    )
