"""The parameters of `overbias_tes`, `set_biases`, `zero_biases`, `bias_dets` and `all_off`."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from smurfq.core.card import MAX_BIAS_GROUPS, NUM_BIAS_GROUPS
from smurfq.core.plain_values import shown
from smurfq.operations.kinds import Bias, BiasGroups, Flag, OwnBiasGroups, Range, Rfrac, Volts, Wait, allowed
from smurfq.operations.model import ContradictionError, Keyword, Parameters, PassedOn
from smurfq.operations.operation import Operation

_OwnBiasGroups = Annotated[OwnBiasGroups | None, Field(description="bias groups to use; default: all of the slot")]


class _OverbiasKeywords(Parameters):
    biases: Volts | None = None
    """final voltage of each bias group; default: cool_voltage"""
    cool_wait: Wait | None = None
    """cooling time at the final voltages"""


class OverbiasTes(Parameters):
    """Drives the detectors normal with a high bias."""

    keywords = _OverbiasKeywords

    bgs: Annotated[BiasGroups | None, Keyword("bias_groups")] = None
    """bias groups to use; default: the active ones"""
    kwargs: PassedOn = None


class SetBiases(Parameters):
    """Sets the bias voltage of bias groups."""

    bias: Bias
    """one voltage for all bias groups, or one for each"""
    bgs: _OwnBiasGroups = None

    @model_validator(mode="after")
    def _one_for_each(self) -> Self:
        if not isinstance(self.bias, list):
            return self
        count = len(self.bias)
        if self.bgs is not None:
            is_right, of = count == len(self.bgs), f"the {len(self.bgs)} bias groups of bgs"
        else:  # only the slot's server knows how many it has
            is_right = NUM_BIAS_GROUPS <= count <= MAX_BIAS_GROUPS
            of = f"all {NUM_BIAS_GROUPS} to {MAX_BIAS_GROUPS} bias groups of the slot"
        if not is_right:
            text = f"parameter bias must be one number, or a list with one for each of {of}; got {count} numbers"
            raise ContradictionError(text, parameter="bias", got=shown(self.bias), allowed=allowed(Bias))
        return self


class ZeroBiases(Parameters):
    """Sets the bias voltage of bias groups to zero."""

    bgs: _OwnBiasGroups = None


class _BiasDetsKeywords(Parameters):
    bias_groups: BiasGroups | None = None
    """bias groups to bias; default: the active ones"""
    Rn_range: Range
    """range of R_n of the detectors to use, Ω"""


class BiasDets(Parameters):
    """Biases the detectors into their transition, using the last IV."""

    keywords = _BiasDetsKeywords

    rfrac: Annotated[Rfrac | None, Keyword("rfrac")] = None
    """target R/R_n, or a range to aim for; default: that of the device configuration"""
    kwargs: PassedOn = None


class AllOff(Parameters):
    """Turns off tones, flux ramp, biases and amplifiers, closes streams and stops waveforms."""

    disable_amps: Flag = True
    """also turn off the amplifiers"""
    disable_tones: Flag = True
    """turn off tones, flux ramp and biases"""


OVERBIAS_TES = Operation("overbias_tes", "control", OverbiasTes, time_limit_s=900.0, repeatable=True)
SET_BIASES = Operation(
    "set_biases",
    "control",
    SetBiases,
    leaves="`biases`, in V for each bias group, as read back",
    time_limit_s=120.0,
    repeatable=True,
)
ZERO_BIASES = Operation(
    "zero_biases",
    "control",
    ZeroBiases,
    leaves="`biases`, in V for each bias group, as read back",
    time_limit_s=120.0,
    repeatable=True,
)
BIAS_DETS = Operation(
    "bias_dets", "control", BiasDets, leaves="`biases`, in V for each bias group, as set", time_limit_s=900.0
)
ALL_OFF = Operation(
    "all_off",
    "control",
    AllOff,
    leaves="`streams`: the stream and the waveform that were switched off",
    time_limit_s=180.0,
    repeatable=True,
)
