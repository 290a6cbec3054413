"""Forwards every datagram unchanged to another address, for a PysmurfMonitor that still archives."""

from __future__ import annotations

import socket
import threading

from smurfq.bridge.buffer import Buffer
from smurfq.bridge.complaints import Complaints
from smurfq.core.messages import is_drain
from smurfq.errors import ConfigError
from smurfq.store.bridge import Counters

BUFFERED_MESSAGES = 50_000
BUFFERED_BYTES = 64 << 20
_WAIT_S = 0.2
_TAKEN_MESSAGES, _TAKEN_BYTES = 1000, 4 << 20


def relay_address(text: str) -> tuple[str, int]:
    """The host and port of ``bridge.relay``.

    Raises
    ------
    ConfigError
        ``text`` is not of the form ``host:port``.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise ConfigError(f"bridge.relay: expected 'host:port', got {text!r}", key="bridge.relay")
    return host.strip("[]"), int(port)


class Relay(threading.Thread):
    """Forwards what the receiver puts into its ``buffer``. A datagram that cannot be sent at once is dropped."""

    def __init__(self, host: str, port: int, counters: Counters, complaints: Complaints) -> None:
        super().__init__(name="relay", daemon=True)
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._address: tuple[object, ...] = address
        self._socket = socket.socket(family, kind, protocol)
        self.buffer = Buffer(BUFFERED_MESSAGES, BUFFERED_BYTES)
        self._counters = counters
        self._complaints = complaints
        self._finishing = threading.Event()

    def refuse(self, own: tuple[object, ...]) -> None:
        """Reject the bridge's ``own`` address as the target.

        Raises
        ------
        ConfigError
            The target is that address: every datagram would come back for ever.
        """
        if self._address[:2] == own[:2]:
            raise ConfigError(
                f"bridge.relay is the bridge's own address {own[0]}:{own[1]}; give the address of the other receiver",
                key="bridge.relay",
            )

    def finish(self) -> None:
        """Forward what is left in the buffer, and end."""
        self._finishing.set()

    def run(self) -> None:
        """Forward datagrams until told to end."""
        with self._socket:
            while True:
                finishing = self._finishing.is_set()
                taken = self.buffer.take(_TAKEN_MESSAGES, _TAKEN_BYTES, _WAIT_S)
                if not taken and finishing:
                    return
                for chunk in taken:
                    for datagram in chunk.datagrams:
                        if not is_drain(datagram):
                            self._send(datagram)

    def _send(self, datagram: bytes) -> None:
        try:
            self._socket.sendto(datagram, socket.MSG_DONTWAIT, self._address)
        except OSError as cause:
            self._counters.relay_failed += 1
            self._complaints.add("not relayed", f"to {self._address[0]}:{self._address[1]}: {cause.strerror}")
        else:
            self._counters.relayed += 1
