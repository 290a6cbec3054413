"""``MultiSlotController``: one operation on all slots or some, like socs's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from smurfq.client.connection import connection_of
from smurfq.config import Settings
from smurfq.errors import UnknownSlotError
from smurfq.ocs.client import OCSClient
from smurfq.ocs.errors import ControlClientError
from smurfq.ocs.instances import PREFIX, REGISTRY, instance_of, slot_of
from smurfq.ocs.reply import ERROR, OCSReply


class MultiSlotController:
    """The slots that a worker serves, by the last part of their instance ids (``crate1slot2``).

    ``ids`` of the methods may also be stream ids.

    Each method returns the replies by slot. If a slot cannot be reached, its reply is ``ERROR``, and the others still
    receive the request.

    Parameters
    ----------
    client_args
        Accepted for compatibility with socs, and not used.
    settings
        The settings of the site. Default: those of this process's environment.
    """

    def __init__(self, client_args: Any = None, *, settings: Settings | None = None) -> None:
        self.client_args = client_args
        self._settings = settings
        self.reg = OCSClient(REGISTRY, settings=settings)
        self.smurfs: dict[str, OCSClient] = {}
        self.get_active_smurfs()

    def get_active_smurfs(self) -> None:
        """Update the list of slots that a worker serves. The clients of slots that stay in the list are kept."""
        before, self.smurfs = self.smurfs, {}
        for address, entry in self.reg.main.status().session["data"].items():
            instance_id = address.split(".")[-1]
            if PREFIX not in instance_id or entry["expired"]:
                continue
            key = instance_id.split("-")[-1]
            self.smurfs[key] = before.get(key) or OCSClient(instance_id, settings=self._settings)

    def start(self, op_name: str, ids: str | Iterable[str] | None = None, **params: Any) -> dict[str, OCSReply]:
        """Start an operation on the slots ``ids``; default: all slots."""
        return self._each(ids, lambda smurf: getattr(smurf, op_name).start(**params))

    def stop(self, op_name: str, ids: str | Iterable[str] | None = None) -> dict[str, OCSReply]:
        """Stop a process on the slots ``ids``; default: all slots."""
        return self._each(ids, lambda smurf: getattr(smurf, op_name).stop())

    def abort(self, op_name: str, ids: str | Iterable[str] | None = None) -> dict[str, OCSReply]:
        """Abort a task on the slots ``ids``; default: all slots."""
        return self._each(ids, lambda smurf: getattr(smurf, op_name).abort())

    def status(self, op_name: str, ids: str | Iterable[str] | None = None) -> dict[str, OCSReply]:
        """Return the status of an operation on the slots ``ids``; default: all slots."""
        return self._each(ids, lambda smurf: getattr(smurf, op_name).status())

    def wait(
        self, op_name: str, ids: str | Iterable[str] | None = None, timeout: float | None = None
    ) -> dict[str, OCSReply]:
        """Wait for an operation on one slot of ``ids`` (default: all) after another; ``timeout`` is for each."""
        return self._each(ids, lambda smurf: getattr(smurf, op_name).wait(timeout=timeout))

    def _each(self, ids: str | Iterable[str] | None, ask: Callable[[OCSClient], OCSReply]) -> dict[str, OCSReply]:
        names = list(self.smurfs) if ids is None else [ids] if isinstance(ids, str) else list(ids)
        names = [self._key(name) for name in names]
        unknown = [name for name in names if name not in self.smurfs]
        if unknown:
            raise UnknownSlotError(
                f"no worker serves {', '.join(unknown)}; workers serve {', '.join(self.smurfs) or 'none'}, "
                "and get_active_smurfs() updates the list",
                got=unknown,
                known=list(self.smurfs),
            )
        return {name: _asked(self.smurfs[name], ask) for name in names}

    def _key(self, name: str) -> str:
        """Return the last part of the instance id of the slot with this name; the name itself if there is none."""
        if name in self.smurfs:
            return name
        connection = connection_of(self._settings)
        try:
            with connection.reached():
                slot = slot_of(name, connection.settings, connection.slot_names)
        except UnknownSlotError:
            return name
        return instance_of(slot, connection.settings).split("-")[-1]


def _asked(smurf: OCSClient, ask: Callable[[OCSClient], OCSReply]) -> OCSReply:
    try:
        return ask(smurf)
    except ControlClientError as error:
        return OCSReply(ERROR, str(error), {})
