"""Serves the registers of simulated slots by Channel Access, with caproto and some additions.

The additions are sockets without Nagle's delay, puts in order on each circuit, and registers that do not answer.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterable, Sequence
from typing import Any, Final

import caproto as ca
from caproto._data import ChannelData
from caproto.asyncio.server import Context, VirtualCircuit
from caproto.asyncio.utils import _TransportWrapper

from smurfq.errors import StartError
from smurfq.sim.channels import RegisterOwner, channel_for
from smurfq.sim.options import LOOPBACK

_LOOK_EVERY_S: Final = 0.1
_GETS: Final = (ca.ReadNotifyRequest, ca.ReadRequest)
_PUTS: Final = (ca.WriteNotifyRequest, ca.WriteRequest)
_REQUESTS: Final = (*_GETS, ca.EventAddRequest, *_PUTS)


class Channels(dict[str, ChannelData]):
    """The channels of all slots by full name, created on first use."""

    def __init__(self, slots: Iterable[RegisterOwner]) -> None:
        super().__init__()
        self._slots = {slot.prefix: slot for slot in slots}

    def __getitem__(self, name: str) -> ChannelData:
        slot = self.owner(name)
        if slot is None or "." in name:
            raise KeyError(name)
        if name not in self:
            self[name] = channel_for(slot, name.removeprefix(slot.prefix))
        return super().__getitem__(name)

    def owner(self, name: str) -> RegisterOwner | None:
        """Return the slot to which this register belongs."""
        prefix, colon, _ = name.partition(":")
        return self._slots.get(prefix + colon)

    def searchable(self, name: str) -> bool:
        """Return whether a search for a name is answered."""
        owner = self.owner(name)
        return owner is not None and not owner.silent


class _Circuit(VirtualCircuit):
    """A client's connection."""

    async def _start_write_task(self, handle_write: Any) -> None:
        await handle_write()  # in order: the next command must see the effects of this one

    async def _process_command(self, command: Any) -> Any:
        if isinstance(command, _REQUESTS):
            name = self.circuit.channels_sid[command.sid].name
            owner = self.context.pvdb.owner(name)
            if owner is not None and not owner.answers(name.removeprefix(owner.prefix)):
                if not isinstance(command, _PUTS):
                    self.tasks.create(self._answer_later(command, owner, name.removeprefix(owner.prefix)))
                return []
            if owner is not None and isinstance(command, ca.EventAddRequest):
                owner.watched(name.removeprefix(owner.prefix))
            if owner is not None and isinstance(command, _GETS):
                owner.was_read(name.removeprefix(owner.prefix))
        elif isinstance(command, ca.SearchRequest) and not self.context.pvdb.searchable(command.name):
            return []
        return await super()._process_command(command)

    async def _answer_later(self, command: Any, owner: RegisterOwner, name: str) -> None:
        """Answer pending requests when the register answers again, because pyepics does not repeat them."""
        while not owner.answers(name):
            if not self.connected:
                return
            await asyncio.sleep(_LOOK_EVERY_S)
        if self.connected and command.sid in self.circuit.channels_sid:
            await self.send(*await super()._process_command(command))


class Server(Context):
    """A Channel Access server on one address."""

    CircuitClass = _Circuit

    def __init__(self, slots: Sequence[RegisterOwner], port: int, host: str = LOOPBACK) -> None:
        _require_free(host, port)
        os.environ["EPICS_CAS_AUTO_BEACON_ADDR_LIST"] = "no"
        os.environ["EPICS_CAS_BEACON_ADDR_LIST"] = ""
        super().__init__(Channels(slots), [host])
        self.ca_server_port = port

    async def server_accept_loop(self, sock: socket.socket) -> None:
        """Serve the clients that connect to ``sock``."""

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport = _TransportWrapper(reader, writer)
            self.server_tasks.create(self.tcp_handler(transport, transport.getpeername()))

        await asyncio.start_server(accept, sock=sock)

    async def broadcast_beacon_loop(self) -> None:
        """Do nothing, since clients on loopback search by themselves."""

    async def _broadcaster_queue_iteration(self, addr: Any, commands: Any) -> None:
        answered = [
            command
            for command in commands
            if not isinstance(command, ca.SearchRequest) or self.pvdb.searchable(command.name)
        ]
        await super()._broadcaster_queue_iteration(addr, answered)

    async def _subscription_queue_iteration(
        self, sub_specs: Any, metadata: Any, values: Any, flags: int, sub: Any
    ) -> None:
        if sub is None and getattr(sub_specs[0].db_entry, "tells_last_watch_only", False):
            for spec in sub_specs:
                for last in last_watches(self.subscriptions[spec]):
                    await self._subscription_queue_send(spec, last, metadata=metadata, values=values, flags=flags)
            return
        await super()._subscription_queue_iteration(sub_specs, metadata, values, flags, sub)

    async def show(self, prefix: str, names: Iterable[str]) -> None:
        """Notify subscribers that registers have changed."""
        for name in names:
            channel = self.pvdb.get(prefix + name)
            if channel is not None:
                await channel.publish(0)


def last_watches(watches: Iterable[Any]) -> list[Any]:
    """Return each circuit's newest subscription of a channel, and discard the values that caproto keeps for the others.

    caproto keeps the values that it has sent, for each subscription.
    """
    last: dict[Any, Any] = {}
    for watch in watches:
        before = last.get(watch.circuit)
        if before is not None:
            before.circuit.unexpired_updates.pop(before.subscriptionid, None)
        last[watch.circuit] = watch
    return list(last.values())


def _require_free(host: str, port: int) -> None:
    # caproto would share the UDP port with another process, and one of the two would receive nothing.
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as cause:
                raise StartError(
                    f"the simulated slots cannot listen on {host}:{port}: {cause.strerror}; end that process, "
                    "or set SMURFQ_SIM_PORT",
                    port=port,
                ) from cause
