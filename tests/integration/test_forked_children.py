"""Only the operation itself determines its outcome, whatever its process forks, executes, writes or replaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from smurfq import workflows
from smurfq.app import app
from smurfq.client.connection import Connection
from smurfq.core.session import SessionRecord
from smurfq.errors import OperationDiedError, OperationFailedError
from smurfq.tasks import run
from smurfq.tasks import test as trial
from tests.integration.test_operations import record_of
from tests.site.eventually import WITHIN_S
from tests.site.live import LiveSite, stream_id

SLOT = "crate1slot1"

# Children end in every way; the operation waits for each, works on for longer than a process has from its result to
# its end, and leaves a file at its very end.
FORKS = """
import os, sys, time
from pathlib import Path

def wait_for(pid):
    print("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)

if (pid := os.fork()) == 0:
    sys.exit(0)
wait_for(pid)
if (pid := os.fork()) == 0:
    sys.exit("no light")
wait_for(pid)
if (pid := os.fork()) == 0:
    raise ValueError("of the child")
wait_for(pid)
if (pid := os.fork()) != 0:
    wait_for(pid)
    time.sleep(7)
    Path({done!r}).touch()
    {end}
"""
CODES = "child 0\nchild 1\nchild 1\nchild 0\n"


def lines(record: SessionRecord) -> str:
    return "".join(line for line in record.log.splitlines(keepends=True) if line.startswith("child "))


def test_forked_children_end_and_the_operation_does_all_its_work(site: LiveSite) -> None:
    done = site.folder / "forks.done"
    task = run.delay(slot=SLOT, script=site.script("forks.py", FORKS.format(done=str(done), end="")))
    assert task.get(timeout=WITHIN_S)["success"]
    assert done.exists()
    assert lines(record_of(task)) == CODES


def test_forked_children_that_succeed_do_not_hide_a_failure(site: LiveSite) -> None:
    done = site.folder / "forks-and-fails.done"
    script = site.script("forks_and_fails.py", FORKS.format(done=str(done), end="sys.exit('of the operation')"))
    task = run.delay(slot=SLOT, script=script)
    with pytest.raises(OperationFailedError, match="of the operation"):
        task.get(timeout=WITHIN_S)
    assert done.exists()
    assert lines(record_of(task)) == CODES


def test_a_death_after_a_child_has_ended_well_is_a_death(site: LiveSite) -> None:
    script = site.script(
        "forks_and_dies.py",
        "import os\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\n    os.kill(os.getpid(), 9)\n",
    )
    with pytest.raises(OperationDiedError, match="SIGKILL"):
        run.delay(slot=SLOT, script=script).get(timeout=WITHIN_S)


def test_children_of_multiprocessing_end_as_with_python(site: LiveSite) -> None:
    script = site.script(
        "multi.py",
        "import multiprocessing, sys\n"
        "fork = multiprocessing.get_context('fork')\n"
        "for act in (print, sys.exit, int):\n"
        "    child = fork.Process(target=act, args=('word',))\n"
        "    child.start()\n    child.join()\n    print('child', child.exitcode, flush=True)\n"
        "with fork.Pool(2) as pool:\n    print('child', sum(pool.map(abs, range(4))), flush=True)\n"
        "endless = fork.Process(target=multiprocessing.Event().wait)\n"
        "endless.start()\nendless.terminate()\nendless.join()\nprint('child', endless.exitcode)\n",
    )
    task = run.delay(slot=SLOT, script=script)
    assert task.get(timeout=WITHIN_S)["success"]
    assert lines(record_of(task)) == "child 0\nchild 1\nchild 1\nchild 6\nchild -15\n"


# Descriptors and exits


def test_writes_of_a_script_to_inherited_descriptors_do_not_reach_the_worker(site: LiveSite) -> None:
    script = site.script(
        "writes.py",
        "import os\n"
        "for number in range(3, 64):\n"
        "    for text in (b'\\x00\\x00\\x00\\x10garbage', b'\\x80\\x04K\\x01.'):\n"
        "        try:\n            os.write(number, text)\n        except OSError:\n            pass\n",
    )
    task = run.delay(slot=SLOT, script=script)
    with pytest.raises(OperationDiedError, match="a malformed frame on its session socket"):
        task.get(timeout=WITHIN_S)
    assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["success"]


def test_a_script_that_closes_all_its_descriptors_leaves_the_worker_alone(site: LiveSite) -> None:
    script = site.script("closes.py", "import os\nos.closerange(3, 256)\n")
    with pytest.raises(OperationDiedError, match="exit code 70"):
        run.delay(slot=SLOT, script=script).get(timeout=WITHIN_S)
    assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["success"]


def test_a_stream_that_raises_when_it_is_flushed_does_not_keep_the_process(site: LiveSite) -> None:
    script = site.script(
        "flushes.py",
        "import os, sys\n"
        "class Stream:\n"
        "    def write(self, text): pass\n"
        "    def flush(self): raise SystemExit(9)\n"
        "os._exit = print\n"
        "sys.stdout = sys.stderr = Stream()\n",
    )
    assert run.delay(slot=SLOT, script=script).get(timeout=WITHIN_S)["success"]
    assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["success"]


EXECS = """
import os, sys
if "again" not in sys.argv:
    os.execv("/usr/bin/env", ["env", sys.executable, "-u", __file__, "again"])
print("again", os.environ["SMURFPUB_ID"])
{end}
"""


def test_a_script_that_execs_itself_ends_as_the_new_program_does(site: LiveSite) -> None:
    script = site.script("execs.py", EXECS.format(end=""))
    task = run.delay(slot=SLOT, script=script)
    assert task.get(timeout=WITHIN_S)["success"]
    assert record_of(task).log == f"again {stream_id(SLOT)}\n"
    script = site.script("execs_and_fails.py", EXECS.format(end="sys.exit(3)"))
    with pytest.raises(OperationFailedError, match="exit code 3"):
        run.delay(slot=SLOT, script=script).get(timeout=WITHIN_S)


def test_a_program_that_a_signal_ends_is_a_death(site: LiveSite) -> None:
    script = site.script("execs_and_dies.py", EXECS.format(end="os.kill(os.getpid(), 9)"))
    with pytest.raises(OperationDiedError, match="SIGKILL"):
        run.delay(slot=SLOT, script=script).get(timeout=WITHIN_S)


def test_os_exit_is_no_success(site: LiveSite) -> None:
    """It may be a library's, in the middle of the work, and it runs no ``finally``."""
    script = site.script("exits_at_once.py", "import os\nos._exit(0)\n")
    with pytest.raises(OperationDiedError, match="exit code 0 before it gave its result"):
        run.delay(slot=SLOT, script=script).get(timeout=WITHIN_S)


# Workflows


@pytest.fixture(scope="module")
def at(site: LiveSite) -> Iterator[Connection]:
    """A client's way to the site, which has a worker for workflows."""
    seats = site.start_workflows()
    yield Connection(app.settings)
    site.stop(seats)


def workflow(site: LiveSite, at: Connection, name: str, body: str) -> SessionRecord:
    """The record of a workflow that has ended."""
    head = f"import os, sys, time\nfrom smurfq.workflows import *\n\n@workflow\ndef {name}():\n"
    path = site.script(f"{name}.py", head + "".join(f"    {line}\n" for line in body.splitlines()))
    return workflows.submit(path, slots=[SLOT], connection=at).wait(WITHIN_S)


@pytest.mark.parametrize("child", ["sys.exit(0)", "return", "raise ValueError('of the child')"])
def test_a_child_forked_in_a_workflow_ends_and_the_workflow_continues(
    site: LiveSite, at: Connection, child: str
) -> None:
    done = site.folder / "workflow.done"
    done.unlink(missing_ok=True)
    record = workflow(
        site,
        at,
        "forks",
        f"pid = os.fork()\nif pid == 0:\n    {child}\nos.waitpid(pid, 0)\ntime.sleep(7)\nrun_operation('test')\n"
        f"open({str(done)!r}, 'w').close()\n",
    )
    assert record.outcome == "succeeded", (record.error, record.log)
    assert Path(done).exists()
    assert [name for name, _ in record.stages] == ["1 test"]


@pytest.mark.parametrize("code", ["0", "None", ""])
def test_a_workflow_that_exits_with_0_has_succeeded(site: LiveSite, at: Connection, code: str) -> None:
    record = workflow(site, at, "exits", f"run_operation('test')\nsys.exit({code})\n")
    assert record.outcome == "succeeded", (record.error, record.log)


def test_a_workflow_that_exits_with_another_code_has_failed(site: LiveSite, at: Connection) -> None:
    record = workflow(site, at, "exits", "sys.exit(3)\n")
    assert record.outcome == "failed"
    assert record.error is not None
    assert "exit code 3" in record.error["message"]
