"""A run takes its card once, and only a card that nobody holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smurfq.errors import OperationFailedError, OperationLostError, SlotBusyError
from smurfq.host import lock
from smurfq.pool_child.card_lock import take_card
from tests.claimed_runs import SLOT, MakeRun


def test_a_run_holds_the_lock_until_it_is_released(make_run: MakeRun) -> None:
    run = make_run()
    take_card(run)
    assert run.orphans is None
    with pytest.raises(SlotBusyError):
        lock.acquire(run.worker.lock, 0.0)
    run.unlock()
    os.close(lock.acquire(run.worker.lock, 0.0))


def test_a_card_that_another_process_holds_is_busy(make_run: MakeRun) -> None:
    run = make_run()
    held = lock.acquire(run.worker.lock, 0.0)
    try:
        with pytest.raises(SlotBusyError, match=SLOT):
            take_card(run)
    finally:
        os.close(held)
    assert run.lock is None


def test_an_attempt_that_was_started_before_is_lost(make_run: MakeRun) -> None:
    """As when Redis has lost the claim, and has the message in its queue again."""
    first, again = make_run(), make_run()
    take_card(first)
    first.unlock()
    with pytest.raises(OperationLostError, match="it was started before, but Redis has forgotten that"):
        take_card(again)
    again.unlock()


def test_a_retry_is_another_attempt(make_run: MakeRun) -> None:
    for retries in (0, 1):
        run = make_run(retries=retries)
        take_card(run)
        run.unlock()


def test_nothing_runs_if_the_lock_cannot_be_written(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("a file where the folder should be")
    with pytest.raises(OperationFailedError, match=f"take_iv on {SLOT}: cannot write to .* nothing was run"):
        take_card(make_run())


def test_nothing_runs_if_the_attempt_cannot_be_noted(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "begun").write_text("a file where the folder should be")
    run = make_run(delivery_info={"routing_key": SLOT})
    with pytest.raises(OperationFailedError, match="nothing was run"):
        take_card(run)
    run.unlock()


def test_an_emergency_operation_runs_although_its_attempt_cannot_be_noted(make_run: MakeRun, tmp_path: Path) -> None:
    """A full disk must not keep anybody from turning a card off."""
    (tmp_path / "begun").write_text("a file where the folder should be")
    run = make_run("all_off", delivery_info={"routing_key": f"{SLOT}.emergency"})
    take_card(run)
    assert run.lock is not None
    run.unlock()
