"""What an operation's process and its supervisor say to each other: JSON frames over a Unix socket."""

from __future__ import annotations

import array
import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Any

from smurfq.core.jsonsafe import dumps, loads

_LENGTH = struct.Struct("!Q")
_CHUNK = 1 << 20

RUNNING, STOP, ABORT = 0, 1, 2  # the byte of shared memory by which the supervisor asks


def send(sock: socket.socket, value: Any) -> None:
    """Send a value as one frame, of any size."""
    body = dumps(value).encode()
    sock.sendall(_LENGTH.pack(len(body)) + body)


def send_with_files(sock: socket.socket, value: Any, files: list[int]) -> None:
    """Send a value as one frame, and open file descriptors with it."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))]
    sock.sendmsg([b"\0"], rights)
    send(sock, value)


def receive_with_files(sock: socket.socket, most: int = 8) -> tuple[Any, list[int]] | None:
    """The value and the file descriptors that ``send_with_files`` sent; None once the other side is closed."""
    first, files, _, _ = socket.recv_fds(sock, 1, most)
    if not first:
        return None
    body = _exactly(sock, _LENGTH.size)
    return loads(_exactly(sock, _LENGTH.unpack(body)[0])), files


def _exactly(sock: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = sock.recv(min(_CHUNK, size - len(parts)))
        if not part:
            raise EOFError("the other side closed in the middle of a frame")
        parts += part
    return bytes(parts)


class FrameReader:
    """The frames that arrive on a socket that does not block."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self.closed = False

    def read(self) -> Iterator[Any]:
        """All frames that are there, whole ones only."""
        with contextlib.suppress(BlockingIOError):
            while part := self._receive():
                self._buffer += part
                yield from self._frames()
            self.closed = True
        yield from self._frames()

    def _receive(self) -> bytes:
        try:
            return self._sock.recv(_CHUNK)
        except ConnectionResetError:
            return b""

    def _frames(self) -> Iterator[Any]:
        start = 0
        try:
            while len(self._buffer) - start >= _LENGTH.size:
                (size,) = _LENGTH.unpack_from(self._buffer, start)
                end = start + _LENGTH.size + size
                if len(self._buffer) < end:
                    break
                yield loads(bytes(self._buffer[start + _LENGTH.size : end]))
                start = end
        finally:
            del self._buffer[:start]
