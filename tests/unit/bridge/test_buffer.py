"""The bounded buffer keeps the newest datagrams, in order, and counts the rest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smurfq.bridge.buffer import OVERHEAD_BYTES, Buffer, Chunk


def chunk(first: int, count: int, size: int = 1) -> Chunk:
    datagrams = [str(number).encode().ljust(size) for number in range(first, first + count)]
    return Chunk(datagrams, [b""] * count, [0.0] * count, size * count)


@given(st.lists(st.integers(1, 30), max_size=40), st.integers(1, 100), st.integers(1, 500))
def test_the_buffer_keeps_order_and_the_newest_and_counts_the_rest(sizes: list[int], room: int, at_once: int) -> None:
    buffer = Buffer(room, 1 << 30)
    put = 0
    for size in sizes:
        buffer.put(chunk(put, size))
        put += size
    assert len(buffer) <= max(room, sizes[-1] if sizes else 0)
    assert len(buffer) + buffer.dropped == put
    taken: list[int] = []
    while chunks := buffer.take(at_once, 10**9, 0.0):
        taken += [int(datagram) for each in chunks for datagram in each.datagrams]
    assert taken == list(range(buffer.dropped, put))
    assert len(buffer) == 0


def test_the_buffer_is_bounded_in_bytes_too() -> None:
    buffer = Buffer(1000, 20 * (500 + OVERHEAD_BYTES))
    for first in range(0, 100, 2):
        buffer.put(chunk(first, 2, size=500))
    assert len(buffer) == 20
    assert [len(taken.datagrams) for taken in buffer.take(1000, 1500, 0.0)] == [2, 2]


def registers(count: int) -> Chunk:
    return Chunk([b"r"] * count, [b""] * count, [0.0] * count, count, registers=True)


def test_registers_wait_for_other_messages_and_keep_the_order() -> None:
    buffer = Buffer(1000, 1 << 30)
    buffer.put(registers(2))
    buffer.put(chunk(0, 1))
    buffer.put(registers(3))
    assert (len(buffer), buffer.pressing) == (6, 1)
    assert [len(each.datagrams) for each in buffer.take(3, 100, 60.0)] == [2, 1], "the message wakes at once"
    assert [len(each.datagrams) for each in buffer.take(100, 100, 0.0)] == [3]
    assert buffer.take(100, 100, 0.0) == []


def test_registers_drive_out_no_message_while_redis_is_away() -> None:
    buffer = Buffer(100, 1 << 30)
    buffer.put(chunk(0, 30))
    for _ in range(100):
        buffer.put(registers(1))
    assert len(buffer) == 51
    buffer.put(chunk(30, 49))
    assert (len(buffer), buffer.dropped) == (100, 0)
