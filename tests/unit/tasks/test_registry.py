"""Every operation of the table is a Celery task, and its body takes the table's parameters."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from smurfq import tasks
from smurfq.app import app
from smurfq.core.operations import OPERATIONS, REQUIRED, WORKFLOW
from smurfq.core.parameters import native
from smurfq.pool_child.aftercare import MAKE_SAFE
from smurfq.pool_child.operation_task import BODIES


def test_every_operation_has_a_task_and_a_body_and_nothing_else_has() -> None:
    registered = {name.removeprefix("smurfq.") for name in app.tasks if name.startswith("smurfq.")}
    assert registered == set(OPERATIONS) | {WORKFLOW.name}
    assert set(BODIES) == set(OPERATIONS) | {WORKFLOW.name, MAKE_SAFE}
    assert set(OPERATIONS) <= set(tasks.__all__)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_body_takes_the_parameters_of_the_table_with_their_defaults(name: str) -> None:
    first, *rest = inspect.signature(BODIES[name]).parameters.values()
    assert first.name == "session"
    assert {p.kind for p in rest} <= {inspect.Parameter.KEYWORD_ONLY}
    found = {p.name: REQUIRED if p.default is p.empty else native(p.default) for p in rest}
    assert found == {p.name: p.default if p.required else native(p.default) for p in OPERATIONS[name].parameters}
    assert [p.name for p in rest] == [p.name for p in OPERATIONS[name].parameters] or name == "set_biases"


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_task_has_its_name_and_its_documentation(name: str) -> None:
    task = getattr(tasks, name)
    assert task.name == OPERATIONS[name].task_name
    assert inspect.getdoc(BODIES[name])


def test_a_producer_needs_no_pysmurf() -> None:
    code = (
        "import sys, smurfq.tasks, smurfq.smurf_control;"
        "sys.exit(bool({'epics', 'pysmurf', 'sodetlib', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
