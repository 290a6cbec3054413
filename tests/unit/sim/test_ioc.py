"""The subscriptions of a channel that are notified of a capture."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("caproto")

from smurfq.sim.channels import channel_for
from smurfq.sim.ioc import last_watches
from smurfq.sim.radio import registers as radio
from smurfq.sim.registers import MASK
from smurfq.sim.slot import SimSlot


class Circuit:
    """A client's connection, with what it was told last by each of its watches."""

    def __init__(self, *told: int) -> None:
        self.unexpired_updates = {number: [b"megabytes"] for number in told}

    def watch(self, number: int) -> SimpleNamespace:
        return SimpleNamespace(circuit=self, subscriptionid=number)


def test_only_the_newest_subscription_of_each_client_is_notified() -> None:
    one, other = Circuit(1, 2, 3), Circuit(1)
    watches = [one.watch(1), other.watch(1), one.watch(2), one.watch(3)]
    assert last_watches(watches) == [watches[3], watches[1]]
    assert list(one.unexpired_updates) == [3]
    assert list(other.unexpired_updates) == [1]
    assert last_watches([]) == []


def test_of_captures_little_is_kept() -> None:
    slot = SimSlot("crate1slot2", None, lambda: 1000.0, lambda _names: None)
    capture = channel_for(slot, radio.capture_streams(0)[0])
    assert capture.max_subscription_backlog == 2
    assert channel_for(slot, MASK).max_subscription_backlog > 2
