"""Keeps the newest values of the registers that smurf servers publish, and writes them to Redis once a second.

A server publishes hundreds of values a second, without end. So they go into no record: Redis gets only the newest value
of each register, and a bounded feed gets the values that have changed, every some seconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from smurfq.bridge.complaints import Complaints
from smurfq.config.sections import Registers as Limits
from smurfq.core.jsonsafe import dumps
from smurfq.core.messages import Message
from smurfq.core.published_registers import Alarm, RegisterValue, Watch, number_of, path_end
from smurfq.store.feeds import REGISTERS, Feeds
from smurfq.store.redis_errors import AWAY
from smurfq.store.registers import Registers

MOST_REGISTERS: Final = 2000  # of a slot; a server publishes some 300
LONGEST_VALUE: Final = 8192  # characters of JSON
LONGEST_PATH: Final = 512
REWRITE_S: Final = 60.0  # after this time all values are written again, in case Redis has lost its data
_LONGEST_TYPE: Final = 64
_LONGEST_IN_FEED: Final = 200


class RegisterValues:
    """The newest values by slot. One thread takes messages, another one calls ``flush``, others read ``numbers``."""

    def __init__(
        self,
        registers: Registers,
        feeds: Feeds,
        limits: Limits,
        complaints: Complaints,
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registers = registers
        self._feeds = feeds
        self._limits = limits
        self._complaints = complaints
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._slots: dict[str, _Slot] = {}
        self._rewrite_at = self._clock() + REWRITE_S

    def take(self, slot: str, message: Message) -> bool:
        """Take a message of the type ``metadata``; return false if its payload is of the wrong type."""
        payload = message.payload
        path = payload.get("path") if type(payload) is dict else None
        if type(path) is not str or "value" not in payload:
            return False
        value = RegisterValue(payload["value"], str(payload.get("type"))[:_LONGEST_TYPE], message.time)
        if len(path) > LONGEST_PATH:
            self._complaints.add("register not kept", f"a path of {slot} is longer than {LONGEST_PATH}: {path!r:.80}")
            return True
        if type(value.value) in (list, dict, str) and len(dumps(value.value)) > LONGEST_VALUE:
            self._complaints.add("register not kept", f"{path} of {slot} is longer than {LONGEST_VALUE} characters")
            return True
        with self._lock:
            of_slot = self._slots.get(slot)
            if of_slot is None:
                of_slot = self._slots[slot] = _Slot(Watch(self._limits.max, self._limits.min))
            if path not in of_slot.newest and len(of_slot.newest) >= MOST_REGISTERS:
                self._complaints.add("register not kept", f"{path}: {slot} has {MOST_REGISTERS} others")
                return True
            of_slot.newest[path] = of_slot.unwritten[path] = value
        return True

    def flush(self) -> None:
        """Compare the newest values with the limits, and write them. If Redis is away, they are written later."""
        with self._lock:
            slots = dict(self._slots)
            if self._clock() >= self._rewrite_at:
                self._rewrite_at = self._clock() + REWRITE_S
                for of_slot in slots.values():
                    of_slot.unwritten, of_slot.reported = dict(of_slot.newest), None
            unwritten = {slot: of_slot.unwritten for slot, of_slot in slots.items() if of_slot.unwritten}
            for slot in unwritten:
                slots[slot].unwritten = {}
        for slot, of_slot in slots.items():
            self._compare(slot, of_slot)
        try:
            if unwritten:
                self._registers.write(unwritten)
            for slot, of_slot in slots.items():
                self._write_block(slot, of_slot)
                self._write_alarms(slot, of_slot)
        except AWAY:
            with self._lock:
                for slot, values in unwritten.items():
                    slots[slot].unwritten = {**values, **slots[slot].unwritten}

    def numbers(self) -> dict[str, dict[str, float]]:
        """Return the newest numbers of each slot, by the ends of their paths."""
        with self._lock:
            return {slot: _numbers(of_slot.newest) for slot, of_slot in self._slots.items()}

    def alarms(self) -> dict[str, list[Alarm]]:
        """Return the present alarms of each slot."""
        return {slot: of_slot.alarms for slot, of_slot in dict(self._slots).items()}

    def newest_at(self) -> dict[str, float]:
        """Return when the newest value of each slot was published."""
        with self._lock:
            return {slot: max(one.time for one in of.newest.values()) for slot, of in self._slots.items() if of.newest}

    def _write_block(self, slot: str, of_slot: _Slot) -> None:
        now = self._clock()
        if now < of_slot.block_due:
            return
        of_slot.block_due = now + self._limits.feed_interval_s
        with self._lock:
            newest = dict(of_slot.newest)
        changed = {
            path: one.value
            for path, one in newest.items()
            if type(one.value) in (int, float, bool, str)
            and len(str(one.value)) <= _LONGEST_IN_FEED
            and (path not in of_slot.in_feed or of_slot.in_feed[path] != one.value)
        }
        if changed:
            self._feeds.append(REGISTERS, slot, max(newest[path].time for path in changed), changed)
            of_slot.in_feed.update(changed)

    def _compare(self, slot: str, of_slot: _Slot) -> None:
        """Compare the values with the limits of the site, and log alarms that begin or end, also if Redis is away."""
        with self._lock:
            numbers = _numbers(of_slot.newest)
        alarms = of_slot.watch.compare(numbers, time.time(), self._clock())
        before = {(one.quantity, one.above) for one in of_slot.alarms}
        now = {(one.quantity, one.above): one for one in alarms}
        for key in now.keys() - before:
            self._log.warning("ALARM of %s: %s", slot, now[key])
        for name, _ in before - now.keys():
            self._log.warning("the alarm of %s is over: %s", slot, name)
        of_slot.alarms = alarms

    def _write_alarms(self, slot: str, of_slot: _Slot) -> None:
        if of_slot.reported != of_slot.alarms:
            self._registers.write_alarms(slot, of_slot.alarms)
            of_slot.reported = of_slot.alarms


class _Slot:
    """What is known of the registers of a slot."""

    __slots__ = ("alarms", "block_due", "in_feed", "newest", "reported", "unwritten", "watch")

    def __init__(self, watch: Watch) -> None:
        self.newest: dict[str, RegisterValue] = {}
        self.unwritten: dict[str, RegisterValue] = {}
        self.in_feed: dict[str, object] = {}
        self.block_due = 0.0
        self.watch = watch
        self.alarms: list[Alarm] = []
        self.reported: list[Alarm] | None = None  # as Redis has them; None if that is not known


def _numbers(newest: Mapping[str, RegisterValue]) -> dict[str, float]:
    found = {path_end(path): number_of(one.value) for path, one in newest.items()}
    return {end: value for end, value in found.items() if value is not None}
