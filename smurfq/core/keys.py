"""The names of everything that smurfq keeps in Redis."""

from __future__ import annotations

BRIDGE = "smurfq:bridge"  # hash: health and counters of the bridge
BRIDGE_LATELY = "smurfq:bridge:lately"  # string: a bridge ran within the last minutes, and was not stopped
BRIDGE_POSITIONS = "smurfq:bridge:positions"  # hash: where each publisher's numbering stands, by source
HISTORY = "smurfq:history"  # sorted set: every record's id by the time it was submitted
NOTHING = "smurfq:nothing"  # never there: written to with nothing, to see whether Redis takes writes
IDS = "smurfq:ids"  # sorted set: every record's id, in the order of the letters
LAST = "smurfq:last"  # hash: the id of the run that ended last, by slot
SITE = "smurfq:site"  # string: which site this Redis serves: name, site file, host, simulated (JSON)
WAITING = "smurfq:waiting"  # sorted set: ids submitted and not yet claimed, by time


def meta(task_id: str) -> str:
    """Celery's own metadata of a task; also the channel on which each change of it is published."""
    return f"celery-task-meta-{task_id}"


def record(task_id: str) -> str:
    """Hash: the header of a session record, one JSON value a field."""
    return f"smurfq:record:{task_id}"


def data(task_id: str) -> str:
    """Hash: the session data of a record, one JSON value a key."""
    return f"smurfq:data:{task_id}"


def events(task_id: str) -> str:
    """Stream: all that happened to a record, in order, in batches."""
    return f"smurfq:events:{task_id}"


def claim(task_id: str, name: str, retries: int) -> str:
    """String: who runs this try of this task. Never deleted before the result expires."""
    return f"smurfq:claim:{task_id}:{name}:{retries}"


def running(publisher: str) -> str:
    """String: the request that runs under this publisher id now (JSON)."""
    return f"smurfq:running:{publisher}"


def lately(publisher: str) -> str:
    """List: what ran under this publisher id lately, the newest first, each with when it began and ended (JSON)."""
    return f"smurfq:lately:{publisher}"


def dirty(publisher: str) -> str:
    """String: why the card of this publisher id was left in an unknown state."""
    return f"smurfq:dirty:{publisher}"


def left_on(slot: str) -> str:
    """String: what a run left on on the slot's card, and which run (JSON)."""
    return f"smurfq:left_on:{slot}"


def lease(queue: str) -> str:
    """String: the token of the worker that may serve this queue."""
    return f"smurfq:lease:{queue}"


def hold(slot: str) -> str:
    """String: who holds the slot's queue, since when, until when, and why (JSON)."""
    return f"smurfq:hold:{slot}"


def wake(queue: str) -> str:
    """List: pushed to when a message is queued, so that a worker that waits for one looks; lives 60 s."""
    return f"smurfq:wake:{queue}"


def lock(slot: str) -> str:
    """String: whose submissions alone a slot takes, since when, until when, and why (JSON)."""
    return f"smurfq:lock:{slot}"


def same(slot: str, fingerprint: str) -> str:
    """Set: ids of submissions that ask for the same of a slot; what neither waits nor runs is dropped by and by."""
    return f"smurfq:same:{slot}:{fingerprint}"


def control(task_id: str) -> str:
    """Hash: what was asked of a running operation (``stop``, ``abort``), by whom and when."""
    return f"smurfq:control:{task_id}"


def history(slot: str) -> str:
    """Sorted set: the ids of a slot's records by the time they were submitted."""
    return f"smurfq:history:{slot}"


def history_of(operation: str) -> str:
    """Sorted set: the ids of an operation's records, of all slots, by the time they were submitted."""
    return f"smurfq:history-of:{operation}"


def newest(slot: str) -> str:
    """Hash: the id of the run of each operation that was submitted last for a slot."""
    return f"smurfq:newest:{slot}"


def starting(slot: str, operation: str) -> str:
    """String: held while an OCS-shaped client looks whether an operation runs, and submits it (a lock of seconds)."""
    return f"smurfq:starting:{slot}:{operation}"


def feed(name: str) -> str:
    """Stream: the blocks of a feed."""
    return f"smurfq:feed:{name}"


def feed_last(name: str) -> str:
    """Hash: the last block of a feed by slot (JSON)."""
    return f"smurfq:feed-last:{name}"


def drained(token: str) -> str:
    """List: the bridge's answer to a drain marker."""
    return f"smurfq:drained:{token}"


def worker(publisher: str) -> str:
    """Hash: what the worker of a publisher id says of itself (node, host, pid, since, …), one JSON value a field."""
    return f"smurfq:worker:{publisher}"


def leash(leash_id: str) -> str:
    """String: who keeps the operations alive that were started on this leash, or that it has let go of them (JSON)."""
    return f"smurfq:leash:{leash_id}"
