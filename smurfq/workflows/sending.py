"""Sends one operation to several slots as one Celery group, which is queued atomically."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from smurfq import operations
from smurfq.client.connection import Connection
from smurfq.store.leashes import HEADER, STEP_HEADER


def new_id() -> str:
    """Return the id for a run that will be submitted."""
    return str(uuid.uuid4())


def send(
    connection: Connection,
    operation: str,
    ids: Mapping[str, str],
    params: Mapping[str, Any],
    *,
    workflow: str,
    step: str,
    leashed: bool,
) -> None:
    """Queue ``operation`` for the slots of ``ids``, each with its id there: on all of them or on none.

    Raises
    ------
    RequestError
        It is rejected on one of them.
    StoreUnavailableError
        Redis did not answer; whether it was queued is not known, and it may be sent again under the same ids.
    """
    from celery import group  # noqa: PLC0415 - reading what workflows there are does without

    app = connection.app
    headers = {STEP_HEADER: f"{workflow} {step}", **({HEADER: workflow} if leashed else {})}
    options: dict[str, Any] = {"headers": headers, "root_id": workflow, "parent_id": workflow}
    signatures = [
        app.signature(operations.task_name(operation), kwargs={**params, "slot": slot}, immutable=True).set(
            task_id=run_id, **options
        )
        for slot, run_id in ids.items()
    ]
    with connection.reached(), app.batch():
        group(signatures, app=app).apply_async(add_to_parent=False)
