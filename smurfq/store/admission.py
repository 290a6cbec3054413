"""Admits submissions: checks, records and queues all of them in one atomic step, or none.

If a submission is rejected, nothing is queued. After a crash or a lost connection, either all is queued or nothing is.
A request that is sent twice takes effect once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from smurfq.core import keys
from smurfq.core.jsonsafe import dumps
from smurfq.core.session import SessionRecord
from smurfq.errors import DuplicateError, SmurfqError
from smurfq.store.connection import Client
from smurfq.store.history import index_keys
from smurfq.store.locks import Locks
from smurfq.store.lua_scripts import lua_script

Unique = Literal["", "waiting", "running"]

_ANY_TIME = 1e18  # s since 1970: later than any lock, even if the hosts' clocks differ

_WRITTEN = ("op_name", "slot", "stream_id", "params", "status", "submit_time", "parent_id", "root_id", "submitted_by")


@dataclass(frozen=True)
class Item:
    """One submission: its record, its message in two forms, and whether a duplicate rejects it.

    ``text`` is the message for the queue ``key``. ``message`` is kept with the record, so that it can be sent again.
    With ``unique="waiting"`` the submission is rejected if a duplicate is waiting; with ``running``, also if one is
    running under ``publisher``.
    """

    record: SessionRecord
    key: str
    text: str
    message: Any
    fingerprint: str
    publisher: str
    unique: Unique = ""


@dataclass(frozen=True)
class LockCheck:
    """A slot that nobody but ``owner`` may have locked.

    ``accepted`` is the time at which the submission's canvas was accepted: locks that are newer do not reject it.
    """

    slot: str
    owner: str
    accepted: float | None = None


class Admission:
    """Admits submissions to a site's queues."""

    def __init__(self, client: Client, locks: Locks, expires_s: float) -> None:
        self._locks = locks
        self._expires_s = int(expires_s)
        self._admit = client.register_script(lua_script("admit"))

    def admit(self, items: Sequence[Item], checks: Iterable[LockCheck], nonce: str) -> None:
        """Record and queue all of ``items``, or none of them.

        ``nonce`` identifies this request: a second call with the same nonce, after a lost connection, changes nothing.

        Raises
        ------
        SlotLockedError, DuplicateError
            One of the items is rejected; the error's field ``index`` gives its index.
        """
        looked_at = list(dict.fromkeys(checks))
        words: list[Any] = [nonce, self._expires_s, time.time() - self._expires_s, len(items), len(looked_at)]
        words += [word for check in looked_at for word in (check.owner, check.accepted or _ANY_TIME)]
        words += [word for item in items for word in _words(item)]
        found = [*self._keys(items), *(keys.lock(check.slot) for check in looked_at)]
        answer, *detail = self._admit(keys=found, args=words)
        if answer != "ok":
            raise self._refusal(answer, int(detail[0]), detail[1], items, looked_at)

    @staticmethod
    def _keys(items: Sequence[Item]) -> list[str]:
        found = [keys.WAITING]
        for item in items:
            record = item.record
            found += [
                keys.record(record.session_id),
                item.key,
                keys.duplicates(record.slot, item.fingerprint),
                keys.running(item.publisher),
                *index_keys(record.slot, record.op_name),
            ]
        return found

    def _refusal(
        self, answer: str, index: int, detail: str, items: Sequence[Item], checks: Sequence[LockCheck]
    ) -> SmurfqError:
        if answer == "locked":
            lock = self._locks.parse(detail)
            assert lock is not None
            return lock.refusal(checks[index].owner)
        record = items[index].record
        what = f"{record.op_name} on {record.slot}"
        if answer == "known":
            return DuplicateError(
                f"{what}: the id {detail} belongs to another submission; let smurfq choose the id",
                slot=record.slot,
                session_id=detail,
                state="known",
                index=index,
            )
        return DuplicateError(
            f"{what}: a duplicate with the same parameters is already {answer}: run {detail}; "
            f"`smurfq follow {detail[:8]}` shows it",
            slot=record.slot,
            operation=record.op_name,
            session_id=detail,
            state=answer,
            index=index,
        )


def _words(item: Item) -> list[Any]:
    record = item.record
    fields = {name: dumps(value) for name, value in record.to_dict().items() if name in _WRITTEN and value is not None}
    fields["_message"] = dumps(item.message)
    pairs = [word for pair in fields.items() for word in pair]
    head = [record.session_id, record.submit_time or time.time(), item.unique, item.text, record.op_name]
    return [*head, len(fields), *pairs]
