"""The baseline of the bridge: a socket and a loop. ``python -m benchmarks.plain_receiver count|echo``.

Says its port. ``echo`` sends each datagram back; ``count`` says, once nothing came for a second after the first
datagram, how many came and the CPU seconds they took. Both end when their input does.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.site.process_group import environ_without_site

_LARGEST = 65_507
_QUIET_S = 1.0
_TEXT = b"xxxx"  # of every message of flood.py; the Publisher sends others of its own


@contextmanager
def plain_receiver(mode: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The port of a plain receiver, and its process."""
    command = [sys.executable, "-m", "benchmarks.plain_receiver", mode]
    child = subprocess.Popen(
        command, env=environ_without_site(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        yield int(child.stdout.readline()), child
    finally:
        child.kill()
        child.communicate()


def _echo(bound: socket.socket) -> None:
    while True:
        ready, _, _ = select.select([bound, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        bound.sendto(*bound.recvfrom(_LARGEST))


def _count(bound: socket.socket) -> None:
    received = 0
    while True:
        try:
            datagram = bound.recv(_LARGEST)
        except TimeoutError:
            break
        bound.settimeout(_QUIET_S)
        received += _TEXT in datagram
    print(received, time.process_time(), flush=True)


def _main(mode: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        print(bound.getsockname()[1], flush=True)
        {"echo": _echo, "count": _count}[mode](bound)


if __name__ == "__main__":
    _main(sys.argv[1])
