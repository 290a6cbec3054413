"""Represents registers as Channel Access channels with native types, full sizes, and rogue's format of texts."""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np
from caproto import ChannelType, native_type
from caproto._data import ChannelByte, ChannelData, ChannelDouble, ChannelInteger

from smurfq.sim.registers import TEXT_SIZE, Register, Value

_CAPTURES_KEPT: Final = 2  # for each subscription; by default, caproto keeps the last thousand values that it has sent
_PRECISION: Final = 6  # used by pyepics to format numbers: with 0, 614.4 would become "614"


class RegisterOwner(Protocol):
    """The interface of a simulated slot, which stores the values of the registers."""

    prefix: str

    def register(self, name: str) -> Register:
        """Return the register of this name."""
        ...

    def value(self, name: str) -> Value:
        """Return the value of a register."""
        ...

    def answers(self, name: str) -> bool:
        """Return whether a register answers. A search for it is always answered."""
        ...

    @property
    def silent(self) -> bool:
        """Return whether the slot does not even answer searches."""
        ...

    async def put(self, name: str, value: Any) -> None:
        """Put a value, and return when all its effects are complete."""
        ...

    def watched(self, name: str) -> None:
        """Record that a client has subscribed to a register."""
        ...

    def was_read(self, name: str) -> None:
        """Record that a client reads a register."""
        ...


def channel_for(owner: RegisterOwner, name: str) -> ChannelData:
    """Return the channel of a register."""
    register = owner.register(name)
    if register.kind == "text":
        return _TextChannel(owner, register)
    limits = {
        f"{side}_{what}_limit": limit
        for side, limit in (("lower", register.low), ("upper", register.high))
        for what in ("ctrl", "disp")
        if limit is not None
    }
    if register.kind == "int":
        return _IntChannel(owner, register, units=register.unit[:7], **{k: int(v) for k, v in limits.items()})
    return _FloatChannel(owner, register, units=register.unit[:7], precision=_PRECISION, **limits)


class _RegisterChannel(ChannelData):
    """A channel without a value of its own: it reads and writes the register."""

    def __init__(self, owner: RegisterOwner, register: Register, **more: Any) -> None:
        self.owner = owner
        self.name = register.name
        # A capture has megabytes. pysmurf subscribes to it each time and never unsubscribes: only the newest
        # subscription is notified.
        self.tells_last_watch_only = register.exact and register.size > 1
        if self.tells_last_watch_only:
            more["max_subscription_backlog"] = _CAPTURES_KEPT
        super().__init__(value=self._present(owner.value(register.name)), max_length=_size(register), **more)

    async def verify_value(self, data: Any) -> Any:
        """Return the value of the register after ``data`` was put into it."""
        await self.owner.put(self.name, data)
        return self._present(self.owner.value(self.name))

    async def _read(self, data_type: Any) -> Any:
        self._data["value"] = self._present(self.owner.value(self.name))
        return await super()._read(data_type)

    def _present(self, value: Any) -> Any:
        return value


class _IntChannel(_RegisterChannel, ChannelInteger):
    """A LONG or an array of them."""

    def _present(self, value: Any) -> Any:
        # A word of 32 bits may have its highest bit set; LONG is signed.
        return (int(value) + 2**31) % 2**32 - 2**31 if isinstance(value, int) else value


class _FloatChannel(_RegisterChannel, ChannelDouble):
    """A DOUBLE or an array of them."""


class _TextChannel(_RegisterChannel, ChannelByte):
    """A CHAR array of fixed size, padded with zeros, because pyepics requests only as many elements as it last saw.

    The array of an exact register is not padded, since pysmurf reads such an address character by character.
    """

    def __init__(self, owner: RegisterOwner, register: Register) -> None:
        self._exact = register.exact
        super().__init__(owner, register)

    async def write_from_dbr(self, data: Any, data_type: Any, metadata: Any, **_more: Any) -> None:
        """Accept a text as a string or as an array of codes, and truncate it at its first zero."""
        if native_type(data_type) == ChannelType.STRING:
            first = data[0] if len(data) else b""
            text = first if isinstance(first, str) else bytes(first).decode("latin-1")
        elif isinstance(data, bytes | bytearray):
            text = bytes(data).decode("latin-1")
        else:
            text = bytes(np.asarray(data).astype(np.uint8)).decode("latin-1")
        await self.write(text)

    def preprocess_value(self, value: Any) -> Any:
        """Return ``value`` unchanged, because its size differs from the array's."""
        return value

    async def _read(self, data_type: Any) -> Any:
        metadata, data = await super()._read(data_type)
        if native_type(data_type) == ChannelType.CHAR and not self._exact:
            data = _padded(bytes(data))  # caproto strips the zeros
        return metadata, data

    def _present(self, value: Any) -> Any:
        text = str(value).encode("latin-1", "replace")
        return text if self._exact else _padded(text)


def _padded(text: bytes) -> bytes:
    return text[: TEXT_SIZE - 1].ljust(TEXT_SIZE, b"\0")


def _size(register: Register) -> int:
    return TEXT_SIZE if register.kind == "text" else register.size
