"""The worker's side of the drain: asks the bridge whether it has written all messages of an operation.

The worker sends a marker to the bridge's port, where it arrives after all earlier datagrams. The bridge answers through
Redis.
"""

from __future__ import annotations

import math
import secrets
import socket
import time
from dataclasses import dataclass
from typing import NamedTuple

from smurfq.core import keys
from smurfq.core.jsonsafe import loads
from smurfq.core.messages import drain_marker
from smurfq.store.bridge import BridgeBoard
from smurfq.store.connection import Client

ANSWER_EXPIRES_S = 60
BEHIND_FOR_S = 60.0
_WAIT_WHEN_SILENT_S = 0.3
_LOOK_EVERY_S = 1.0


class Bridge(NamedTuple):
    """The bridge to which a slot's publishers send: its name and its UDP address."""

    name: str
    host: str
    port: int


@dataclass(frozen=True)
class DrainAnswer:
    """The bridge's answer about the task of a publisher id, after it has written all messages before the marker."""

    lost: int  # messages of the task that are missing according to their sequence numbers
    kernel_dropped: int  # datagrams of all publishers that the kernel dropped since the task started
    buffered_dropped: int  # datagrams of all publishers that the bridge's own buffer dropped since then
    applied: int  # messages of the task that this bridge wrote
    younger: bool = False  # this bridge started after the task, and does not know what an earlier one lost
    task_id: str | None = None  # the task of the publisher id; None if Redis has no note of one
    unrecorded: int = 0  # messages that reached the bridge since the task began, and are in no record

    @property
    def complete(self) -> bool:
        """True if it is certain that no message is missing."""
        missing = self.lost or self.unrecorded or self.kernel_dropped or self.buffered_dropped
        return self.task_id is not None and not (missing or self.younger)


def drain(client: Client, bridge: Bridge, publisher: str, *, tries: int = 4, wait_s: float = 0.6) -> DrainAnswer | None:
    """Return the bridge's answer; None if none came, after ``tries`` markers with ``wait_s`` seconds for each.

    A bridge that has not been alive lately gets one marker and a short wait. A bridge that was alive lately gets all
    markers, because an outage of Redis may have delayed its reports. If the bridge lags, wait ``BEHIND_FOR_S`` more.
    The errors of ``redis-py`` are not caught.
    """
    board = BridgeBoard(client, bridge.name)
    if not board.expected():
        tries, wait_s = 1, _WAIT_WHEN_SILENT_S
    token = secrets.token_hex(16)
    marker = drain_marker(publisher, token)
    family, kind, protocol, _, target = socket.getaddrinfo(bridge.host, bridge.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as sender:
        for _ in range(tries):
            sender.sendto(marker, target)
            if (answer := _await_answer(client, token, wait_s)) is not None:
                return answer
    give_up_at = time.monotonic() + BEHIND_FOR_S
    while board.is_behind() and time.monotonic() < give_up_at:
        if (answer := _await_answer(client, token, _LOOK_EVERY_S)) is not None:
            return answer
    return None


def _await_answer(client: Client, token: str, wait_s: float) -> DrainAnswer | None:
    answer = client.blpop([keys.drained(token)], timeout=max(0.05, math.floor(wait_s * 1000) / 1000))
    return DrainAnswer(**loads(answer[1])) if answer is not None else None
