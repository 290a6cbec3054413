"""The bounded buffer between the receiver and the applier."""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple

OVERHEAD_BYTES = 152  # memory that Python needs for each datagram, its address and its time, without the bytes sent


class Chunk(NamedTuple):
    """Datagrams received together: the address of each as the kernel packs it, and its time of arrival."""

    datagrams: list[bytes]
    sources: list[bytes]
    times: list[float]  # when the kernel received each, s since 1970
    size: int  # bytes of all datagrams
    registers: bool = False  # whether all are values of registers, which may wait for others


class Buffer:
    """Chunks of datagrams that wait to be applied, in order.

    It holds at most ``messages`` datagrams in ``size`` bytes of memory. When it is full, the oldest chunk is dropped.
    The numbers of the messages that follow then show what is missing.

    Smurf servers publish values of registers without end. They wake nobody: ``take`` returns them with the next message
    of another kind, or when its time is over. While the buffer is half full, because Redis is away, they are ignored,
    since they would drive out the messages of scripts.
    """

    def __init__(self, messages: int, size: int) -> None:
        self._room, self._size_room = messages, size
        self._chunks: deque[Chunk] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._messages = self._size = 0
        self._pressing = 0  # messages in chunks that are not only registers
        self.dropped = 0

    def __len__(self) -> int:
        return self._messages

    @property
    def pressing(self) -> int:
        """The count of messages that wait, without values of registers, which wait for others on purpose."""
        return self._pressing

    def put(self, chunk: Chunk) -> None:
        """Append a chunk, and drop the oldest ones if there is no room for all."""
        with self._changed:
            if chunk.registers and (2 * self._messages > self._room or 2 * self._size > self._size_room):
                return
            self._chunks.append(chunk)
            self._messages += len(chunk.datagrams)
            self._size += _size(chunk)
            self._pressing += 0 if chunk.registers else len(chunk.datagrams)
            while (self._messages > self._room or self._size > self._size_room) and len(self._chunks) > 1:
                self.dropped += len(self._pop().datagrams)
            if not chunk.registers:
                self._changed.notify()

    def take(self, messages: int, size: int, wait_s: float) -> list[Chunk]:
        """The oldest chunks, until they hold ``messages`` or ``size`` bytes; none if none came within ``wait_s``."""
        with self._changed:
            if not self._pressing:
                self._changed.wait(wait_s)
            taken: list[Chunk] = []
            while self._chunks and messages > 0 and size > 0:
                chunk = self._pop()
                messages -= len(chunk.datagrams)
                size -= chunk.size
                taken.append(chunk)
            return taken

    def _pop(self) -> Chunk:
        chunk = self._chunks.popleft()
        self._messages -= len(chunk.datagrams)
        self._size -= _size(chunk)
        self._pressing -= 0 if chunk.registers else len(chunk.datagrams)
        return chunk


def _size(chunk: Chunk) -> int:
    """The bytes of memory that a chunk needs."""
    return chunk.size + OVERHEAD_BYTES * len(chunk.datagrams)
