"""Receives many datagrams with one system call.

Python releases the interpreter lock around every ``recv``. While the applier computes, the receiver gets the lock back
only after a switch interval, so it would receive one datagram in each. ``recvmmsg`` receives all that wait at once.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from ctypes import POINTER, c_int, c_size_t, c_uint, c_void_p
from typing import NamedTuple

_ROOM_BYTES = 65_536
_NAME_BYTES = 28  # sockaddr_in6
_MSG_WAITFORONE = 0x10000
_SO_TIMESTAMPNS = 35
_STAMP_WORDS = 4  # of 8 bytes: length of the control message, its kind, seconds, nanoseconds


class _IoVec(ctypes.Structure):
    _fields_ = (("base", c_void_p), ("len", c_size_t))


class _MsgHdr(ctypes.Structure):
    _fields_ = (
        ("name", c_void_p),
        ("namelen", c_uint),
        ("iov", POINTER(_IoVec)),
        ("iovlen", c_size_t),
        ("control", c_void_p),
        ("controllen", c_size_t),
        ("flags", c_int),
    )


class _MMsgHdr(ctypes.Structure):
    _fields_ = (("hdr", _MsgHdr), ("len", c_uint))


class Received(NamedTuple):
    """Datagrams, the address of each (port and host as the kernel packs them), and its time of arrival."""

    datagrams: list[bytes]
    sources: list[bytes]
    times: list[float]  # when the kernel received each, s since 1970


NOTHING = Received([], [], [])


class ManyReceiver:
    """Receives up to ``count`` datagrams at a time from a bound UDP socket."""

    def __init__(self, bound: socket.socket, count: int) -> None:
        bound.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket = bound
        self._count = count
        self._recvmmsg = ctypes.CDLL(None, use_errno=True).recvmmsg
        self._recvmmsg.argtypes = (c_int, c_void_p, c_uint, c_int, c_void_p)
        # The kernel gives memory only to the pages into which datagrams are written.
        self._room = ctypes.create_string_buffer(count * _ROOM_BYTES)
        self._names = ctypes.create_string_buffer(count * _NAME_BYTES)
        self._stamps = (ctypes.c_int64 * (count * _STAMP_WORDS))()
        self._iovecs = (_IoVec * count)()
        self._headers = (_MMsgHdr * count)()
        room, names, stamps = (ctypes.addressof(each) for each in (self._room, self._names, self._stamps))
        for index in range(count):
            self._iovecs[index] = _IoVec(room + index * _ROOM_BYTES, _ROOM_BYTES)
            header = self._headers[index].hdr
            header.name, header.namelen = names + index * _NAME_BYTES, _NAME_BYTES
            header.iov, header.iovlen = ctypes.pointer(self._iovecs[index]), 1
            header.control = stamps + 8 * index * _STAMP_WORDS
            header.controllen = 8 * _STAMP_WORDS
        self._fresh = bytes(self._headers)  # the kernel overwrites the lengths
        self._used = 0  # so many headers, by the last call
        words = ctypes.sizeof(_MMsgHdr) // 4
        self._lengths = memoryview(self._headers).cast("B").cast("I")[_MMsgHdr.len.offset // 4 :: words]
        self._room_view = memoryview(self._room).cast("B")
        self._names_view = memoryview(self._names).cast("B")
        self._stamps_view = memoryview(self._stamps).cast("B").cast("q")
        self._source_bytes = 8 if bound.family == socket.AF_INET else 24  # family, port, host

    def receive(self) -> Received:
        """The datagrams that wait in the socket; if there are none, the first to come within its SO_RCVTIMEO.

        Raises
        ------
        OSError
            The kernel reports an error of the socket.
        """
        ctypes.memmove(self._headers, self._fresh, self._used * ctypes.sizeof(_MMsgHdr))
        self._used = 0
        count = self._recvmmsg(self._socket.fileno(), self._headers, self._count, _MSG_WAITFORONE, None)
        if count < 0:
            code = ctypes.get_errno()
            if code in (errno.EAGAIN, errno.EINTR):
                return NOTHING
            raise OSError(code, os.strerror(code))
        self._used = count
        room, names, end = self._room_view, self._names_view, self._source_bytes
        lengths = self._lengths[:count].tolist()
        datagrams = [
            bytes(room[start : start + length])
            for start, length in zip(range(0, count * _ROOM_BYTES, _ROOM_BYTES), lengths, strict=True)
        ]
        sources = [bytes(names[start + 2 : start + end]) for start in range(0, count * _NAME_BYTES, _NAME_BYTES)]
        stamps = self._stamps_view[: count * _STAMP_WORDS].tolist()
        times = [s + 1e-9 * ns for s, ns in zip(stamps[2::_STAMP_WORDS], stamps[3::_STAMP_WORDS], strict=True)]
        return Received(datagrams, sources, times)


def address_text(packed: bytes) -> str:
    """``host:port`` of an address as the kernel packs it."""
    port = int.from_bytes(packed[:2], "big")
    if len(packed) == 6:
        return f"{socket.inet_ntop(socket.AF_INET, packed[2:])}:{port}"
    return f"[{socket.inet_ntop(socket.AF_INET6, packed[6:22])}]:{port}"
