"""JSON frames over the Unix socket between an operation's process and its supervisor.

The kernel tells which process sent each byte. The supervisor reads the bytes of the operation's own process, and drops
those that its children write to the inherited socket.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any

from smurfq.core.jsonsafe import dumps, loads

_LENGTH = struct.Struct("!Q")
_CHUNK = 1 << 20
_CHUNKS_A_READ = 16  # a process that never stops writing must not block its supervisor
_CREDENTIALS = struct.Struct("3i")  # pid, uid and gid of the sender
MAX_FRAME_BYTES = 256 << 20

RUNNING, STOP, ABORT = 0, 1, 2  # the byte of shared memory by which the supervisor asks for an end


class MalformedFrameError(ValueError):
    """Raised for a frame that cannot be sent, and for received bytes that are not a frame."""


def send(sock: socket.socket, value: Any) -> None:
    """Send a value as one frame.

    Raises
    ------
    MalformedFrameError
        The value is longer than a frame may be; nothing was sent.
    """
    body = dumps(value).encode()
    if len(body) > MAX_FRAME_BYTES:
        raise MalformedFrameError(
            f"{len(body) >> 20} MiB of session data at once; {MAX_FRAME_BYTES >> 20} MiB are allowed. Write them to a "
            "file, and put its path into the session data"
        )
    sock.sendall(_LENGTH.pack(len(body)) + body)


def send_with_files(sock: socket.socket, value: Any, files: list[int]) -> None:
    """Send a value as one frame, together with open file descriptors."""
    socket.send_fds(sock, [b"\0"], files)
    send(sock, value)


def receive_with_files(sock: socket.socket, most: int = 8) -> tuple[Any, list[int]] | None:
    """Return the value and the descriptors that ``send_with_files`` sent; None once the other side is closed."""
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
    """Reads the frames that the process ``sender`` sends from now on, from a socket that does not block."""

    def __init__(self, sock: socket.socket, sender: int) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # the kernel tells the sender of each piece
        self._sock = sock
        self._sender = sender
        self._buffer = bytearray()
        self.closed = False
        self.has_more = False  # whether the last ``read`` left something unread

    def read(self) -> Iterator[Any]:
        """Yield whole frames that have arrived, or some of them if there are many.

        Raises
        ------
        MalformedFrameError
            The bytes that have arrived are not a frame. Nothing more can be read then.
        """
        self.has_more = True
        try:
            for _ in range(_CHUNKS_A_READ):
                self.has_more = self._receive()
                yield from self._frames()
                if not self.has_more:
                    return
        except MalformedFrameError:
            self.close()
            raise

    def close(self) -> None:
        """Read nothing more."""
        self.closed, self.has_more = True, False

    def _receive(self) -> bool:
        """Receive some bytes; false if there are none."""
        if self.closed:
            return False
        try:
            part, ancillary, _, _ = self._sock.recvmsg(_CHUNK, socket.CMSG_SPACE(_CREDENTIALS.size))
        except BlockingIOError:
            return False
        except ConnectionResetError:
            part, ancillary = b"", []
        self.closed = not part
        if _sender_of(ancillary) == self._sender:
            self._buffer += part
        return bool(part)

    def _frames(self) -> Iterator[Any]:
        start = 0
        try:
            while len(self._buffer) - start >= _LENGTH.size:
                (size,) = _LENGTH.unpack_from(self._buffer, start)
                if size > MAX_FRAME_BYTES:
                    raise MalformedFrameError(f"a frame of {size} bytes; {MAX_FRAME_BYTES} are allowed")
                end = start + _LENGTH.size + size
                if len(self._buffer) < end:
                    break
                yield _parsed(bytes(self._buffer[start + _LENGTH.size : end]))
                start = end
        finally:
            del self._buffer[:start]


def _sender_of(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, value in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            return int(_CREDENTIALS.unpack(value)[0])
    return None


def _parsed(body: bytes) -> Any:
    try:
        return loads(body)
    except (ValueError, RecursionError) as cause:
        raise MalformedFrameError(f"a frame that is no JSON: {body[:80]!r}") from cause
