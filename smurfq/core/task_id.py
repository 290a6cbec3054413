"""The allowed form of a run's id, which is part of Redis keys, file names and environment variables."""

from __future__ import annotations

import re
from typing import Any, Final

ALLOWED: Final = "1 to 128 letters, digits, '-', '_' and '.', beginning with a letter or digit"
_TASK_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)


def is_task_id(value: Any) -> bool:
    """Return whether ``value`` is allowed as the id of a run. Celery's own ids (UUIDs) are allowed."""
    return isinstance(value, str) and _TASK_ID.fullmatch(value) is not None
