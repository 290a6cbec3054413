"""The parameters of `take_iv`."""

from smurfq.core.quantiles import fields
from smurfq.operations.kinds import BiasGroups, Positive, Seconds, Volts, Wait
from smurfq.operations.model import G3Tag, Parameters, PassedOn, PassedToAnalysis
from smurfq.operations.operation import Operation


class _Keywords(Parameters):
    bias_groups: BiasGroups | None = None
    """bias groups to sweep; default: the active ones"""
    biases: Volts | None = None
    """bias points, instead of bias_high, bias_low and bias_step"""
    bias_step: Positive
    """difference between bias points, V"""
    wait_time: Seconds
    """time at each bias point"""
    overbias_wait: Wait
    """duration of the overbias"""
    cool_wait: Wait
    """cooling time at the first bias point"""
    serial_wait_time: Wait
    """waiting time between bias groups"""
    analysis_kwargs: PassedToAnalysis = None


class TakeIv(Parameters):
    """Takes an IV curve of every detector."""

    keywords = _Keywords

    kwargs: PassedOn = None
    tag: G3Tag = None


TAKE_IV = Operation(
    "take_iv",
    "control",
    TakeIv,
    leaves="`filepath`, `quantiles.Rn` (Ω), `quantiles.p_sat` (W)",
    feed="iv_results",
    feed_fields=fields("Rn", "p_sat"),
    time_limit_s=3600.0,
)
