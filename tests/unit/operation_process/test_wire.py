"""Frames: whole or not at all, however they are cut."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
from collections.abc import Iterator

import pytest

from smurfq.operation_process import wire

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
    reader = wire.FrameReader(there, sender=os.getpid())
    found = []
    for start in range(0, len(stream), 7):
        here.sendall(stream[start : start + 7])
        found += list(reader.read())
    assert found == values
    assert not reader.closed
    here.close()
    assert list(reader.read()) == []
    assert reader.closed


def test_bytes_of_another_process_are_dropped_even_inside_a_frame(pair: Pair) -> None:
    here, there = pair
    there.setblocking(False)
    reader = wire.FrameReader(there, sender=os.getpid())
    body = b'{"k":"a"}'
    here.sendall(struct.pack("!Q", len(body)) + body[:4])
    pid = os.fork()
    if pid == 0:
        here.sendall(b"garbage")
        os._exit(0)
    os.waitpid(pid, 0)
    here.sendall(body[4:])
    assert list(reader.read()) == [{"k": "a"}]


@pytest.mark.parametrize(
    "sent",
    [b"\xff" * 8, struct.pack("!Q", wire.MAX_FRAME_BYTES + 1), struct.pack("!Q", 2) + b"{]"],
    ids=["a huge length", "too long a frame", "no JSON"],
)
def test_a_malformed_frame_ends_the_reading(pair: Pair, sent: bytes) -> None:
    here, there = pair
    there.setblocking(False)
    reader = wire.FrameReader(there, sender=os.getpid())
    here.sendall(sent)
    with pytest.raises(wire.MalformedFrameError):
        list(reader.read())
    assert reader.closed


def test_a_process_that_never_stops_writing_does_not_block_the_reader(pair: Pair) -> None:
    here, there = pair
    there.setblocking(False)
    reader = wire.FrameReader(there, sender=os.getpid())
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(OSError):
            while True:
                here.sendall(b"garbage")
        os._exit(0)
    here.close()
    for _ in range(10):
        assert list(reader.read()) == []
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


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
