"""``OCSClient``: a slot's operations as attributes, like OCS's own client."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final

from smurfq.client.connection import Connection, connection_of
from smurfq.config import Settings
from smurfq.core.suggestion import suggest
from smurfq.errors import StoreUnavailableError, UnknownSlotError
from smurfq.ocs.aborting import AbortTask
from smurfq.ocs.agent import Agent
from smurfq.ocs.errors import ControlClientError
from smurfq.ocs.instances import REGISTRY, slot_of
from smurfq.ocs.operation import OcsOperation, Process, Task
from smurfq.ocs.registry import RegistryMain
from smurfq.operations import OPERATIONS, Operation

logger = logging.getLogger(__name__)

_ALSO_CALLED: Final = {"run_test_func": "test"}  # the PysmurfController's name, and smurfq's


class OCSClient:
    """A slot by its OCS instance id; each operation is an attribute.

    >>> client = OCSClient("pysmurf-controller-crate1slot2")  # doctest: +SKIP
    >>> ok, msg, session = client.take_iv(tag="cal")  # doctest: +SKIP

    ``OCSClient("registry")`` has the process ``main``, whose status lists the slots.

    Parameters
    ----------
    instance_id
        An instance id; see ``instances.slot_of``.
    privs, args, site, start, client_type
        Accepted for compatibility with ocs, and not used: smurfq has no access levels, and its settings name the site.
    settings
        The settings of the site. Default: those of this process's environment.

    Raises
    ------
    ControlClientError
        The site has no such slot, or Redis does not answer.
    """

    def __init__(
        self,
        instance_id: str,
        privs: str | int | None = None,
        *,
        args: Any = None,
        site: Any = None,
        start: bool = True,
        client_type: str = "http",
        settings: Settings | None = None,
    ) -> None:
        if privs is not None:
            logger.warning("%s: smurfq has no access levels; privs is not used", instance_id)
        self.instance_id = instance_id
        connection = connection_of(settings)
        for name, operation in _operations(instance_id, connection):
            setattr(self, name, operation)

    def __repr__(self) -> str:
        return f"OCSClient({self.instance_id!r})"

    def __getattr__(self, name: str) -> Any:
        hint = suggest(name, (key for key in self.__dict__ if key != "instance_id"))
        raise AttributeError(f"{self.__dict__.get('instance_id')} has no operation {name!r}{hint}")


class MatchedClient(OCSClient):
    """``OCSClient`` under its old name, which ocs used until 2025."""


def _operations(instance_id: str, connection: Connection) -> Iterator[tuple[str, OcsOperation | RegistryMain]]:
    try:
        with connection.reached():
            connection.redis.ping()
            slot = None if instance_id == REGISTRY else slot_of(instance_id, connection.settings, connection.slot_names)
    except UnknownSlotError as cause:
        # sorunlib searches for these words, and then skips the slot.
        raise ControlClientError(f"no callee registered: {cause}", instance=instance_id) from cause
    except StoreUnavailableError as cause:
        raise ControlClientError(f"{instance_id}: {cause}", instance=instance_id) from cause
    if slot is None:
        yield "main", RegistryMain(connection)
        return
    agent = Agent(instance_id, slot, connection)
    for operation in OPERATIONS.values():
        yield operation.name, _made(agent, operation, operation.name)
    for name, called in _ALSO_CALLED.items():
        yield name, _made(agent, OPERATIONS[called], name)
    yield "abort", AbortTask(agent)


def _made(agent: Agent, operation: Operation, name: str) -> OcsOperation:
    kind: type[OcsOperation] = Process if operation.process else Task
    made = type(kind.__name__, (kind,), {"__doc__": _told(operation), "__module__": kind.__module__})
    return made(agent, operation, name)  # type: ignore[no-any-return]


def _told(operation: Operation) -> str:
    """Return the text that ``help`` shows for an operation: a description and its parameters."""
    lines = [operation.summary, ""]
    for parameter in operation.parameters:
        default = "required" if parameter.required else f"default {parameter.default!r}"
        lines.append(f"{parameter.name}: {parameter.doc} ({parameter.allowed}; {default})")
    return "\n".join(lines).strip()
