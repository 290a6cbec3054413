"""The parameters of `take_bgmap`, `take_bias_steps` and `take_bias_waves`."""

from typing import Annotated

from pydantic import Field

from smurfq.core.card import NUM_BIAS_GROUPS
from smurfq.core.quantiles import fields
from smurfq.operations.kinds import BiasGroups, Count, Frequencies, Range, Seconds, Wait
from smurfq.operations.model import G3Tag, Parameters, PassedOn, PassedToAnalysis
from smurfq.operations.operation import Operation

_HighCurrentWait = Annotated[Wait, Field(description="how long to wait in high current mode")]
_RfracRange = Annotated[Range, Field(description="which fraction of R_n counts as biased")]
_BIASED_FIELDS = (
    *(f"biased_bg{group}" for group in range(NUM_BIAS_GROUPS)),
    "biased_total",
    *fields("Rfrac", "Si", "Rtes"),
)


class _StepKeywords(Parameters):
    bgs: BiasGroups | None = None
    """the bias groups to step; else the active ones"""
    step_duration: Seconds
    """how long a step is"""
    nsteps: Count
    """how many steps"""
    hcm_wait_time: _HighCurrentWait
    analysis_kwargs: PassedToAnalysis = None


class _WaveKeywords(Parameters):
    bgs: BiasGroups | None = None
    """the bias groups to wave; else the active ones"""
    freqs_wave: Frequencies
    """of the waves"""
    duration: Seconds
    """how long a wave is"""
    hcm_wait_time: _HighCurrentWait
    analysis_kwargs: PassedToAnalysis = None


class TakeBgmap(Parameters):
    """Finds out which bias group every channel belongs to."""

    keywords = _StepKeywords

    kwargs: PassedOn = None
    tag: G3Tag = None


class TakeBiasSteps(Parameters):
    """Measures resistance and responsivity by small steps of the bias."""

    keywords = _StepKeywords

    kwargs: PassedOn = None
    rfrac_range: _RfracRange = Field([0.2, 0.9])
    tag: G3Tag = None


class TakeBiasWaves(Parameters):
    """Measures resistance and responsivity by a small sine on the bias."""

    keywords = _WaveKeywords

    kwargs: PassedOn = None
    rfrac_range: _RfracRange = Field([0.2, 0.9])
    tag: G3Tag = None


TAKE_BGMAP = Operation(
    "take_bgmap",
    "control",
    TakeBgmap,
    leaves="`nchans_per_bg[13]` (the last: channels without a bias group), `filepath`",
    time_limit_s=1800.0,
)
TAKE_BIAS_STEPS = Operation(
    "take_bias_steps",
    "control",
    TakeBiasSteps,
    leaves="`filepath`, `biased_total`, `biased_per_bg[12]`, `quantiles.Rfrac`, `.Si` (1/V), `.Rtes` (Ω)",
    feed="bias_step_results",
    feed_fields=_BIASED_FIELDS,
    time_limit_s=3600.0,
)
TAKE_BIAS_WAVES = Operation(
    "take_bias_waves",
    "control",
    TakeBiasWaves,
    leaves="the same as `take_bias_steps`",
    feed="bias_wave_results",
    feed_fields=_BIASED_FIELDS,
    time_limit_s=3600.0,
)
