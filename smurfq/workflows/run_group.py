"""Waits for several runs at once; any update of one of them wakes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from smurfq.client.connection import Connection
from smurfq.client.final import META_HEAD_CHARS, SETTLE_S, is_final
from smurfq.client.following import read_header
from smurfq.core import keys
from smurfq.core.jsonsafe import loads
from smurfq.core.session import SessionHeader
from smurfq.errors import StoreUnavailableError
from smurfq.store import patiently

_BLOCK_S = 0.25
_LOOK_ROUND_S = 1.0
T = TypeVar("T")


class Runs:
    """Runs that are watched together, by slot."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ids: dict[str, str] = {}
        self._positions: dict[str, str] = {}
        self._final_since: dict[str, float] = {}
        self.records: dict[str, SessionHeader] = {}
        self.values: dict[str, dict[str, Any]] = {}  # of the session data, the keys that are watched

    @property
    def ids(self) -> Mapping[str, str]:
        """The session ids, by slot."""
        return self._ids

    def add(self, slot: str, run_id: str) -> None:
        """Watch a run."""
        self._ids[slot] = run_id
        self._positions[slot] = "0-0"
        for known in (self.records, self.values, self._final_since):  # of the try before
            known.pop(slot, None)

    def wait(
        self,
        slots: Iterable[str],
        enough: Callable[[str], bool],
        *,
        until: float,
        check: Callable[[], None],
        watched: tuple[str, ...] = (),
    ) -> set[str]:
        """Wait until ``enough`` is true for all slots; the slots for which it is not at ``until`` (monotonic).

        ``check`` is called all the while, and ends the wait by raising. ``watched`` names keys of the session data
        that ``values`` is to have. Redis may go away and come back.
        """

        def pause(wait_s: float) -> None:
            check()
            time.sleep(wait_s)

        def retried(call: Callable[[], T]) -> T:
            return patiently(call, give_up_after_s=until - time.monotonic(), pause=pause)

        waiting = set(slots)
        touched, all_at = set(waiting), 0.0
        while waiting:
            check()
            if time.monotonic() >= all_at:  # what no event tells of, such as Celery's own end of a revoked task
                touched, all_at = set(waiting), time.monotonic() + _LOOK_ROUND_S
            try:
                retried(partial(self.look, touched, watched))
                waiting = {slot for slot in waiting if not enough(slot)}
                left_s = until - time.monotonic()
                if not waiting or left_s <= 0:
                    break
                touched = retried(partial(self._block, waiting, min(_BLOCK_S, left_s)))
            except StoreUnavailableError:  # Redis was away at `until`
                break
        return waiting

    def look(self, slots: Iterable[str], watched: tuple[str, ...] = ()) -> None:
        """Read the state of the runs of these slots, in one round trip."""
        asked = list(slots)
        if not asked:
            return
        with self._connection.redis.pipeline(transaction=False) as pipe:
            for slot in asked:
                run_id = self._ids[slot]
                pipe.hgetall(keys.record(run_id))
                pipe.getrange(keys.meta(run_id), 0, META_HEAD_CHARS)
                pipe.hmget(keys.data(run_id), ["", *watched])
            found = pipe.execute()
        for number, slot in enumerate(asked):
            fields, head, texts = found[3 * number : 3 * number + 3]
            self._take(slot, fields, head)
            named = zip(watched, texts[1:], strict=True)
            self.values[slot] = {name: loads(text) for name, text in named if text is not None}

    def _take(self, slot: str, fields: Mapping[str, str], head: str) -> None:
        values = {name: loads(text) for name, text in fields.items() if not name.startswith("_")}
        record = SessionHeader.from_dict({"session_id": self._ids[slot], **values})
        if not record.done and is_final(head):  # revoked, for example: no worker wrote an end
            since = self._final_since.setdefault(slot, time.monotonic())
            if time.monotonic() - since >= SETTLE_S:
                record = read_header(self._connection, self._ids[slot])
        self.records[slot] = record

    def _block(self, slots: Iterable[str], seconds: float) -> set[str]:
        """Wait for an update of any run; its slots, or none after ``seconds``."""
        touched = set()
        by_key = {keys.events(self._ids[slot]): slot for slot in slots}
        positions: Any = {key: self._positions[slot] for key, slot in by_key.items()}
        answer: Any = self._connection.redis.xread(positions, count=1000, block=max(1, int(1000 * seconds)))
        for key, entries in answer.items() if isinstance(answer, dict) else answer or ():
            flat = [entry for part in entries for entry in part] if isinstance(answer, dict) else entries
            if flat:
                self._positions[by_key[key]] = flat[-1][0]
                touched.add(by_key[key])
        return touched
