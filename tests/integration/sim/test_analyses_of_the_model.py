"""sodetlib's analyses find the true values, from the model's counts and without Channel Access."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.signal import butter

pytest.importorskip("sodetlib", reason="needs sodetlib (pip install smurfq[slot])")

from smurfq.sim.decimation import Processing
from smurfq.sim.detectors import Detectors, population, truth
from smurfq.sim.model import SlotModel
from smurfq.sim.physics.operating_point import at_bias, at_resistance, effective_time_constant
from smurfq.sim.wiring import BIAS_LINE_OHM, FLUX_RAMP_HZ, HIGH_CURRENT_RATIO, PA_PER_PHI0, SHUNT_OHM

pytestmark = [pytest.mark.slot, pytest.mark.filterwarnings("ignore")]  # the library's own

BIT_V = 20.0 / 2**20
B, A = butter(4, 63 / 2000)
FILTERED = Processing(20, tuple(B.tolist()), tuple(A.tolist()))
EVERY_FRAME = Processing(1)
OVERBIAS_V = 19.9
META = {
    "R_sh": SHUNT_OHM,
    "rtm_bit_to_volt": BIT_V,
    "bias_line_resistance": BIAS_LINE_OHM,
    "pA_per_phi0": PA_PER_PHI0,
    "high_low_current_ratio": HIGH_CURRENT_RATIO,
    "iv_file": None,
}


@dataclass
class Bench:
    """A model on which biases are set one after another, and the stream of what it gave meanwhile."""

    detectors: Detectors
    frame: int = 0
    parts: list[tuple[Any, Any, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = SlotModel(self.detectors, seed=2)
        self._sampler: Any = None

    @property
    def now(self) -> float:
        return self.frame / FLUX_RAMP_HZ

    def stream(self, processing: Processing) -> None:
        self.parts.clear()
        self._sampler = self.model.sampler(self.detectors.absolute_channel, processing)

    def hold(self, bias_v: Any, duration_s: float, *, high_current: bool = False) -> None:
        """Hold biases, one for all groups or one each, rounded as the DACs do."""
        bits = np.trunc(np.broadcast_to(bias_v, 12) / 2 / BIT_V).astype(int)[:, None]
        n_frames = round(duration_s * FLUX_RAMP_HZ)
        volts = np.broadcast_to(bits * 2 * BIT_V, (12, n_frames))
        frames, counts = self.model.advance(self.frame, volts, np.full((12, 1), high_current), self._sampler)
        self.frame += n_frames
        if self._sampler is not None:
            self.parts.append((frames, counts, np.broadcast_to(bits, (12, frames.size))))

    def axis_manager(self) -> SimpleNamespace:
        """What sodetlib's load_session would return of the stream."""
        frames, counts, bits = (np.concatenate(part, axis=-1) for part in zip(*self.parts, strict=True))
        times = frames / FLUX_RAMP_HZ
        return SimpleNamespace(
            timestamps=times,
            signal=counts * np.pi / 2**15,
            biases=bits,
            primary=SimpleNamespace(UnixTime=times * 1e9),
            ch_info=SimpleNamespace(band=self.detectors.band, channel=self.detectors.channel),
        )


@pytest.fixture(scope="module")
def detectors() -> Detectors:
    return population(11, 240)


@pytest.fixture
def bench(detectors: Detectors) -> Bench:
    """A bench whose detectors are normal."""
    bench = Bench(detectors)
    bench.hold(OVERBIAS_V, 0.3, high_current=True)
    bench.hold(16.0, 1.0)
    return bench


@pytest.fixture(scope="module")
def truth_of(detectors: Detectors) -> Iterator[dict[str, Any]]:
    yield truth(detectors)


def test_an_iv_finds_resistances_and_saturation_powers(
    bench: Bench, detectors: Detectors, truth_of: dict[str, Any]
) -> None:
    analysis = analyzed_iv(bench)
    wired = detectors.responsive
    np.testing.assert_allclose(analysis.R_n[wired], truth_of["R_n"][wired], rtol=2e-3)
    np.testing.assert_allclose(analysis.p_sat[wired], truth_of["p_sat"][wired], rtol=3e-3)
    np.testing.assert_allclose(np.median(analysis.R_L[wired]), 0.1e-3, rtol=0.02)
    assert np.isnan(analysis.R_n[~wired]).all()


def test_bias_steps_of_normal_detectors_find_groups_and_polarities(bench: Bench, detectors: Detectors) -> None:
    analysis = stepped(bench, np.full(12, OVERBIAS_V / HIGH_CURRENT_RATIO * 3), step_v=0.5)
    analysis._create_bg_map(save_bg_map=False)
    analysis._get_step_response()
    analysis._compute_dc_params()
    wired = detectors.responsive
    np.testing.assert_array_equal(analysis.bgmap[wired], detectors.bias_group[wired])
    np.testing.assert_array_equal(analysis.polarity[wired], detectors.polarity[wired])
    assert (analysis.bgmap[~wired] == -1).all()
    np.testing.assert_allclose(analysis.R0[wired], (detectors.tes.r_n + detectors.tes.r_p)[wired], rtol=0.05)


