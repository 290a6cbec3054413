"""The names of all keys that smurfq keeps in Redis."""

from __future__ import annotations

BRIDGES = "smurfq:bridges"  # hash: the host of each bridge that was not stopped, by the bridge's name
HISTORY = "smurfq:history"  # sorted set: every record's id by the time it was submitted
WRITE_PROBE = "smurfq:write-probe"  # never exists: an empty write to it shows whether Redis accepts writes
IDS = "smurfq:ids"  # sorted set: every record's id, in alphabetical order
LAST = "smurfq:last"  # hash: the id of the run that ended last, by slot
REGISTER_ALARMS = "smurfq:register-alarms"  # hash: the alarms of registers of each slot that has any (JSON)
SITE = "smurfq:site"  # string: the site that this Redis serves: name, site file, host, simulated (JSON)
STREAM_IDS = "smurfq:stream-ids"  # hash: the stream id of each slot, as its worker reported it, by place
WAITING = "smurfq:waiting"  # sorted set: ids of tasks that were submitted and are not yet claimed, by time


def bridge(name: str) -> str:
    """Hash: health and counters of a bridge."""
    return f"smurfq:bridge:{name}"


def bridge_was_alive(name: str) -> str:
    """String: this bridge ran within the last minutes and was not stopped."""
    return f"smurfq:bridge-was-alive:{name}"


def bridge_positions(name: str) -> str:
    """Hash: the last message number of each publisher of a bridge, by source."""
    return f"smurfq:bridge-positions:{name}"


def archive_waiting(bridge: str) -> str:
    """Stream: the messages of files of a bridge that wait to be registered in the archive."""
    return f"smurfq:archive-waiting:{bridge}"


def archive_set_aside(bridge: str) -> str:
    """Stream: the messages of a bridge whose file cannot be registered now, with the reason."""
    return f"smurfq:archive-set-aside:{bridge}"


def archive_totals(bridge: str) -> str:
    """Hash: how many messages of a bridge were registered, and in which database."""
    return f"smurfq:archive-totals:{bridge}"


def archive_registrar(bridge: str) -> str:
    """Hash: the health of the registrar of a bridge's files."""
    return f"smurfq:archive-registrar:{bridge}"


def meta(task_id: str) -> str:
    """String: Celery's metadata of a task. Changes are published on the channel of the same name."""
    return f"celery-task-meta-{task_id}"


def record(task_id: str) -> str:
    """Hash: the header of a session record, one JSON value a field."""
    return f"smurfq:record:{task_id}"


def data(task_id: str) -> str:
    """Hash: the session data of a record, one JSON value a key."""
    return f"smurfq:data:{task_id}"


def events(task_id: str) -> str:
    """Stream: the events of a record, in order, in batches."""
    return f"smurfq:events:{task_id}"


def claim(task_id: str, name: str, retries: int) -> str:
    """String: who claimed this attempt of this task. It lives as long as the result."""
    return f"smurfq:claim:{task_id}:{name}:{retries}"


def running(publisher: str) -> str:
    """String: the run that is in progress under this publisher id (JSON)."""
    return f"smurfq:running:{publisher}"


def recent_runs(publisher: str) -> str:
    """List: the recent runs under this publisher id, the newest first, each with its start and end times (JSON)."""
    return f"smurfq:recent-runs:{publisher}"


def needs_make_safe(publisher: str) -> str:
    """String: why the card must be made safe before the next run."""
    return f"smurfq:needs-make-safe:{publisher}"


def left_on(slot: str) -> str:
    """String: what a run left switched on on the slot's card, and the id of that run (JSON)."""
    return f"smurfq:left_on:{slot}"


def lease(queue: str) -> str:
    """String: the token of the worker that may serve this queue."""
    return f"smurfq:lease:{queue}"


def hold(slot: str) -> str:
    """String: the hold of a slot: its owner, start, end and reason (JSON)."""
    return f"smurfq:hold:{slot}"


def wake(queue: str) -> str:
    """List: receives an item when a message is queued, so that a waiting worker looks at its queue; lives 60 s."""
    return f"smurfq:wake:{queue}"


def lock(slot: str) -> str:
    """String: the lock of a slot: the owner whose submissions alone it accepts, start, end and reason (JSON)."""
    return f"smurfq:lock:{slot}"


def duplicates(slot: str, fingerprint: str) -> str:
    """Set: ids of submissions that are duplicates of each other; ids that have ended are removed later."""
    return f"smurfq:duplicates:{slot}:{fingerprint}"


def control(task_id: str) -> str:
    """Stream: the requests to a running operation (``stop``, ``abort``), each with the requester and the time."""
    return f"smurfq:control:{task_id}"


def history(slot: str) -> str:
    """Sorted set: the ids of a slot's records by the time they were submitted."""
    return f"smurfq:history:{slot}"


def history_of(operation: str) -> str:
    """Sorted set: the ids of an operation's records, of all slots, by the time they were submitted."""
    return f"smurfq:history-of:{operation}"


def newest(slot: str) -> str:
    """Hash: for each operation, the id of the run that was submitted last for a slot."""
    return f"smurfq:newest:{slot}"


def starting(slot: str, operation: str) -> str:
    """String: a lock of a few seconds, while an OCS client checks whether an operation runs and submits it."""
    return f"smurfq:starting:{slot}:{operation}"


def feed(name: str) -> str:
    """Stream: the blocks of a feed."""
    return f"smurfq:feed:{name}"


def feed_last(name: str) -> str:
    """Hash: the last block of a feed for each slot (JSON)."""
    return f"smurfq:feed-last:{name}"


def registers(slot: str) -> str:
    """Hash: the newest value of each register that the slot's smurf server publishes, by path (JSON)."""
    return f"smurfq:registers:{slot}"


def drained(token: str) -> str:
    """List: the bridge's answer to a drain marker."""
    return f"smurfq:drained:{token}"


def worker(publisher: str) -> str:
    """Hash: the worker of a publisher id (node, host, pid, since, …), one JSON value a field."""
    return f"smurfq:worker:{publisher}"


def leash(leash_id: str) -> str:
    """String: the workflow that keeps the operations on this leash alive, or that it has released them (JSON)."""
    return f"smurfq:leash:{leash_id}"
