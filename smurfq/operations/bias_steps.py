"""The parameters of `take_bgmap`, `take_bias_steps` and `take_bias_waves`."""

from typing import Annotated

from pydantic import Field

from smurfq.core.card import NUM_BIAS_GROUPS
from smurfq.core.quantiles import fields
from smurfq.operations.kinds import BiasGroups, Count, Frequencies, Range, Seconds, Wait
from smurfq.operations.model import G3Tag, Parameters, PassedOn, PassedToAnalysis
from smurfq.operations.operation import Operation

_RfracRange = Annotated[Range, Field(description="range of R/R_n of a biased detector")]
_BIASED_FIELDS = (
    *(f"biased_bg{group}" for group in range(NUM_BIAS_GROUPS)),
    "biased_total",
    *fields("Rfrac", "Si", "Rtes"),
)


class _Keywords(Parameters):
    bgs: BiasGroups | None = None
    """bias groups to use; default: the active ones"""
    hcm_wait_time: Wait
    """waiting time in high current mode"""
    analysis_kwargs: PassedToAnalysis = None


class _StepKeywords(_Keywords):
    step_duration: Seconds
    """duration of a step"""
    nsteps: Count
    """number of steps"""


class _WaveKeywords(_Keywords):
    freqs_wave: Frequencies
    """frequencies of the sine waves"""
    duration: Seconds
    """duration of a wave"""


class TakeBgmap(Parameters):
    """Measures the bias group of every channel."""

    keywords = _StepKeywords

    kwargs: PassedOn = None
    tag: G3Tag = None


class TakeBiasSteps(Parameters):
    """Measures resistance and responsivity with small steps of the bias."""

    keywords = _StepKeywords

    kwargs: PassedOn = None
    rfrac_range: _RfracRange = Field([0.2, 0.9])
    tag: G3Tag = None


class TakeBiasWaves(Parameters):
    """Measures resistance and responsivity with a small sine wave on the bias."""

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