def test_bias_steps_in_transition_find_resistance_power_and_time_constant(bench: Bench, detectors: Detectors) -> None:
    tes, wired = detectors.tes, detectors.responsive
    half = at_resistance(tes, 0.5 * tes.r_n).bias_a * BIAS_LINE_OHM
    biases = np.array([np.median(half[wired & (detectors.bias_group == group)]) for group in range(12)])
    bench.hold(biases, 1.0)
    analysis = stepped(bench, biases, step_v=0.05)
    analysis.bgmap = np.where(wired, detectors.bias_group, -1)
    analysis.polarity = detectors.polarity
    analysis._get_step_response()
    analysis._compute_dc_params()
    analysis._fit_tau_effs()
    there = at_bias(tes, analysis.Ibias[detectors.bias_group])
    # sodetlib takes the Joule power for constant, which a loop gain of thirty makes it to some hundredths.
    seen = there.r + tes.r_p
    np.testing.assert_allclose(analysis.R0[wired], seen[wired], rtol=0.08)
    np.testing.assert_allclose(np.median(analysis.R0[wired] / seen[wired]), 1.03, atol=0.02)
    np.testing.assert_allclose(analysis.Pj[wired], (there.current**2 * seen)[wired], rtol=0.08)
    tau = effective_time_constant(tes, there)[wired]
    np.testing.assert_allclose(np.median(analysis.tau_eff[wired] / tau), 1.0, atol=0.03)
    np.testing.assert_allclose(analysis.tau_eff[wired], tau, rtol=0.15)


def test_the_noise_is_that_of_the_truth(bench: Bench, truth_of: dict[str, Any]) -> None:
    from sodetlib.noise import get_noise_params
    from sotodlib.core import AxisManager, LabelAxis, OffsetAxis

    bench.stream(FILTERED)
    for _ in range(60):
        bench.hold(16.0, 1.0)
    stream = bench.axis_manager()
    rows = LabelAxis("dets", [f"r{row:04d}" for row in range(len(stream.signal))])
    wrapped = AxisManager(rows, OffsetAxis("samps", stream.timestamps.size))
    wrapped.wrap("timestamps", stream.timestamps, [(0, "samps")])
    wrapped.wrap("signal", stream.signal.astype(np.float32), [(0, "dets"), (1, "samps")])
    wrapped.wrap("ch_info", AxisManager(rows))
    wrapped.ch_info.wrap("band", stream.ch_info.band, [(0, "dets")])
    wrapped.ch_info.wrap("channel", stream.ch_info.channel, [(0, "dets")])
    found = get_noise_params(wrapped, nperseg=2048)["noise_pars"][:, 0]
    # sodetlib takes the median of the spectrum, which lies a little below its mean.
    ratio = found / truth_of["white_noise_pa"]
    np.testing.assert_allclose(np.median(ratio), 0.985, atol=0.03)
    np.testing.assert_allclose(ratio, 1.0, atol=0.15)


def analyzed_iv(bench: Bench) -> Any:
    """An IV from 16 V down, as take_iv makes and analyses it."""
    from sodetlib.operations.iv import IVAnalysis, analyze_iv

    detectors = bench.detectors
    biases = np.linspace(16.0, 0.0, 161)
    bench.stream(FILTERED)
    times = []
    for bias_v in biases:
        begin = bench.now + 0.02
        bench.hold(bias_v, 0.1)
        times.append((begin, bench.now))
    found = IVAnalysis()
    found.am, found.meta, found.run_kwargs = bench.axis_manager(), META, {"high_current_mode": False}
    found.nbiases, found.bias_groups, found.nchans = biases.size, np.arange(12), len(detectors)
    found.start_times, found.stop_times = (np.tile(column, (12, 1)) for column in np.transpose(times))
    found.bgmap = np.where(detectors.responsive, detectors.bias_group, -1)
    found.polarity = detectors.polarity
    for name in ("v_bias", "i_bias", "v_thevenin"):
        setattr(found, name, np.full(biases.size, np.nan))
    for name in ("resp", "R", "p_tes", "v_tes", "i_tes", "si"):
        setattr(found, name, np.full((len(detectors), biases.size), np.nan))
    for name in ("R_n", "R_L", "p_sat"):
        setattr(found, name, np.full(len(detectors), np.nan))
    found.idxs = np.full((len(detectors), 3), -1)
    analyze_iv(found)
    return found


def stepped(bench: Bench, biases: Any, step_v: float) -> Any:
    """Bias steps on one group after another in high-current mode, and their analysis as far as the edges."""
    from sodetlib.operations.bias_steps import BiasStepAnalysis

    rest, step = biases / HIGH_CURRENT_RATIO, step_v / HIGH_CURRENT_RATIO
    bench.hold(rest, 1.0, high_current=True)
    bench.stream(EVERY_FRAME)
    begin = bench.now
    for group in range(12):
        for _ in range(5):
            bench.hold(rest, 0.05, high_current=True)
            bench.hold(rest + step * (np.arange(12) == group), 0.05, high_current=True)
        bench.hold(rest, 0.05, high_current=True)
    found = BiasStepAnalysis()
    found.am, found.meta, found.high_current_mode = bench.axis_manager(), META, True
    found.start, found.stop = begin - 1, bench.now
    found.bands, found.channels = bench.detectors.band, bench.detectors.channel
    found.nbgs, found.nchans = 12, len(bench.detectors)
    found._load_am = lambda **_: found.am
    found._find_bias_edges()
    return found
