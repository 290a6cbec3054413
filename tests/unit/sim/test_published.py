"""The list of the registers that a smurf server publishes."""

from __future__ import annotations

import pytest

from smurfq.sim.published import POLLED_HZ, PUBLISHED
from smurfq.sim.registers import register_table


def test_every_published_register_exists() -> None:
    table = register_table(1, 2)
    assert len(PUBLISHED) == 31
    assert PUBLISHED.keys() <= table.keys()
    assert all(table[name].size == 1 for name in PUBLISHED)


def test_paths_are_those_of_rogue() -> None:
    paths = {one.path for one in PUBLISHED.values()}
    assert "AMCc.FpgaTopLevel.AmcCarrierCore.AxiSysMonUltraScale.Temperature" in paths
    assert "AMCc.FpgaTopLevel.AppTop.AppCore.SysgenCryo.Base[7].ScratchPad" in paths


def test_ten_registers_are_polled_each_second() -> None:
    assert pytest.approx(10 + 2 / 5 + 1 / 30) == POLLED_HZ
