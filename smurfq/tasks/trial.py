"""`test`: nothing at all, for trying an installation."""

from __future__ import annotations

from smurfq.runner.session import Session
from smurfq.tasks.task import operation


@operation
def test(session: Session) -> None:
    """Leave ``{'test': 10}`` as session data, and do nothing else."""
    session.data["test"] = 10
