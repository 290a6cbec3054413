"""Parses datagrams, assigns them to runs, and writes them in batches, in the order of arrival."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict

from redis.exceptions import ResponseError

from smurfq.bridge.attribution import Task, Tasks
from smurfq.bridge.buffer import Buffer, Chunk
from smurfq.bridge.coalescing import Coalescing
from smurfq.bridge.complaints import Complaints
from smurfq.bridge.mmsg import address_text
from smurfq.bridge.pending_batch import PendingBatch, SequencedMessage
from smurfq.bridge.redis_retry import RedisRetry
from smurfq.bridge.snapshots import SnapshotPace
from smurfq.bridge.steps import Drops, Unowned
from smurfq.bridge.writer import Writer
from smurfq.core import keys
from smurfq.core.jsonsafe import dumps, loads
from smurfq.core.messages import Drain, Message, parse
from smurfq.core.sequence import Arrival, Position, Sequences
from smurfq.errors import MessageError, StoreUnavailableError
from smurfq.store.bridge import Counters, Positions
from smurfq.store.connection import Client
from smurfq.store.drain import ANSWER_EXPIRES_S, DrainAnswer
from smurfq.store.fence import Running

TAKEN_MESSAGES = 250  # more in one batch would keep the interpreter from the receiver for too long
TAKEN_BYTES = 4 << 20
_LONGEST_WAIT_S = 0.2
_TELL_DROPS_S = 1.0

Source = tuple[bytes, str, str, str]  # address as the kernel gave it, host, script, publisher id


class Applier(threading.Thread):
    """Applies what is in the buffer until the receiver has ended and the buffer is empty."""

    def __init__(
        self,
        *,
        client: Client,
        writer: Writer,
        snapshots: SnapshotPace,
        patience: RedisRetry,
        publishers: frozenset[str],
        buffer: Buffer,
        counters: Counters,
        complaints: Complaints,
        log: logging.Logger,
    ) -> None:
        super().__init__(name="applier", daemon=True)
        self._client = client
        self._writer = writer
        self._snapshots = snapshots
        self._patience = patience
        self._publishers = publishers
        self._buffer = buffer
        self._counters = counters
        self._complaints = complaints
        self._log = log
        self._tasks = Tasks(client)
        self._sequences = Sequences()
        self._kernel_drops = Drops(lambda: counters.kernel_dropped)
        self._buffer_drops = Drops(lambda: counters.buffered_dropped)
        self._unowned = Unowned()
        self._tell_drops_at = 0.0
        self._untold = [0, 0]
        self._moved: set[Source] = set()
        self._coalescing = Coalescing()
        self._finishing = threading.Event()
        self._began = time.monotonic()

    def finish(self) -> None:
        """Apply what is left in the buffer and end; call it when the receiver has ended."""
        self._finishing.set()

    def run(self) -> None:
        """Apply datagrams until there are no more."""
        try:
            self._restore()
            while True:
                finishing = self._finishing.is_set()
                taken = self._buffer.take(TAKEN_MESSAGES, TAKEN_BYTES, self._snapshots.wait_s(_LONGEST_WAIT_S))
                if not taken and finishing:
                    break
                try:
                    self._apply(taken)
                    if taken:
                        count = sum(len(chunk.datagrams) for chunk in taken)
                        time.sleep(self._coalescing.pause_s(count, more=len(self._buffer) > 0))
                except StoreUnavailableError:
                    raise
                except Exception:  # noqa: BLE001 the thread's rim: whatever came must not end the bridge
                    self._counters.failed += sum(len(chunk.datagrams) for chunk in taken)
                    self._log.exception("the bridge failed on a datagram; this is a defect, please report it")
        except StoreUnavailableError as cause:
            self._log.error("%s; %d messages were not written", cause, len(self._buffer))

    def _restore(self) -> None:
        """Go on with the publishers' numbering from where an earlier bridge stood."""
        for text, position in self._patience(Positions(self._client).read).items():
            self._sequences.restore(_source_of(text), position)

    def _apply(self, taken: list[Chunk]) -> None:
        messages: list[tuple[bytes, float, Message]] = []
        for chunk in taken:
            for address, at, datagram in zip(chunk.sources, chunk.times, chunk.datagrams, strict=True):
                try:
                    message = parse(datagram)
                except MessageError as cause:
                    self._counters.malformed += 1
                    self._complaints.add("malformed datagram", f"{cause} (from {address_text(address)})")
                    continue
                if message.id not in self._publishers:
                    self._counters.unknown_id += 1
                    hint = f"{message.id!r} from {address_text(address)} is no slot of the site; see SMURFPUB_ID"
                    self._complaints.add("unknown publisher id", hint)
                elif isinstance(message, Drain):
                    self._write(messages, tell=True)
                    messages = []
                    self._answer(message)
                else:
                    messages.append((address, at, message))
        self._write(messages)
        if self._snapshots.wait_s(_LONGEST_WAIT_S) <= 0:
            self._patience(self._snapshots.publish_due)

    def _write(self, messages: list[tuple[bytes, float, Message]], *, tell: bool = False) -> None:
        """Write what ``messages`` say; ``tell``: and what was dropped, however lately that was told."""
        now = time.monotonic()
        self._untold[0] += self._kernel_drops.grown(now)
        self._counters.buffered_dropped = self._buffer.dropped
        self._untold[1] += self._buffer_drops.grown(now)
        telling = any(self._untold) and (tell or now >= self._tell_drops_at)
        if not messages and not telling:
            return
        publishers = self._publishers if telling else {message.id for _, _, message in messages}
        text = self._drops_told() if telling else ""
        arrived = [found for one in messages if (found := self._step(*one)) is not None]
        positions = self._positions_moved()
        running = None if telling else self._tasks.known(publishers)
        while True:
            if running is None:
                running = self._patience(lambda: self._tasks.look_up(publishers))
            now = time.time()  # looking up may have waited for Redis
            taken = self._attribute(arrived, running, now)
            if text:
                taken.tell(text, now, [self._tasks.get(run.task_id) for run in running.values()])
            if self._store(taken, positions, self._tasks.expected(publishers), now):
                return
            taken.roll_back()  # another task has begun meanwhile, or this one ended: whose are they now?
            running = None

    def _step(self, address: bytes, at: float, message: Message) -> SequencedMessage | None:
        """A message with what its number says; None for a second copy."""
        source = (address, message.host, message.script, message.id)
        first = not self._sequences.knows(source)
        step = self._sequences.step(source, message.seq_no, message.time, start=message.type == "start")
        if step.arrival is Arrival.DUPLICATE:
            self._counters.duplicate += 1
            return None
        self._moved.add(source)
        self._counters.lost += step.lost
        return SequencedMessage(message, at, step, first)

    def _positions_moved(self) -> dict[str, Position]:
        positions = {
            _source_text(source): position
            for source in self._moved
            if (position := self._sequences.position(source)) is not None
        }
        self._moved.clear()
        return positions

    def _attribute(self, arrived: list[SequencedMessage], running: Mapping[str, Running], now: float) -> PendingBatch:
        """Give each message to the task that it belongs to."""
        taken = PendingBatch()
        for one in arrived:
            taken.add(one, self._tasks.owner(one.message, one.time, running.get(one.message.id), now))
        return taken

    def _store(
        self, taken: PendingBatch, positions: Mapping[str, Position], expected: Mapping[str, str], now: float
    ) -> bool:
        """Whether all was written; false, and nothing was, where something else runs than is ``expected``."""
        batches = [(task.task_id, events) for task in taken.tasks.values() if (events := task.pending(now))]
        published = {task.task_id: task.taken for task in taken.tasks.values()}
        refused = self._writer.write(batches, positions, expected, published)
        if refused is None:
            return False
        for task in taken.tasks.values():
            if task.task_id in refused:
                self._counters.refused += task.drop()
            else:
                self._counters.applied += task.written()
        self._counters.idle += len(taken.unowned)
        for one in taken.unowned:
            self._unowned.add(one.message.id, one.time + time.monotonic() - time.time())
        self._counters.malformed += len(taken.unusable)
        for hint in taken.unusable:
            self._complaints.add("unusable payload", hint)
        self._snapshots.touched(task_id for task_id, _ in batches)
        return True

    def _answer(self, drain: Drain) -> None:
        run = self._patience(lambda: self._tasks.look_up([drain.id])).get(drain.id)
        task = self._tasks.get(run.task_id) if run else None
        if run is not None and task is not None:
            vanished = self._patience(functools.partial(self._tasks.vanished, task))
            answer = self._answer_of(drain.id, task, run.started, vanished)
        else:
            answer = DrainAnswer(lost=0, kernel_dropped=0, buffered_dropped=0, applied=0)

        def send() -> None:
            if task is not None:
                self._snapshots.publish_now(task.task_id)
            with self._client.pipeline(transaction=True) as pipe:
                pipe.lpush(keys.drained(drain.token), dumps(asdict(answer)))
                pipe.expire(keys.drained(drain.token), ANSWER_EXPIRES_S)
                pipe.execute()

        try:
            self._patience(send)
        except ResponseError as cause:
            self._complaints.add("no answer", f"Redis refused that to the drain marker of {drain.id}: {cause}")

    def _answer_of(self, publisher: str, task: Task, started: float, vanished: int) -> DrainAnswer:
        # The clock may have been set back since the task began: it began before it was seen, at least.
        start = min(time.monotonic() - (time.time() - started), task.seen)
        return DrainAnswer(
            lost=max(0, task.lost),
            kernel_dropped=self._kernel_drops.since(start),
            buffered_dropped=self._buffer_drops.since(start),
            applied=task.applied,
            younger=start < self._began,
            task_id=task.task_id,
            unrecorded=self._unowned.since(publisher, start) + vanished + task.refused,
        )

    def _drops_told(self) -> str:
        kernel, buffered = self._untold
        self._untold = [0, 0]
        self._tell_drops_at = time.monotonic() + _TELL_DROPS_S
        where = [f"{kernel} by the kernel (the socket's buffer was full)"] if kernel else []
        where += [f"{buffered} by the bridge (its own buffer was full)"] if buffered else []
        text = f"datagrams of all publishers dropped meanwhile: {', '.join(where)}"
        self._complaints.add("dropped", text, kernel + buffered)
        return text


def _source_text(source: Source) -> str:
    address, *names = source
    return dumps([address.hex(), *names])


def _source_of(text: str) -> Source:
    address, host, script, publisher = loads(text)
    return (bytes.fromhex(address), host, script, publisher)
