"""Takes datagrams from the buffer, parses them, and has them recorded in batches, in the order of arrival."""

from __future__ import annotations

import logging
import threading
import time

from smurfq.bridge.attribution import ArrivedMessage
from smurfq.bridge.buffer import Buffer, Chunk
from smurfq.bridge.coalescing import Coalescing
from smurfq.bridge.complaints import Complaints
from smurfq.bridge.drain_answers import DrainAnswers
from smurfq.bridge.drops import DropNotices
from smurfq.bridge.mmsg import address_text
from smurfq.bridge.publishers import Publishers
from smurfq.bridge.recorder import Recorder
from smurfq.bridge.redis_retry import RedisRetry
from smurfq.bridge.register_values import RegisterValues
from smurfq.bridge.snapshots import SnapshotPace
from smurfq.core.messages import Drain, parse
from smurfq.errors import MessageError, StoreUnavailableError
from smurfq.store.bridge import Counters

TAKEN_MESSAGES = 250  # more in one batch would keep the interpreter from the receiver for too long
TAKEN_BYTES = 4 << 20
_LONGEST_WAIT_S = 0.2


class Applier(threading.Thread):
    """Applies what is in the buffer until the receiver has ended and the buffer is empty."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        answers: DrainAnswers,
        drops: DropNotices,
        snapshots: SnapshotPace,
        retry: RedisRetry,
        publishers: Publishers,
        registers: RegisterValues,
        buffer: Buffer,
        counters: Counters,
        complaints: Complaints,
        log: logging.Logger,
    ) -> None:
        super().__init__(name="applier", daemon=True)
        self._recorder = recorder
        self._answers = answers
        self._drops = drops
        self._snapshots = snapshots
        self._retry = retry
        self._publishers = publishers
        self._registers = registers
        self._buffer = buffer
        self._counters = counters
        self._complaints = complaints
        self._log = log
        self._coalescing = Coalescing()
        self._finishing = threading.Event()

    def finish(self) -> None:
        """Apply what is left in the buffer and end; call it when the receiver has ended."""
        self._finishing.set()

    def run(self) -> None:
        """Apply datagrams until there are no more."""
        try:
            self._recorder.restore()
            while True:
                finishing = self._finishing.is_set()
                taken = self._buffer.take(TAKEN_MESSAGES, TAKEN_BYTES, self._snapshots.wait_s(_LONGEST_WAIT_S))
                if not taken and finishing:
                    break
                try:
                    self._apply(taken)
                    if taken:
                        count = sum(len(chunk.datagrams) for chunk in taken)
                        time.sleep(self._coalescing.pause_s(count, more=self._buffer.pressing > 0))
                except StoreUnavailableError:
                    raise
                except Exception:  # noqa: BLE001 the thread's rim: no message may end the bridge
                    self._counters.failed += sum(len(chunk.datagrams) for chunk in taken)
                    self._log.exception("the bridge failed on a datagram; this is a bug in smurfq; please report it")
        except StoreUnavailableError as cause:
            self._log.error("%s; %d messages were not written", cause, len(self._buffer))

    def _apply(self, taken: list[Chunk]) -> None:
        batch: list[ArrivedMessage] = []
        for chunk in taken:
            for address, at, datagram in zip(chunk.sources, chunk.times, chunk.datagrams, strict=True):
                try:
                    message = parse(datagram)
                except MessageError as cause:
                    self._counters.malformed += 1
                    self._complaints.add("malformed datagram", f"{cause} (from {address_text(address)})")
                    continue
                publisher = self._publishers.find(message.id)
                if publisher is None:
                    self._counters.unknown_id += 1
                    hint = f"{message.id!r} from {address_text(address)} is no slot of the site; see `smurfq doctor`"
                    self._complaints.add("unknown publisher id", hint)
                    continue
                server, lane = publisher.lane is None, publisher.lane or publisher.slot
                if isinstance(message, Drain):
                    self._record(batch, notice_at_once=True)
                    batch = []
                    self._answers.answer(message, lane)
                elif message.type != "metadata":
                    batch.append(ArrivedMessage(address, at, message, lane, server))
                else:
                    self._take_register(ArrivedMessage(address, at, message, lane, server), publisher.slot, batch)
        self._record(batch)
        if self._snapshots.wait_s(_LONGEST_WAIT_S) <= 0:
            self._retry(self._snapshots.publish_due)

    def _take_register(self, arrived: ArrivedMessage, slot: str, batch: list[ArrivedMessage]) -> None:
        """Take the value of a register. If a script sent it, its number is one of the script's numbers."""
        if not self._registers.take(slot, arrived.message):
            self._counters.malformed += 1
            self._complaints.add(
                "unusable payload", f"metadata of {arrived.message.id}: {arrived.message.payload!r:.200}"
            )
        if arrived.server:
            self._counters.registers += 1
        else:
            batch.append(arrived)

    def _record(self, batch: list[ArrivedMessage], *, notice_at_once: bool = False) -> None:
        """Write ``batch``, and that datagrams were dropped if they were."""
        notice = self._drops.text(at_once=notice_at_once)
        if batch or notice:
            self._snapshots.touched(self._recorder.record(batch, notice))
        if notice:
            self._drops.written(notice)
