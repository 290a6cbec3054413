"""The waiting messages of a slot: lists them, removes them, moves them to the front.

kombu stores a queue as one list for each priority step. It pushes on the left and takes from the right, so the next
message is the last element of the first list that is not empty.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from smurfq.core import keys
from smurfq.core.jsonsafe import loads
from smurfq.core.priorities import PRIORITIES
from smurfq.core.slot import LANES, queue_name
from smurfq.private_api.queue_keys import SEPARATOR, UNACKED, UNACKED_INDEX
from smurfq.store.connection import Client
from smurfq.store.lua_scripts import lua_script

PRIORITY_STEPS = tuple(sorted(PRIORITIES.values()))
UNREADABLE = "(unreadable)"  # replaces an id or a name
_MANY_SLOTS = 8
_SLOTS_AT_ONCE = 64  # a slot has nine lists, and Redis serves nobody else while it reads them


@dataclass(frozen=True)
class Waiting:
    """One message in a queue, the next to be served first."""

    task_id: str
    op_name: str
    queue: str
    priority: int
    args: list[Any]
    kwargs: dict[str, Any]
    headers: dict[str, Any] = field(repr=False)
    embed: dict[str, Any] = field(repr=False)  # callbacks, errbacks, chain, chord
    text: str = field(repr=False)
    key: str = field(repr=False)


class Queues:
    """The queues of a site's slots."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._to_front = client.register_script(lua_script("to_front"))
        self._missing = client.register_script(lua_script("missing_messages"))
        self._send_again = client.register_script(lua_script("send_again"))
        self._busy = client.register_script(lua_script("busy_slots"))

    def waiting_in(self, queue: str) -> list[Waiting]:
        """Return the messages that wait in one of a slot's queues, in the order in which they will be served."""
        lists = _lists(queue)
        with self._client.pipeline(transaction=False) as pipe:
            for key, _ in lists:
                pipe.lrange(key, 0, -1)
            found = pipe.execute()
        return [
            parse(text, key, priority, queue)
            for (key, priority), texts in zip(lists, found, strict=True)
            for text in reversed(texts)
        ]

    def waiting(self, slot: str) -> list[Waiting]:
        """Return the messages that wait for a slot, in the order in which they will be served; emergencies first."""
        return self.waiting_of([slot])[slot]

    def waiting_of(self, slots: Iterable[str]) -> dict[str, list[Waiting]]:
        """Return the waiting messages of several slots, as ``waiting`` does, in one round trip for many slots."""
        found: dict[str, list[Waiting]] = {slot: [] for slot in slots}
        for slot, lists in self._read(self._busy_of(list(found))):
            found[slot] = [
                parse(text, key, priority, queue)
                for (key, priority, queue), texts in zip(_lists_of(slot), lists, strict=True)
                for text in reversed(texts)
            ]
        return found

    def _busy_of(self, slots: list[str]) -> list[str]:
        """Return the slots with waiting messages. They are usually few, and reading a slot means reading nine lists."""
        if len(slots) < _MANY_SLOTS:
            return slots
        endings = [key.removeprefix(slots[0]) for key, _, _ in _lists_of(slots[0])]
        return self._busy(args=[len(endings), *endings, *slots])  # type: ignore[no-any-return]

    def missing_of(self, task_ids: Mapping[str, Collection[str]]) -> dict[str, float | None]:
        """Return the waiting tasks of several slots whose message is in no queue; each slot is read atomically.

        The value is the time at which a worker took the message (s since 1970). None means that no worker took it, so
        somebody removed it.
        """
        missing: dict[str, float | None] = {}
        with self._client.pipeline(transaction=False) as pipe:
            for slot, ids in task_ids.items():
                self._missing(keys=[key for key, _, _ in _lists_of(slot)], args=list(ids), client=pipe)
            for found in pipe.execute():
                pairs = zip(found[::2], found[1::2], strict=True)
                missing |= {task_id: float(taken) if taken else None for task_id, taken in pairs}
        return missing

    def _read(self, slots: Iterable[str]) -> Iterator[tuple[str, list[list[str]]]]:
        """Yield the lists of each slot, read atomically."""
        rest = iter(slots)
        while some := list(islice(rest, _SLOTS_AT_ONCE)):
            with self._client.pipeline(transaction=True) as pipe:
                for slot in some:
                    for key, _, _ in _lists_of(slot):
                        pipe.lrange(key, 0, -1)
                found = iter(pipe.execute())
            for slot in some:
                yield slot, list(islice(found, len(LANES) * len(PRIORITY_STEPS)))

    def unacknowledged_tags(self, queues: Collection[str]) -> list[str]:
        """Return the delivery tags of messages taken from ``queues`` and not acknowledged, the oldest last."""
        tags: list[str] = self._client.zrevrange(UNACKED_INDEX, 0, -1)  # type: ignore[assignment]
        if not tags:
            return []
        texts: list[str | None] = self._client.hmget(UNACKED, tags)  # type: ignore[assignment]
        return [tag for tag, text in zip(tags, texts, strict=True) if text and json.loads(text)[2] in queues]

    def send_again(self, task_id: str, key: str, text: str) -> None:
        """Queue a task's message again, in the list ``key``.

        kombu's copy of the first message is deleted. Otherwise kombu would restore it after a minute, even if somebody
        has removed the second message meanwhile.
        """
        self._forget_unacknowledged(task_id)
        self._send_again(keys=[key, keys.record(task_id), keys.WAITING], args=[text, task_id, time.time()])

    def _forget_unacknowledged(self, task_id: str) -> None:
        found: dict[str, str] = self._client.hgetall(UNACKED)  # type: ignore[assignment]
        tags = [tag for tag, text in found.items() if task_id in text and _id_in(text) == task_id]
        if tags:
            with self._client.pipeline(transaction=True) as pipe:
                pipe.zrem(UNACKED_INDEX, *tags)
                pipe.hdel(UNACKED, *tags)
                pipe.execute()

    def remove(self, waiting: Waiting) -> bool:
        """Remove a message from its queue; return false if a worker has already taken it."""
        return bool(self._client.lrem(waiting.key, 1, waiting.text))

    def to_front(self, waiting: Waiting) -> bool:
        """Move a message to the front of its queue; return false if a worker has already taken it."""
        front = _lists(waiting.queue)[0][0]
        return bool(self._to_front(keys=[waiting.key, front], args=[waiting.text]))


