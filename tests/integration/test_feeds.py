"""Feeds on a real Valkey: blocks come back as they went in, in order, to whoever looks or listens."""

from __future__ import annotations

import math

from smurfq.store.connection import Client
from smurfq.store.feeds import Feeds


def test_blocks_come_back_newest_first_by_slot(valkey: Client) -> None:
    feeds = Feeds(valkey)
    for number, slot in enumerate(["crate1slot2", "crate1slot3", "crate1slot2"]):
        feeds.append("iv_results", slot, 100.0 + number, {"Rn_q50": number, "p_sat_q50": math.nan})
    assert [block.timestamp for block in feeds.latest("iv_results", 2)] == [102.0, 101.0]
    assert [block.timestamp for block in feeds.latest("iv_results", 5, "crate1slot2")] == [102.0, 100.0]
    assert feeds.latest("noise_results") == []
    assert feeds.latest("iv_results")[0].to_dict() == {
        "block_name": "iv_results",
        "timestamp": 102.0,
        "slot": "crate1slot2",
        "data": {"Rn_q50": 2, "p_sat_q50": None},
    }


def test_a_subscriber_gets_every_block_from_then_on(valkey: Client) -> None:
    feeds = Feeds(valkey)
    feeds.append("iv_results", "crate1slot2", 1.0, {"n": -1})
    blocks = feeds.subscribe("iv_results", block_ms=50)
    assert next(blocks) is None
    for number in range(250):
        feeds.append("iv_results", "crate1slot2", 2.0, {"n": number})
    received = [next(blocks) for _ in range(250)]
    assert [block.data["n"] for block in received if block] == list(range(250))
    assert next(blocks) is None


def test_a_subscriber_goes_on_from_a_position(valkey: Client) -> None:
    feeds = Feeds(valkey)
    first = feeds.append("iv_results", "crate1slot2", 1.0, {"n": 1})
    feeds.append("iv_results", "crate1slot2", 2.0, {"n": 2})
    block = next(feeds.subscribe("iv_results", first))
    assert block is not None
    assert block.data == {"n": 2}
