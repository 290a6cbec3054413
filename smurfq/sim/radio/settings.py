"""Reads the radio settings of a band from its registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from smurfq.sim import registers as r
from smurfq.sim.physics.resonator import Complex
from smurfq.sim.physics.tes import Floats
from smurfq.sim.physics.tone import Loop
from smurfq.sim.radio.chain import Chain
from smurfq.sim.radio.registers import RAMP_ENABLE, RAMP_RESET, attenuator

Read = Callable[[str], Any]

SUB_BAND_MHZ: Final = 1.2  # unit of etaMag
TURNS_AT_FULL_SCALE: Final = 13.0  # number of phi_0 that the flux ramp sweeps at its full scale
_RAMP_CLOCK_HZ: Final = 307.2e6
_FEEDBACK_TICK: Final = 128  # ticks of the ramp's clock
_DEFAULT_ETA_STEP_HZ: Final = 5000.0


@dataclass(frozen=True)
class BandSettings:
    """The settings of a band; arrays of shape ``(512,)``.

    Attributes
    ----------
    power
        Tone power of each channel; 0: off.
    center_mhz
        The frequency of each tone, relative to the middle of its sub-band.
    feedback
        Whether the loop may move each tone.
    eta
        The factor that converts the transmission to a frequency (MHz).
    chain, loop
        The settings of the chain and the loop.
    ramp_hz
        Rate of the flux ramp.
    eta_step_mhz
        Distance from the tone, to each side, of an eta scan.
    """

    power: npt.NDArray[np.int64]
    center_mhz: Floats
    feedback: npt.NDArray[np.bool_]
    eta: Complex
    chain: Chain
    loop: Loop
    ramp_hz: float
    eta_step_mhz: float

    @property
    def on(self) -> npt.NDArray[np.intp]:
        """Return the channels whose tones are on."""
        return np.flatnonzero(self.power)


def settings_of(band: int, read: Read, amplifier_loss_db: float) -> BandSettings:
    """Return the settings of a band from its registers."""

    def own(name: str) -> Any:
        return read(r.band_register(band, name))

    magnitude = np.asarray(own("CryoChannels:etaMagArray")) * SUB_BAND_MHZ
    step_hz = float(own("CryoChannels:etaScanDelF")) or _DEFAULT_ETA_STEP_HZ
    return BandSettings(
        power=np.asarray(own("CryoChannels:amplitudeScaleArray"), np.int64),
        center_mhz=np.asarray(own("CryoChannels:centerFrequencyArray"), np.float64),
        feedback=np.asarray(own("CryoChannels:feedbackEnableArray")) != 0,
        eta=magnitude * np.exp(1j * np.radians(np.asarray(own("CryoChannels:etaPhaseArray")))),
        chain=Chain(
            up=int(read(attenuator(band, "UC"))),
            down=int(read(attenuator(band, "DC"))),
            amplifier_loss_db=amplifier_loss_db,
            delay_us=float(own("bandDelayUs")),
        ),
        loop=_loop(own, read),
        ramp_hz=_RAMP_CLOCK_HZ / (int(read(r.RAMP_MAX_COUNT)) + 1),
        eta_step_mhz=step_hz * 1e-6,
    )


def _loop(own: Read, read: Read) -> Loop:
    ticks = (int(read(r.RAMP_MAX_COUNT)) + 1) / _FEEDBACK_TICK
    ramp_hz = _RAMP_CLOCK_HZ / (int(read(r.RAMP_MAX_COUNT)) + 1)
    fraction = 1.0 - 2.0 * float(read(RAMP_RESET)) / 2**32
    start, end = int(own("feedbackStart")) / ticks, int(own("feedbackEnd")) / ticks
    return Loop(
        turns=TURNS_AT_FULL_SCALE * fraction if read(RAMP_ENABLE) else 0.0,
        cycles=float(own("lmsFreqHz")) / ramp_hz,
        harmonics=tuple(number for number in (1, 2, 3) if own(f"lmsEnable{number}")),
        start=start,
        end=end if end > start else 1.0,
        on=bool(own("feedbackEnable")) and bool(own("feedbackGain")),
    )
