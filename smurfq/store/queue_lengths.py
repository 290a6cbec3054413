"""How many messages wait in each queue of a slot, and since when, without reading all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from smurfq.core import keys
from smurfq.core.slot import LANES, queue_name
from smurfq.store.connection import Client
from smurfq.store.queues import PRIORITY_STEPS, list_key, parse


@dataclass(frozen=True)
class QueueLength:
    """The messages that wait in one of a slot's queues, of all priorities."""

    slot: str
    queue: str
    length: int
    oldest: float | None  # when the oldest was submitted, s since 1970; None if it is not known, or none waits


def queue_lengths(client: Client, slots: Iterable[str]) -> list[QueueLength]:
    """Return the length of every queue of some slots, in two round trips.

    Of each priority, only the message that is served next is read. It is the oldest, unless somebody has moved a
    younger one to the front.
    """
    queues = [(slot, queue_name(slot, lane)) for slot in slots for lane in LANES]
    lists = [(queue, step, list_key(queue, step)) for _, queue in queues for step in PRIORITY_STEPS]
    with client.pipeline(transaction=False) as pipe:
        for _, _, key in lists:
            pipe.llen(key)
            pipe.lindex(key, -1)
        found = pipe.execute()
    lengths: dict[str, int] = {}
    following: dict[str, list[str]] = {}  # the ids of the messages that are served next, by queue
    for (queue, step, key), length, text in zip(lists, found[::2], found[1::2], strict=True):
        lengths[queue] = lengths.get(queue, 0) + length
        if text is not None:
            following.setdefault(queue, []).append(parse(text, key, step, queue).task_id)
    since = _submitted(client, [task_id for ids in following.values() for task_id in ids])
    return [
        QueueLength(
            slot,
            queue,
            lengths[queue],
            min((since[one] for one in following.get(queue, ()) if one in since), default=None),
        )
        for slot, queue in queues
    ]


def _submitted(client: Client, task_ids: list[str]) -> dict[str, float]:
    """Return when those of these tasks were submitted that smurfq knows to be waiting."""
    if not task_ids:
        return {}
    times: list[float | None] = client.zmscore(keys.WAITING, task_ids)
    return {task_id: at for task_id, at in zip(task_ids, times, strict=True) if at is not None}
