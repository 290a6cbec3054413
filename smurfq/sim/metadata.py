"""Publishes the values of registers as a smurf server does: as they are written or read, and as the server polls them.

One thread publishes the registers of all slots of a simulator, so that no client of Channel Access waits for a socket.
"""

from __future__ import annotations

import heapq
import logging
import queue
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Final

from smurfq.sim.published import POLLED_HZ, PUBLISHED
from smurfq.sim.pysmurf_publishers import Address, PublishedVariable, Value, register_publisher
from smurfq.sim.slot import SimSlot

logger = logging.getLogger(__name__)

_COMPLAIN_EVERY_S: Final = 60.0
_END: Final = None

Poll = tuple[float, int, str]  # when it is due (s of the monotonic clock), the slot's place in the list, the register


class MetadataPublisher(threading.Thread):
    """The thread that publishes the registers of slots.

    Parameters
    ----------
    slots
        The slots by stream id.
    address
        The address of the bridge.
    metadata_hz
        The values that each slot publishes per second because it polls them; 0: it polls nothing.
    """

    def __init__(self, slots: Mapping[str, SimSlot], address: Address, metadata_hz: float) -> None:
        super().__init__(name="metadata", daemon=True)
        self._slots = list(slots.values())
        self._variables = [{name: PublishedVariable(one.path) for name, one in PUBLISHED.items()} for _ in slots]
        self._address = address
        self._publishers = [
            register_publisher(address, stream_id, variables.values())
            for stream_id, variables in zip(slots, self._variables, strict=True)
        ]
        self._stretch = POLLED_HZ / metadata_hz if metadata_hz else 0.0
        self._changed: queue.SimpleQueue[tuple[int, str, Value] | None] = queue.SimpleQueue()
        self._complain_at = 0.0

    def run(self) -> None:
        """Publish until told to end."""
        for place in range(len(self._slots)):
            self._watch(place)
        due = list(self._first_polls())
        heapq.heapify(due)
        while True:
            wait_s = max(0.0, due[0][0] - time.monotonic()) if due else None
            try:
                changed = self._changed.get(timeout=wait_s)
            except queue.Empty:
                pass
            else:
                if changed is _END:
                    return
                self._publish(*changed)
            self._poll(due)

    def end(self) -> None:
        """Stop the thread after the values that have been noted."""
        self._changed.put(_END)
        self.join()

    def _watch(self, place: int) -> None:
        slot = self._slots[place]

        def note(names: Iterable[str]) -> None:
            for name in names:
                if name in PUBLISHED:
                    self._changed.put((place, name, _published(name, slot)))

        slot.on_value = note

    def _first_polls(self) -> Iterable[Poll]:
        """Return the first poll of each register, the slots one after the other."""
        if not self._stretch:
            return
        for place in range(len(self._slots)):
            first = time.monotonic() + self._stretch * place / len(self._slots)
            yield from ((first, place, name) for name, one in PUBLISHED.items() if one.poll_s)

    def _poll(self, due: list[Poll]) -> None:
        """Publish the registers that are due, each once, and set the time of their next polls."""
        now = time.monotonic()
        for _ in due:
            at, place, name = due[0]
            if at > now:
                return
            self._publish(place, name, _published(name, self._slots[place]))
            interval_s = (PUBLISHED[name].poll_s or 0.0) * self._stretch
            following = at + interval_s if at + interval_s > now else now + interval_s
            heapq.heapreplace(due, (following, place, name))

    def _publish(self, place: int, name: str, value: Value) -> None:
        if not self._slots[place].answers(name):
            return
        try:
            self._variables[place][name].publish(value)
        except OSError as error:
            if time.monotonic() >= self._complain_at:
                self._complain_at = time.monotonic() + _COMPLAIN_EVERY_S
                logger.warning("registers cannot be published to %s:%d: %s", *self._address, error)


def _published(name: str, slot: SimSlot) -> Value:
    """Return a register's value as rogue's type."""
    value = slot.value(name)
    assert isinstance(value, int | float | str)
    return bool(value) if PUBLISHED[name].boolean else value
