"""The parameters of `take_noise`."""

from typing import Annotated

from smurfq.core.quantiles import fields
from smurfq.operations.kinds import Positive, Range, Seconds, Several
from smurfq.operations.model import G3Tag, Keyword, Parameters, PassedOn
from smurfq.operations.operation import Operation


class _Keywords(Parameters):
    nperseg: Several
    """samples in each segment of the spectrum; default: about 1/50 of all, as a power of 2"""
    freq_spacing: Positive | None = None
    """resolution of the spectrum, Hz, instead of nperseg"""
    wl_f_range: Range
    """frequency range of the white noise, Hz"""
    nperdecade: Several
    """bins per decade below the white noise, for the fit of the 1/f knee"""


class TakeNoise(Parameters):
    """Takes a stream and measures the white noise of every channel."""

    keywords = _Keywords

    duration: Annotated[Seconds, Keyword("acq_time")] = 30.0
    """duration of the stream"""
    kwargs: PassedOn = None
    tag: G3Tag = None


TAKE_NOISE = Operation(
    "take_noise",
    "control",
    TakeNoise,
    leaves="`noise.band_medians`, `quantiles.white_noise_level` (pA/√Hz)",
    feed="noise_results",
    feed_fields=fields("white_noise_level"),
    time_limit_s=900.0,
    repeatable=True,
)
