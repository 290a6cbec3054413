"""The registry agent's process ``main``, from which OCS's clients read the list of controllers."""

from __future__ import annotations

import time
from typing import Any, Literal

from smurfq.client.connection import Connection
from smurfq.client.status import running_now
from smurfq.client.waiting import is_served
from smurfq.core.session import OpCode
from smurfq.core.slot import WORKER_LANES
from smurfq.errors import StoreUnavailableError
from smurfq.ocs.errors import ControlClientError
from smurfq.ocs.instances import REGISTRY, instance_of
from smurfq.ocs.reply import ERROR, OK, TIMEOUT, OCSReply
from smurfq.operations import OPERATIONS

_ROOT = "observatory"


class RegistryMain:
    """A process that always runs. Its data list the slots of the site, and whether a worker serves each."""

    kind: Literal["process"] = "process"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._since = time.time()

    def start(self, **_params: Any) -> OCSReply:
        """Return ``ERROR``, because it is already running."""
        return OCSReply(ERROR, 'Operation "main" already in progress.', self.status().session)

    def wait(self, timeout: float | None = None) -> OCSReply:
        """Return ``TIMEOUT`` at once, because it never ends."""
        return OCSReply(TIMEOUT, 'Operation "main" still running; wait timed out.', self.status().session)

    def stop(self) -> OCSReply:
        """Return ``ERROR``, because it cannot be stopped."""
        return OCSReply(ERROR, "the registry is part of smurfq and cannot be stopped", self.status().session)

    def status(self) -> OCSReply:
        """Return the slots by their addresses. A slot that no worker serves is ``expired``."""
        try:
            with self._connection.reached():
                data = dict(self._entry(*names) for names in self._connection.slot_names.stream_ids().items())
        except StoreUnavailableError as cause:
            raise ControlClientError(f"{REGISTRY}: {cause}", instance=REGISTRY) from cause
        session = {
            "session_id": "0",
            "op_name": "main",
            "op_code": int(OpCode.RUNNING),
            "cred_level": 1,
            "status": "running",
            "degraded": False,
            "success": None,
            "start_time": self._since,
            "end_time": None,
            "data": data,
            "messages": [],
        }
        return OCSReply(OK, "Session active.", session)

    def __call__(self) -> OCSReply:
        return self.status()

    def _entry(self, slot: str, stream_id: str) -> tuple[str, dict[str, Any]]:
        address = f"{_ROOT}.{instance_of(slot, self._connection.settings)}"
        expired = not is_served(self._connection, slot, "control")
        idle = OpCode.EXPIRED if expired else OpCode.NONE
        codes = dict.fromkeys(OPERATIONS, int(idle))
        for lane in WORKER_LANES:
            running = running_now(self._connection, slot, lane)
            if running is not None:
                codes[running.op_name] = int(running.op_code)
        now = time.time()
        return address, {
            "expired": expired,
            "time_expired": now if expired else None,
            "last_updated": now,
            "op_codes": codes,
            "agent_class": "PysmurfController",
            "agent_address": address,
            "stream_id": stream_id,
        }
