"""Feeds on a real Valkey: readers and followers get all blocks in order."""

from __future__ import annotations

import math

from smurfq.core import keys
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


def test_the_newest_of_a_slot_are_found_behind_many_of_others(valkey: Client) -> None:
    feeds = Feeds(valkey, kept=3000)
    block = {"slot": "crate1slot3", "timestamp": "2.0", "data": "{}"}
    for number in range(3):
        feeds.append("iv_results", "crate1slot2", float(number), {"n": number})
        with valkey.pipeline() as pipe:
            for _ in range(1100):
                pipe.xadd(keys.feed("iv_results"), block)  # type: ignore[arg-type]
            pipe.execute()
    assert [block.data["n"] for block in feeds.latest("iv_results", 2, "crate1slot2")] == [2, 1]
    assert [block.data["n"] for block in feeds.latest("iv_results", 5, "crate1slot2")] == [2, 1, 0]
    assert feeds.latest("iv_results", 5, "crate1slot4") == []
    feeds.append("iv_results", "crate1slot2", 3.0, {"n": 3})
    assert 3000 <= valkey.xlen(keys.feed("iv_results")) < 3200, "about as many as are kept"


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


def test_a_subscriber_continues_from_a_position(valkey: Client) -> None:
    feeds = Feeds(valkey)
    first = feeds.append("iv_results", "crate1slot2", 1.0, {"n": 1})
    feeds.append("iv_results", "crate1slot2", 2.0, {"n": 2})
    block = next(feeds.subscribe("iv_results", first))
    assert block is not None
    assert block.data == {"n": 2}
