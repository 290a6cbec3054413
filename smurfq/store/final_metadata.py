"""Reads Celery's metadata of tasks that have ended. A Lua script decides, for all readers, whether a task has ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smurfq.core import keys
from smurfq.core.jsonsafe import loads
from smurfq.store.connection import Client
from smurfq.store.lua_scripts import lua_script


def final_metadata(client: Client, task_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return Celery's metadata of the tasks that have ended, by task id, in one round trip."""
    if not task_ids:
        return {}
    texts: Any = client.eval(lua_script("final_metas"), len(task_ids), *map(keys.meta, task_ids))
    return {task_id: loads(text) for task_id, text in zip(task_ids, texts, strict=True) if text}
