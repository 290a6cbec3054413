"""Frames: whole or not at all, however they are cut."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from smurfq.runner import wire

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    here, there = socket.socketpair()
    yield here, there
    here.close()
    there.close()


def test_frames_cut_anywhere_arrive_whole(pair: Pair) -> None:
    here, there = pair
    values = [{"k": "a"}, "x" * 5000, [1, None]]
    capture, sink = socket.socketpair()
    with capture, sink:
        for value in values:
            wire.send(capture, value)
        stream = sink.recv(1 << 20)
    there.setblocking(False)
    reader = wire.FrameReader(there)
    found = []
    for start in range(0, len(stream), 7):
        here.sendall(stream[start : start + 7])
        found += list(reader.read())
    assert found == values
    assert not reader.closed
    here.close()
    assert list(reader.read()) == []
    assert reader.closed


def test_open_files_travel_with_a_job(pair: Pair) -> None:
    here, there = pair
    read_end, write_end = os.pipe()
    wire.send_with_files(here, {"op_name": "test"}, [write_end])
    os.close(write_end)
    received = wire.receive_with_files(there)
    assert received is not None
    job, files = received
    assert job == {"op_name": "test"}
    os.write(files[0], b"through")
    assert os.read(read_end, 100) == b"through"
    os.close(files[0])
    os.close(read_end)


def test_a_closed_other_side_is_no_job(pair: Pair) -> None:
    here, there = pair
    here.close()
    assert wire.receive_with_files(there) is None
