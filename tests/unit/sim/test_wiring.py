"""The shapes of simulated cards, and what a card of a shape answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smurfq.config import load
from smurfq.core.card_wiring import read_pysmurf_file
from smurfq.errors import ConfigError
from smurfq.sim.cryocard import SUPPLIES, Cryocard, amplifiers_of
from smurfq.sim.dacs import SlowDacs
from smurfq.sim.detectors import population
from smurfq.sim.files import pysmurf_config
from smurfq.sim.options import Folders
from smurfq.sim.surroundings import options_of
from smurfq.sim.waveforms import BIT_V, biases_at
from smurfq.sim.wiring import Shape, parse_shape
from tests.site.shapes import write_shape

SLOT = "crate1slot2"
READ = 1 << 31


def test_the_simulators_own_configuration_has_the_usual_shape(tmp_path: Path) -> None:
    found, usual = parse_shape(pysmurf_config(Folders.below(tmp_path), 2)), Shape()
    assert replace(found.wiring, amplifier_dacs=frozenset()) == usual.wiring
    assert (found.line_ohm, found.high_current_ratio) == (usual.line_ohm, usual.high_current_ratio)


def test_a_configuration_gives_groups_bands_and_ratio(tmp_path: Path) -> None:
    path = write_shape(tmp_path / "p.cfg", groups=15, bands=4, ratio=12.5)
    shape = parse_shape(read_pysmurf_file(path))
    assert (shape.num_groups, shape.bays, shape.high_current_ratio) == (15, [0], 12.5)
    app = "AMCc:FpgaTopLevel:AppTop:AppCore:"
    assert shape.has_register(app + "SysgenCryo:Base[3]:dspEnable")
    assert not shape.has_register(app + "SysgenCryo:Base[4]:dspEnable")
    assert not shape.has_register(app + "MicrowaveMuxCore[1]:ATT:UC[1]")
    assert Shape().has_register(app + "MicrowaveMuxCore[1]:ATT:UC[1]")
    environ = {"SMURFQ_SLOTS": SLOT, "SMURFQ_SIM_PYSMURF_CONFIG": str(path), "SMURFQ_SIM_CRYOCARD_FIRMWARE": "1.2.3"}
    options = options_of(load(environ), [SLOT])
    assert options.detectors == 4 * 416
    assert options.shape.firmware == (1, 2, 3)
    detectors = population(1, 100, options.shape.wiring.bands, options.shape.num_groups)
    assert set(detectors.band.tolist()) == {0, 1, 2, 3}
    assert detectors.bias_group.max() == 14


def test_a_configuration_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.cfg"
    path.write_text('{"bias_line_resistance": 1}')
    environ = {"SMURFQ_SLOTS": SLOT, "SMURFQ_SIM_PYSMURF_CONFIG": str(path)}
    with pytest.raises(ConfigError, match=r"sim.pysmurf_config .*p.cfg cannot be read: bias_line_resistance and"):
        options_of(load(environ), [SLOT])


def test_biases_follow_the_pairs_and_relays_of_the_card(tmp_path: Path) -> None:
    crossed = {"0": [2, 1], **{str(group): [2 * group + 1, 2 * group + 2] for group in range(1, 12)}}
    relays = {"1": 0, "0": 1, **{str(bit): bit for bit in range(2, 12)}}
    path = write_shape(tmp_path / "p.cfg", bias_group_to_pair=crossed, pic_to_bias_group=relays)
    wiring = parse_shape(read_pysmurf_file(path)).wiring
    dacs = SlowDacs(0.0)
    dacs.set_dac(1, 100, 1.0)
    dacs.set_relays(0b1, 1.0)
    found = biases_at(dacs.states(), np.array([2.0]), wiring)
    assert found.volts[0] == pytest.approx(-100 * BIT_V)
    assert found.high_current[:, 0].tolist() == [False, True, *[False] * 10]


def test_a_card_of_older_firmware_has_two_amplifiers() -> None:
    amplifiers = amplifiers_of((1, 2, 3))
    assert [one.name for one in amplifiers.values()] == ["hemt", "50k"]
    bits = {dac: value for one in amplifiers.values() for dac, value in one.working_point().items()}
    card = Cryocard(lambda dac: bits.get(dac, 0), firmware=(1, 2, 3))
    assert card.command(READ) == 1 << 16 | 2 << 8 | 3
    card.command(SUPPLIES << 20 | 0b11)
    for address, one in amplifiers.items():
        reply = card.command(READ | address << 20)
        assert reply is not None
        shown_ma = (reply & 0xFFFFF) * (3.3 / 5120) / (one.shunt_ohm * one.gain) * 2e3
        assert shown_ma == pytest.approx(one.current_ma + one.offset_ma, abs=0.05)
    assert card.amplifier_loss_db(0) == pytest.approx(0.0, abs=1e-3)
    assert len(amplifiers_of((10, 0, 1))) == 2
    assert len(amplifiers_of((5, 0, 1))) == 4
