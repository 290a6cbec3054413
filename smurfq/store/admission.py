"""Admits submissions: checks, records and queues all of them in one atomic step, or none.

A refusal, a crash or a lost connection leaves nothing or all; sent twice, it is done once.
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
from smurfq.store.history import ENTER, index_keys
from smurfq.store.locks import Locks
from smurfq.store.taking import WAKE

Unique = Literal["", "waiting", "running"]

_ANY_TIME = 1e18  # s since 1970: later than any lock, whatever the clocks of the hosts say

# KEYS: waiting; of each item: record, list, the same, running, the five of its indexes; of each check: lock.
# ARGV: nonce, seconds to live, oldest time in a history, number of items, number of checks;
# of each check: in whose name, accepted when;
# of each item: id, time, unique, the message's text, operation, number of header fields, their names and values.
_ADMIT = (
    ENTER
    + WAKE
    + """
local per = 9
local items, checks = tonumber(ARGV[4]), tonumber(ARGV[5])
if redis.call('HGET', KEYS[2], '_admitted') == ARGV[1] then return {'ok'} end
for i = 1, checks do
  local text = redis.call('GET', KEYS[1 + per * items + i])
  if text then
    local lock = cjson.decode(text)
    if lock['owner'] ~= ARGV[4 + 2 * i] and lock['since'] <= tonumber(ARGV[5 + 2 * i]) then
      return {'locked', i - 1, text}
    end
  end
end
local function waits(id) return redis.call('ZSCORE', KEYS[1], id) end
local function runs(id, key)
  local text = redis.call('GET', key)
  return text and string.find(text, '"task_id":"' .. id .. '"', 1, true)
end
local at, first = {}, 6 + 2 * checks
for i = 1, items do
  at[i] = first
  first = first + 6 + 2 * tonumber(ARGV[first + 5])
  local k, unique = 1 + per * (i - 1), ARGV[at[i] + 2]
  if redis.call('EXISTS', KEYS[k + 1]) == 1 then return {'known', i - 1, ARGV[at[i]]} end
  if unique ~= '' then
    for _, id in ipairs(redis.call('SMEMBERS', KEYS[k + 3])) do
      if waits(id) then return {'waiting', i - 1, id} end
      local running = runs(id, KEYS[k + 4])
      if running and unique == 'running' then return {'running', i - 1, id} end
      if not running then redis.call('SREM', KEYS[k + 3], id) end
    end
  end
end
for i = 1, items do
  local k, a = 1 + per * (i - 1), at[i]
  local id, when = ARGV[a], ARGV[a + 1]
  for j = 1, tonumber(ARGV[a + 5]) do
    redis.call('HSET', KEYS[k + 1], ARGV[a + 4 + 2 * j], ARGV[a + 5 + 2 * j])
  end
  redis.call('HSET', KEYS[k + 1], '_admitted', ARGV[1])
  redis.call('EXPIRE', KEYS[k + 1], ARGV[2])
  enter(KEYS[k + 5], KEYS[k + 6], KEYS[k + 7], KEYS[k + 8], KEYS[k + 9], id, ARGV[a + 4], when, ARGV[3], ARGV[2])
  redis.call('ZADD', KEYS[1], 'NX', when, id)
  redis.call('LPUSH', KEYS[k + 2], ARGV[a + 3])
  wake(KEYS[k + 2])
  for _, other in ipairs(redis.call('SRANDMEMBER', KEYS[k + 3], 3)) do
    if not waits(other) and not runs(other, KEYS[k + 4]) then redis.call('SREM', KEYS[k + 3], other) end
  end
  redis.call('SADD', KEYS[k + 3], id)
  redis.call('EXPIRE', KEYS[k + 3], ARGV[2])
end
return {'ok'}
"""
)

_WRITTEN = ("op_name", "slot", "params", "status", "submit_time", "parent_id", "root_id", "submitted_by")


@dataclass(frozen=True)
class Item:
    """One submission: its record, its message in two forms, and whether another of its kind refuses it.

    ``text`` is the message as the queue ``key`` has it; ``message`` is kept with the record, to be sent again.
    ``unique``: refused where the same waits (or, with ``running``, where it waits or runs) under ``publisher``.
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
    """A slot that must not be locked against ``owner``; a canvas accepted earlier is refused by earlier locks only."""

    slot: str
    owner: str
    accepted: float | None = None


class Admission:
    """The door to a site's queues."""

    def __init__(self, client: Client, locks: Locks, expires_s: float) -> None:
        self._client = client
        self._locks = locks
        self._expires_s = int(expires_s)
        self._admit = client.register_script(_ADMIT)

    def admit(self, items: Sequence[Item], checks: Iterable[LockCheck], nonce: str) -> None:
        """Write down and queue all of ``items``, or none of them.

        ``nonce`` stands for this one attempt: called again with it, after a lost connection, nothing is done twice.

        Raises
        ------
        SlotLockedError, DuplicateError
            One of them is refused; its field ``index`` says which.
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
                f"{what}: the id {detail} is taken by another submission; leave the id to smurfq",
                slot=record.slot,
                session_id=detail,
                state="known",
                index=index,
            )
        return DuplicateError(
            f"{what}: the same, with the same parameters, is {answer} there already as {detail}; "
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
