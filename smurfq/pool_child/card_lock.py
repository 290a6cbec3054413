"""Takes the card for a run: its file lock, the end of orphans, and the note on the host that the attempt starts."""

from __future__ import annotations

from celery.utils.log import get_logger

from smurfq import operations
from smurfq.core.slot import queue_name
from smurfq.errors import OperationFailedError, OperationLostError, SlotBusyError, SmurfqError
from smurfq.host import lock
from smurfq.host.disk_space import room
from smurfq.host.orphans import end_orphans_of_card
from smurfq.pool_child.claimed_run import ClaimedRun

logger = get_logger(__name__)


def take_card(run: ClaimedRun) -> None:
    """Lock the card, and note on this host that this attempt of the task starts.

    Raises
    ------
    SlotBusyError
        An orphan holds the card, or drives it and cannot be ended.
    OperationLostError
        The run was started before, although Redis has forgotten that.
    OperationFailedError
        The state folder cannot be written to.
    """
    settings, what = run.app.settings, f"{_name(run)} on {run.worker.slot}"
    try:
        run.lock = lock.acquire(run.worker.lock, settings.worker.lock_wait_s)
        _end_orphans(run)
        is_first = _note_attempt(run)
    except SmurfqError:
        raise
    except OSError as cause:
        raise OperationFailedError(
            f"{what}: cannot write to {room(settings.state_dir.absolute())}: "
            f"{cause.strerror}; nothing was run. Make room there, or give it to the worker's user",
            slot=run.worker.slot,
            session_id=run.task_id,
        ) from cause
    if not is_first:
        raise OperationLostError(
            f"{what} is lost: it was started before, but Redis has forgotten that (was it "
            "killed or replaced?). It is not run again; the log file of its first run says what it did",
            slot=run.worker.slot,
            session_id=run.task_id,
        )


def _end_orphans(run: ClaimedRun) -> None:
    """End the orphans of earlier operations of the card, whether or not Redis knows that their worker died."""
    found = end_orphans_of_card(run.worker.lock)
    run.orphans = found.describe(f"an earlier operation of {run.worker.publisher}") if found else None
    if run.orphans:
        run.note("orphans", run.orphans)
    if found.remaining:
        raise SlotBusyError(
            f"{_name(run)} on {run.worker.slot}: {run.orphans}; nothing was run. End them, then submit it again",
            slot=run.worker.slot,
            session_id=run.task_id,
        )


def _note_attempt(run: ClaimedRun) -> bool:
    """Note that this attempt starts; false if it was started on this host before.

    A full disk does not keep an emergency operation from running.
    """
    try:
        return run.worker.begun.note(run.task_id, run.request.retries)
    except OSError as cause:
        if (run.request.delivery_info or {}).get("routing_key") != queue_name(run.worker.slot, "emergency"):
            raise
        logger.error("%s[%s] is run although that cannot be noted: %s", _name(run), run.task_id, cause)
        return True


def _name(run: ClaimedRun) -> str:
    return operations.task_name(run.running.op_name)
