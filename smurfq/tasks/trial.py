"""`test`: does nothing; for trying an installation."""

from __future__ import annotations

from smurfq.operation.session import Session
from smurfq.pool_child.operation_task import operation


@operation
def test(session: Session) -> None:
    """Leave ``{'test': 10}`` as session data, and do nothing else."""
    session.data["test"] = 10
