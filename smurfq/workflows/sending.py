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
    """Queue ``operation`` for the slots of ``ids``, on all of them or on none. ``ids`` gives the run's id on each slot.

    Raises
    ------
    RequestError
        The operation is rejected on one of the slots.
    StoreUnavailableError
        Redis did not answer. It is not known whether the operation was queued; it is safe to send the same ids again.
    """
    from celery import group  # noqa: PLC0415 - listing workflows does not need Celery

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
