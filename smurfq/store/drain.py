"""The worker's side of the drain: asks whether the bridge has written everything that an operation published.

The marker goes to the bridge's own port, behind every datagram sent before it; the answer comes through Redis.
"""

from __future__ import annotations

import math
import secrets
import socket
import time
from dataclasses import dataclass

from smurfq.core import keys
from smurfq.core.jsonsafe import loads
from smurfq.core.messages import drain_marker
from smurfq.store.bridge import BridgeBoard
from smurfq.store.connection import Client

ANSWER_EXPIRES_S = 60
BEHIND_FOR_S = 60.0
_WAIT_WHEN_SILENT_S = 0.3
_LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class DrainAnswer:
    """What the bridge says of the task that runs under a publisher id, once all before the marker is written."""

    lost: int  # its messages known to be missing by their numbers
    kernel_dropped: int  # datagrams of all publishers that the kernel dropped since the task started
    buffered_dropped: int  # datagrams of all publishers that the bridge's own buffer dropped since then
    applied: int  # its messages that this bridge wrote
    younger: bool = False  # this bridge began after the task, so it cannot know what an earlier one had not written
    task_id: str | None = None  # the task that runs there; None if Redis knows of none
    unrecorded: int = 0  # messages that reached the bridge since the task began, and are in no record

    @property
    def complete(self) -> bool:
        """Whether it is certain that nothing is missing."""
        missing = self.lost or self.unrecorded or self.kernel_dropped or self.buffered_dropped
        return self.task_id is not None and not (missing or self.younger)


def drain(
    client: Client, address: tuple[str, int], publisher: str, *, tries: int = 4, wait_s: float = 0.6
) -> DrainAnswer | None:
    """The bridge's answer; None if none came, after ``tries`` markers and ``wait_s`` seconds for each.

    A bridge that is not there is asked once, and not waited for long; one that was there lately may have been kept
    from saying so by an outage of Redis. One that is behind is waited for, ``BEHIND_FOR_S`` more. Asking needs Redis:
    the errors of ``redis-py`` come through.
    """
    board = BridgeBoard(client)
    if not board.expected():
        tries, wait_s = 1, _WAIT_WHEN_SILENT_S
    token = secrets.token_hex(16)
    marker = drain_marker(publisher, token)
    family, kind, protocol, _, target = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
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
