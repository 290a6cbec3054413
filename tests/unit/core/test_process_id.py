"""A process id identifies one process in one boot, even if the clock changes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from smurfq.core.process_id import ProcessId
from smurfq.store.fence import Running, parse_running


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def identity_of(process: subprocess.Popen[bytes]) -> ProcessId:
    found = ProcessId.of(process.pid)
    assert found is not None
    return found


def test_it_is_alive_until_it_ends(sleeper: subprocess.Popen[bytes]) -> None:
    who = identity_of(sleeper)
    assert who.alive
    assert who.send(signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not who.alive, "a zombie drives nothing"
    sleeper.wait()
    assert ProcessId.of(sleeper.pid) is None
    assert not who.send(signal.SIGKILL)


@pytest.mark.parametrize("changed", [{"start_ticks": 1}, {"boot": "another"}])
def test_another_process_with_the_same_pid_is_not_the_process(
    sleeper: subprocess.Popen[bytes], changed: dict[str, Any]
) -> None:
    stranger = identity_of(sleeper)._replace(**changed)
    assert not stranger.alive
    assert not stranger.send(signal.SIGKILL)
    assert sleeper.poll() is None


def test_a_process_id_survives_json(sleeper: subprocess.Popen[bytes]) -> None:
    who = identity_of(sleeper)
    assert ProcessId.parse(json.loads(json.dumps(who))) == who


@pytest.mark.parametrize("value", [None, [4711, 1764200000.5], [4711], "4711", {}, [1, 2, 3], [None, "", 1]])
def test_json_that_names_no_process_is_none(value: object) -> None:
    assert ProcessId.parse(value) is None


def test_a_running_note_of_an_earlier_version_is_read_without_its_processes() -> None:
    text = json.dumps(
        {"task_id": "t", "op_name": "run", "slot": "s", "publisher": "s", "host": "h", "lease": "l", "started": 1.0}
        | {"processes": [[4711, 1764200000.5]]}
    )
    assert parse_running(text) == Running("t", "run", "s", "s", "h", "l", 1.0)


def test_a_step_of_the_clock_changes_no_identity(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    who = identity_of(sleeper)
    real = psutil._pslinux.boot_time  # what the kernel works out from the clock of the moment
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: real() + 2)
    assert ProcessId.of(sleeper.pid) == who
    assert who.alive


def test_a_name_with_parentheses_and_spaces_confuses_nothing() -> None:
    rename = "import ctypes, time; ctypes.CDLL(None).prctl(15, b') Z 1 (', 0, 0, 0); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-S", "-c", rename], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert identity_of(process).alive
        process.kill()
