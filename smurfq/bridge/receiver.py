"""Receives datagrams from the socket, and does nothing else."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import threading
import time
from typing import Protocol

import psutil

from smurfq.bridge.buffer import Chunk
from smurfq.bridge.mmsg import ManyReceiver
from smurfq.core.messages import REGISTER_MARK
from smurfq.errors import StartError
from smurfq.store.bridge import Counters

CHUNK_DATAGRAMS = 256
_WAKE_S = 0.2  # how often the receiver checks whether to stop while nothing arrives
_GATHER_S = 0.02  # pause after values of registers alone: each wake-up costs more than the values of 20 ms
_GATHERS_FROM_BYTES = 1 << 20  # a smaller receive buffer could overflow in such a pause
_EMPTY_WITHIN_S = 1.0  # after the stop, the socket is emptied for so long at most
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_TIMEVAL = struct.Struct("@ll")
_MEMINFO = struct.Struct("9I")  # the last is the count of datagrams that this socket dropped


class Sink(Protocol):
    """Takes chunks of datagrams without ever blocking."""

    def put(self, chunk: Chunk) -> None:
        """Take a chunk."""


def open_socket(host: str, port: int, receive_buffer_bytes: int, passed: socket.socket | None = None) -> socket.socket:
    """A bound UDP socket whose receive buffer is as large as the kernel allows, up to ``receive_buffer_bytes``.

    It is ``passed``, if this process was started with a socket.

    Raises
    ------
    StartError
        Another process has the port, which the message names if it can, or this machine has no address ``host``.
    """
    bound = _bound(host, port) if passed is None else passed
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    with contextlib.suppress(PermissionError):  # without CAP_NET_ADMIN, net.core.rmem_max is the most
        bound.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, receive_buffer_bytes)
    # Not settimeout, which makes the socket non-blocking and waits within Python.
    seconds, fraction = divmod(_WAKE_S, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.pack(int(seconds), int(1e6 * fraction)))
    return bound


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except socket.gaierror as cause:
        raise StartError(f"the bridge's host {host!r} has no address ({cause}); see bridge.host") from cause
    bound = socket.socket(family, kind, protocol)
    try:
        bound.bind(address)
    except OSError as cause:
        bound.close()
        raise StartError(_why_not_bound(host, port, cause), host=host, port=port) from cause
    return bound


def receive_buffer_bytes(bound: socket.socket) -> int:
    """The size of the receive buffer that was obtained. The kernel reports twice the size, for its own overhead."""
    return bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def kernel_dropped(bound: socket.socket) -> int:
    """Return the number of datagrams that the kernel dropped since the socket was bound (modulo 2**32)."""
    return int(_MEMINFO.unpack(bound.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[8])


class Receiver(threading.Thread):
    """Moves datagrams from a socket to sinks until it is told to stop."""

    def __init__(self, bound: socket.socket, sinks: list[Sink], counters: Counters) -> None:
        super().__init__(name="receiver", daemon=True)
        self._socket = bound
        self._sinks = sinks
        self._counters = counters
        self._dropped_before = kernel_dropped(bound)  # under an earlier bridge that had the same socket
        self._finishing = threading.Event()

    def finish(self) -> None:
        """Stop receiving, at the latest after ``_WAKE_S`` and ``_EMPTY_WITHIN_S``."""
        self._finishing.set()

    def run(self) -> None:
        """Receive until told to stop, and then receive the datagrams that the kernel still has."""
        receiver = ManyReceiver(self._socket, CHUNK_DATAGRAMS)
        pause_s = _GATHER_S if receive_buffer_bytes(self._socket) >= _GATHERS_FROM_BYTES else 0.0
        while not self._finishing.is_set():
            received = self._receive(receiver)
            if received and received.registers and pause_s:
                time.sleep(pause_s)
        until = time.monotonic() + _EMPTY_WITHIN_S
        while self._receive(receiver) and time.monotonic() < until:
            pass

    def _receive(self, receiver: ManyReceiver) -> Chunk | None:
        """Receive what the kernel has; None if it has nothing."""
        datagrams, sources, times = receiver.receive()
        chunk = None
        if datagrams:
            self._counters.received += len(datagrams)
            registers = all(REGISTER_MARK in datagram for datagram in datagrams)
            chunk = Chunk(datagrams, sources, times, sum(map(len, datagrams)), registers)
            for sink in self._sinks:
                sink.put(chunk)
        self._counters.kernel_dropped = kernel_dropped(self._socket) - self._dropped_before
        return chunk


def _why_not_bound(host: str, port: int, cause: OSError) -> str:
    if cause.errno == errno.EADDRINUSE:
        return (
            f"UDP port {port} of {host} is taken by {_owner(port)}; stop it, or give the bridge another port "
            f"(bridge.port, and SMURFPUB_UDP_PORT of the publishers)"
        )
    if cause.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; bridge.host must be one, 127.0.0.1 for publishers on it"
    return f"cannot bind UDP port {port} of {host}: {cause.strerror}"


def _owner(port: int) -> str:
    try:
        pids = [c.pid for c in psutil.net_connections("udp") if c.laddr and c.laddr.port == port and c.pid]
        if pids:
            return f"process {pids[0]} ({' '.join(psutil.Process(pids[0]).cmdline())[:120]})"
    except psutil.Error:
        pass
    return "another process"
