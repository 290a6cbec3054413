"""`test`: does nothing; tests an installation."""

from __future__ import annotations

from smurfq.operation_process.session import Session
from smurfq.pool_child.operation_task import operation


@operation
def test(session: Session) -> None:
    """Set the session data to ``{'test': 10}``, and do nothing else."""
    session.data["test"] = 10
