"""Queues several submissions in one step: all of them or none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from smurfq.client.connection import Connection, connection_of
from smurfq.client.run import Run
from smurfq.config import Settings
from smurfq.core.priorities import Priority
from smurfq.errors import BatchError, RequestError

_NAMED = 5


@dataclass(frozen=True)
class Submission:
    """A request to a slot. The fields have the meaning of the arguments of ``Slot.submit``."""

    operation: str
    slot: str
    params: Mapping[str, Any] = field(default_factory=dict)
    priority: Priority = "normal"
    unique: bool | str = False


def submit_all(
    submissions: Iterable[Submission],
    settings: Settings | None = None,
    *,
    owner: str | None = None,
    connection: Connection | None = None,
) -> list[Run]:
    """Queue ``submissions`` for one or several slots in one step, all or none; return their runs in the same order.

    Submissions with the same slot and priority are served in the given order. All are checked before anything is
    queued. If this process dies meanwhile, either all were queued or none was.

    Raises
    ------
    BatchError
        Some submissions are rejected; the message and the field ``errors`` give the number of each, from 1.
    SlotLockedError, DuplicateError
        A slot is locked by somebody else, or a submission is a duplicate. Nothing was queued.
    StoreUnavailableError
        Redis did not answer.
    """
    connection = connection or connection_of(settings)
    runs: list[Run] = []
    rejected: dict[int, RequestError] = {}
    with connection.batch():
        for number, item in enumerate(submissions, 1):
            asked = {"priority": item.priority, "unique": item.unique, "owner": owner}
            try:
                run_id = connection.submit(item.operation, item.slot, item.params, **asked)
            except RequestError as error:
                rejected[number] = error
            else:
                runs.append(Run(run_id, connection=connection))
        if rejected:
            raise _rejection(rejected, len(runs) + len(rejected))
    return runs


def _rejection(rejected: Mapping[int, RequestError], count: int) -> BatchError:
    named = "; ".join(f"number {number}: {error}" for number, error in list(rejected.items())[:_NAMED])
    more = f"; and {len(rejected) - _NAMED} more" if len(rejected) > _NAMED else ""
    return BatchError(
        f"{len(rejected)} of {count} submissions are rejected, and nothing was queued: {named}{more}",
        errors={str(number): str(error) for number, error in rejected.items()},
    )
