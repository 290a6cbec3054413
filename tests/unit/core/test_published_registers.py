"""The quantities among the registers of a smurf server, and the limits that a site sets for them."""

from __future__ import annotations

import pytest

from smurfq.config import load
from smurfq.core.published_registers import (
    COUNTED_OVER_S,
    QUANTITIES,
    RegisterValue,
    Watch,
    is_quantity,
    number_of,
    path_end,
    quantity,
)
from smurfq.errors import ConfigError

TEMPERATURE = "AxiSysMonUltraScale.Temperature"
LOST = "FrameRxStats.FrameLossCnt"


def test_a_register_is_known_by_the_end_of_its_path() -> None:
    assert path_end("AMCc.FpgaTopLevel.AmcCarrierCore.EM22xx.IOUT") == "EM22xx.IOUT"
    assert path_end("RogueVersion") == "RogueVersion"
    assert quantity("carrier_current_a").path_end == "EM22xx.IOUT"
    assert quantity("SOStream.TransmitterDataDropCnt").name == "SOStream.TransmitterDataDropCnt"
    assert all(is_quantity(one.name) and is_quantity(one.path_end) for one in QUANTITIES)
    assert not any(map(is_quantity, ("temperature", "a.b.c", ".b", "")))


def test_a_value_is_an_alarm_while_it_is_beyond_a_limit() -> None:
    watch = Watch({"fpga_temperature_c": 85.0}, {"EM22xx.IOUT": 5.0})
    assert watch.compare({}, 0.0, 0.0) == []
    assert watch.compare({TEMPERATURE: 85.0, "EM22xx.IOUT": 5.0}, 1.0, 1.0) == []
    hot, low = watch.compare({TEMPERATURE: 91.2, "EM22xx.IOUT": 4.0}, 2.0, 2.0)
    assert str(hot) == "fpga_temperature_c is 91.2, above 85"
    assert str(low) == "carrier_current_a is 4, below 5"
    (again,) = watch.compare({TEMPERATURE: 95.0, "EM22xx.IOUT": 6.0}, 3.0, 3.0)
    assert (again.value, again.since) == (95.0, 2.0)
    assert watch.compare({TEMPERATURE: 70.0}, 4.0, 4.0) == []


def test_a_count_is_an_alarm_by_its_recent_increase() -> None:
    watch = Watch({"lost_frames": 2.0}, {})
    assert watch.compare({LOST: 1000}, 0.0, 0.0) == [], "nobody knows when they were lost"
    assert watch.compare({LOST: 1002}, 20.0, 20.0) == []
    (alarm,) = watch.compare({LOST: 1003}, 40.0, 40.0)
    assert str(alarm) == "lost_frames increased by 3 in 600 s, above 2"
    assert watch.compare({LOST: 1003}, 40.0 + COUNTED_OVER_S, 40.0 + COUNTED_OVER_S) == []
    assert watch.compare({LOST: 7}, 60.0 + COUNTED_OVER_S, 60.0 + COUNTED_OVER_S) == [], "the server was restarted"
    (alarm,) = watch.compare({LOST: 10}, 80.0 + COUNTED_OVER_S, 80.0 + COUNTED_OVER_S)
    assert alarm.value == 3


def test_a_clock_that_is_set_changes_no_count() -> None:
    watch = Watch({"lost_frames": 2.0}, {})
    assert watch.compare({LOST: 0}, 1e9, 0.0) == []
    for elapsed_s in (300.0, 600.0, 900.0, 1200.0):  # the clock was set back by a day: one lost frame in 300 s
        assert watch.compare({LOST: elapsed_s / 300}, 1e9 - 86400 + elapsed_s, elapsed_s) == []


def test_values_keep_their_type_in_redis() -> None:
    for value in (True, 3, 2.5, "text", [1, 2], None):
        stored = RegisterValue(value, type(value).__name__, 1.5)
        assert RegisterValue.parse(stored.to_text()) == stored
    assert [number_of(value) for value in (True, 3, 2.5)] == [1.0, 3.0, 2.5]
    assert all(number_of(value) is None for value in ("3", None, [1], 10**400))


def test_limits_of_unknown_quantities_are_rejected() -> None:
    limits = load({"SMURFQ_REGISTERS_MAX": '{"fpga_temperature_c": 85, "EM22xx.IOUT": 30}'}).registers
    assert limits.max == {"fpga_temperature_c": 85.0, "EM22xx.IOUT": 30.0}
    with pytest.raises(
        ConfigError, match=r"registers\.max names 'fpga_temperature'.*did you mean 'fpga_temperature_c'"
    ):
        load({"SMURFQ_REGISTERS_MAX": '{"fpga_temperature": 85}'})
