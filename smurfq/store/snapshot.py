"""A bounded copy of a live record in Celery's metadata, in state ``PROGRESS``.

So ``AsyncResult(id).state``, ``.info`` and ``.get(on_message=…)`` work. The copy is written by compare-and-set: it
never replaces a final state, and an older copy never replaces a newer one.
"""

from __future__ import annotations

from typing import Any

from smurfq.core import keys
from smurfq.core.jsonsafe import dumps, loads
from smurfq.core.session import SessionRecord
from smurfq.store.connection import Client
from smurfq.store.lua_scripts import lua_script
from smurfq.store.records import Records

STATE = "PROGRESS"
MESSAGES_SHOWN = 50
DATA_BYTES_SHOWN = 32_768
_VALUE_BYTES_SHOWN = 4_096
_TEXT_CHARS_SHOWN = 1_000


class Snapshots:
    """Writes the snapshots of live records."""

    def __init__(self, client: Client, records: Records) -> None:
        self._client = client
        self._records = records
        self._write = client.register_script(lua_script("write_snapshot"))

    def publish(self, task_id: str) -> bool:
        """Copy the present record to Celery's metadata; return false if the task ended or a newer copy exists."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(keys.record(task_id))
            pipe.hgetall(keys.data(task_id))
            pipe.xrevrange(keys.events(task_id), count=MESSAGES_SHOWN)
            fields, data, entries = pipe.execute()
        if not fields:
            return False
        request = loads(fields.get("_request", "{}"))
        revision = int(fields.get("_rev", 0))
        values = {name: loads(text) for name, text in fields.items() if not name.startswith("_")}
        record = SessionRecord.from_dict({"session_id": task_id, **values})
        record.messages = _messages(entries)
        record.data = bounded_data(data)
        text = meta_text(task_id, STATE, record.to_dict(), request)
        return bool(
            self._write(
                keys=[keys.meta(task_id), keys.record(task_id)],
                args=[text, self._records.expires_s, revision],
            )
        )


def meta_text(task_id: str, state: str, result: Any, request: dict[str, Any]) -> str:
    """Return Celery's metadata of a task as JSON text."""
    return dumps(
        {
            "status": state,
            "result": result,
            "traceback": None,
            "children": [],
            "date_done": None,
            "name": request.get("name"),
            "args": request.get("args"),
            "kwargs": request.get("kwargs"),
            "worker": request.get("hostname"),
            "retries": request.get("retries", 0),
            "queue": request.get("queue"),
            "group_id": request.get("group"),
            "parent_id": request.get("parent_id"),
            "task_id": task_id,
        }
    )


def bounded_data(data: dict[str, str]) -> dict[str, Any]:
    """Return the session data for a snapshot. If they are large, each long value is replaced by its size."""
    if sum(map(len, data.values())) <= DATA_BYTES_SHOWN:
        return {name: loads(text) for name, text in data.items()}
    shown: dict[str, Any] = {}
    room = DATA_BYTES_SHOWN
    for name, text in sorted(data.items(), key=lambda item: len(item[1])):
        if len(text) > _VALUE_BYTES_SHOWN or room < len(text):
            shown[name] = f"({len(text)} bytes of JSON; see the record)"
        else:
            shown[name] = loads(text)
            room -= len(text)
    return shown


def _messages(entries: list[tuple[str, dict[str, str]]]) -> list[list[Any]]:
    found: list[list[Any]] = []
    for _, entry in entries:
        batch = [[event["t"], _cut(event["text"])] for event in loads(entry["b"]) if event["k"] == "message"]
        found[:0] = batch
        if len(found) >= MESSAGES_SHOWN:
            break
    return found[-MESSAGES_SHOWN:]


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_CHARS_SHOWN else f"{text[:_TEXT_CHARS_SHOWN]}… ({len(text)} characters)"
