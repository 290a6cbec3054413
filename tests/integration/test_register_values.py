"""The registers of smurf servers on a real Valkey, whatever the servers publish."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from smurfq.bridge.complaints import Complaints
from smurfq.bridge.register_values import LONGEST_PATH, REWRITE_S, RegisterValues
from smurfq.config.sections import Registers as Limits
from smurfq.core.messages import Message
from smurfq.store.connection import Client, connect
from smurfq.store.feeds import Feeds
from smurfq.store.registers import Registers
from tests.site.ports import free_port

SLOT, OTHER = "crate1slot2", "crate1slot3"
TEMPERATURE = "AMCc.FpgaTopLevel.AmcCarrierCore.AxiSysMonUltraScale.Temperature"


class Clock:
    """A monotonic clock that the test sets."""

    now = time.monotonic()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def values(valkey: Client, clock: Clock) -> RegisterValues:
    return values_in(valkey, clock)


def values_in(client: Client, clock: Clock) -> RegisterValues:
    """The values that are written through ``client``."""
    log = logging.getLogger("smurfq.bridge")
    limits = Limits(max={"fpga_temperature_c": 85.0})
    return RegisterValues(Registers(client), Feeds(client), limits, Complaints(log), log, clock)


def publish(values: RegisterValues, slot: str, path: str, value: Any, kind: str = "float") -> bool:
    payload = {"path": path, "value": value, "type": kind}
    return values.take(slot, Message("host", f"STREAMER:{slot}", "server", time.time(), 0, "metadata", payload))


def test_an_integer_too_large_for_a_float_stops_no_alarm(values: RegisterValues, valkey: Client) -> None:
    publish(values, SLOT, "AMCc.Large.Integer", 10**400)
    publish(values, SLOT, TEMPERATURE, 91.5)
    publish(values, OTHER, TEMPERATURE, 91.5)
    values.flush()
    assert Registers(valkey).alarms().keys() == values.numbers().keys() == {SLOT, OTHER}


def test_values_and_alarms_come_back_after_redis_has_lost_its_data(
    values: RegisterValues, valkey: Client, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    publish(values, SLOT, TEMPERATURE, 91.5)
    values.flush()
    valkey.flushall()
    values.flush()
    clock.now += REWRITE_S
    values.flush()
    registers = Registers(valkey)
    assert registers.read(SLOT)[TEMPERATURE].value == 91.5
    assert [alarm.value for alarm in registers.alarms()[SLOT]] == [91.5]
    assert caplog.text.count("ALARM") == 1, "it is no news"


def test_an_alarm_is_logged_while_redis_is_away(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    away = connect(f"redis://127.0.0.1:{free_port()}/0", retries=0)
    values = values_in(away, clock)
    publish(values, SLOT, TEMPERATURE, 91.5)
    values.flush()
    assert "ALARM of crate1slot2: fpga_temperature_c is 91.5, above 85" in caplog.text
    assert [alarm.value for alarm in values.alarms()[SLOT]] == [91.5]


def test_the_memory_of_a_register_is_bounded(values: RegisterValues, valkey: Client) -> None:
    assert publish(values, SLOT, "x" * (LONGEST_PATH + 1), 1)
    assert publish(values, SLOT, "AMCc.x", 1, kind="t" * 60_000)
    values.flush()
    assert [(path, len(one.type) < 100) for path, one in Registers(valkey).read(SLOT).items()] == [("AMCc.x", True)]