def _id_in(unacknowledged: str) -> str:
    return str(_headers(json.loads(unacknowledged)[0]).get("id"))


def list_key(queue: str, priority: int) -> str:
    """Return the key of the Redis list for a priority of a queue."""
    return f"{queue}{SEPARATOR}{priority}" if priority else queue


def _lists_of(slot: str) -> list[tuple[str, int, str]]:
    """Return a slot's lists in the order in which they are served: key, priority and queue."""
    return [
        (key, priority, queue)
        for queue in (queue_name(slot, lane) for lane in LANES)
        for key, priority in _lists(queue)
    ]


def _lists(queue: str) -> list[tuple[str, int]]:
    return [(list_key(queue, step), step) for step in PRIORITY_STEPS]


def parse(text: str, key: str, priority: int, queue: str) -> Waiting:
    """Return a message of a queue. A message that smurfq did not send is parsed as far as possible."""
    message = _message(text)
    headers = _headers(message)
    args, kwargs, embed = _body(message)
    return Waiting(
        task_id=str(headers.get("id", UNREADABLE)),
        op_name=str(headers.get("task", UNREADABLE)),
        queue=queue,
        priority=priority,
        args=args,
        kwargs=kwargs,
        headers=headers,
        embed=embed,
        text=text,
        key=key,
    )


def _message(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _headers(message: dict[str, Any]) -> dict[str, Any]:
    headers = message.get("headers")
    return headers if isinstance(headers, dict) else {}


def _body(message: dict[str, Any]) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    try:
        body = base64.b64decode(message["body"]) if _is_base64(message) else message["body"]
        args, kwargs, embed = loads(body)
    except (ValueError, TypeError, KeyError, RecursionError):
        return [], {}, {}
    readable = isinstance(args, list) and isinstance(kwargs, dict) and isinstance(embed, dict)
    return (args, kwargs, embed) if readable else ([], {}, {})


def _is_base64(message: dict[str, Any]) -> bool:
    properties = message.get("properties")
    return isinstance(properties, dict) and properties.get("body_encoding") == "base64"
