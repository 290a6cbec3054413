"""Finds workflows: those that smurfq provides, and files in the site's script folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smurfq.core.scripts import read_script
from smurfq.core.suggestion import suggest
from smurfq.errors import ParameterError, UnknownWorkflowError
from smurfq.workflows import definition
from smurfq.workflows.definition import Definition

_SHIPPED = Path(__file__).parent / "shipped"


def shipped() -> list[Definition]:
    """Return the workflows that smurfq provides, sorted by name."""
    return [definition.read(path, path.read_bytes()) for path in sorted(_SHIPPED.glob("[a-z]*.py"))]


def find(workflow: str, folders: Sequence[Path]) -> Definition:
    """Return the workflow with this name, or the one in the file at this absolute path below one of ``folders``.

    Raises
    ------
    UnknownWorkflowError
        There is no such workflow, the file is not below one of ``folders``, or it is not a workflow.
    """
    if "/" in workflow:
        try:
            return definition.read(*read_script(workflow, folders))
        except ParameterError as cause:
            raise UnknownWorkflowError(str(cause).replace("run: script", "workflow", 1), got=workflow) from cause
    known = {one.name: one for one in shipped()}
    if workflow not in known:
        raise UnknownWorkflowError(
            f"no workflow is called {workflow!r}{suggest(workflow, known)}; a file needs its absolute path",
            got=workflow,
            known=list(known),
        )
    return known[workflow]
