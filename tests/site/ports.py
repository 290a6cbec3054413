"""Free ports for tests: each test process has its own block, which no other process uses.

A port that the kernel offers (``bind`` to 0) may be offered again, or become the near end of a connection, before a
server that is being started, or is away for a while, listens on it. These lie below those that the kernel offers.
"""

from __future__ import annotations

import itertools
import os
import socket
from functools import cache

_FIRST = 20_000
_BLOCKS = 60
_BLOCK_SIZE = 200


def free_port() -> int:
    """A port of loopback on which nothing listens now, neither by TCP nor by UDP."""
    _, first, numbers = _block()
    for _ in range(_BLOCK_SIZE):
        port = first + 1 + next(numbers) % (_BLOCK_SIZE - 1)
        if _is_free(port):
            return port
    raise AssertionError(f"no port from {first} to {first + _BLOCK_SIZE - 1} is free")


@cache
def _block() -> tuple[socket.socket, int, itertools.count[int]]:
    """What says that the block is this process's (its first port, which is listened to), where it begins, a counter."""
    for turn in range(_BLOCKS):
        first = _FIRST + _BLOCK_SIZE * ((os.getpid() + turn) % _BLOCKS)
        try:
            return socket.create_server(("127.0.0.1", first)), first, itertools.count()
        except OSError:
            continue
    raise AssertionError(f"all {_BLOCKS} blocks of ports are taken")


def _is_free(port: int) -> bool:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        try:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
