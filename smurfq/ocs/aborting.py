"""The PysmurfController's task ``abort``, which aborts the operation that is running on the slot."""

from __future__ import annotations

from typing import Any, Final

from smurfq.core.session import OpCode, SessionRecord
from smurfq.ocs.agent import Agent
from smurfq.ocs.operation import Task, request
from smurfq.ocs.reply import ERROR, OK, OCSReply
from smurfq.ocs.session import Session, encode
from smurfq.operations import Operation, Parameters

NAME: Final = "abort"


class _Abort(Parameters):
    """Aborts the operation that is running on the slot, in stages."""


_TABLE: Final = Operation(NAME, "control", _Abort)


class AbortTask(Task):
    """The task ``abort``. Its session ends when the aborted run has ended, and is then a success."""

    def __init__(self, agent: Agent) -> None:
        super().__init__(agent, _TABLE, NAME)

    @request
    def start(self, **params: Any) -> OCSReply:
        """Abort the running operation. Return ``ERROR`` if none is running."""
        running = self.agent.running("control")
        if running is None:
            return OCSReply(ERROR, f"no operation is running on {self.agent.slot}", {})
        self._own = running.session_id
        self.agent.run(running.session_id).abort(reason="asked for by an OCS client")
        return OCSReply(OK, f'Started task "{NAME}".', self._session())

    def _told(self, record: SessionRecord) -> Session:
        return self._encode(record)  # kept, because the abort has no record of its own

    def _encode(self, record: SessionRecord) -> Session:
        ended = {"success": True, "op_code": int(OpCode.SUCCEEDED)} if record.done else {}
        return {**encode(record, self.name), **ended, "data": {"aborted": record.op_name}}
