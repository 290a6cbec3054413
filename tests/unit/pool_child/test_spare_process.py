"""The process that waits for the next operation, forked for real."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from smurfq.operation_process.process import Spare
from smurfq.pool_child.spare_process import SpareProcess, is_waiting
from tests.claimed_runs import application


def end(spare: Spare) -> None:
    """Close a spare process, which then exits."""
    spare.close()
    os.waitpid(spare.pid, 0)


def test_the_process_that_was_prepared_is_taken_once(tmp_path: Path) -> None:
    spares = SpareProcess(application(tmp_path), {})
    spares.prepare()
    spares.prepare()
    first, second = spares.take(), spares.take()
    assert first.pid != second.pid
    assert is_waiting(first)
    assert is_waiting(second)
    end(first)
    end(second)


def test_a_process_that_died_while_it_waited_is_replaced(tmp_path: Path) -> None:
    spares = SpareProcess(application(tmp_path), {})
    earlier = set(psutil.Process().children())
    spares.prepare()
    (waiting,) = set(psutil.Process().children()) - earlier
    waiting.kill()
    waiting.wait()
    taken = spares.take()
    assert taken.pid != waiting.pid
    assert is_waiting(taken)
    end(taken)


def test_no_process_waits_if_the_settings_want_none(tmp_path: Path) -> None:
    spares = SpareProcess(application(tmp_path, SMURFQ_WORKER_SPARE="false"), {})
    earlier = psutil.Process().children()
    spares.prepare()
    assert psutil.Process().children() == earlier
