"""The parameters of `take_noise`."""

from typing import Annotated

from smurfq.core.quantiles import fields
from smurfq.operations.kinds import Positive, Range, Seconds, Several
from smurfq.operations.model import G3Tag, Keyword, Parameters, PassedOn
from smurfq.operations.operation import Operation


class _Keywords(Parameters):
    nperseg: Several
    """samples of a segment of the spectrum; else a 50th of all, as 2^n"""
    freq_spacing: Positive | None = None
    """of the spectrum, Hz; instead of nperseg"""
    wl_f_range: Range
    """where the noise is white, Hz"""
    nperdecade: Several
    """bins a decade below it, in which the knee is sought"""


class TakeNoise(Parameters):
    """Streams for a while and measures the white noise of every channel."""

    keywords = _Keywords

    duration: Annotated[Seconds, Keyword("acq_time")] = 30.0
    """how long to stream"""
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
