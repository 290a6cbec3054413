"""Defines all settings of a site: the keys at the top of the site file, its tables, and values derived from them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from smurfq.config.key_types import Folder, Section
from smurfq.config.sections import (
    Archive,
    Bridge,
    Crate,
    Epics,
    Flower,
    Limits,
    Ocs,
    Redis,
    Registers,
    Scripts,
    Sim,
    Smurf,
    Worker,
    Workflows,
)
from smurfq.core.loopback import is_loopback
from smurfq.core.redis_url import with_tls_files
from smurfq.core.slot import SlotId, both_names
from smurfq.core.suggestion import did_you_mean
from smurfq.errors import UnknownSlotError


class Settings(Section):
    """All settings of a site."""

    state_dir: Folder = Path(".smurfq")
    """Folder of logs, locks and the embedded Valkey's files; relative to the folder in which smurfq is started."""
    publisher_backend: Literal["udp", "null"] = "udp"
    """SMURFPUB_BACKEND of the operations. With "null", pysmurf discards all messages."""
    site: Annotated[str, Field(min_length=1)] | None = None
    """Name of the site. A client whose site has another name than the workers' is rejected."""
    simulated: bool = False
    """True if the slots are simulated. Every record says so."""
    owner: Annotated[str, Field(min_length=1)] | None = None
    """Name under which this process submits. A locked slot checks it. Default: user@host."""
    redis: Redis = Redis()
    bridge: Bridge = Bridge()
    archive: Archive = Archive()
    scripts: Scripts = Scripts()
    epics: Epics = Epics()
    smurf: Smurf = Smurf()
    limits: Limits = Limits()
    worker: Worker = Worker()
    workflows: Workflows = Workflows()
    flower: Flower = Flower()
    registers: Registers = Registers()
    sim: Sim = Sim()
    ocs: Ocs = Ocs()
    crates: tuple[Crate, ...] = (Crate(id=1, slots=(2,)),)

    @cached_property
    def slots(self) -> tuple[str, ...]:
        """Return the places of all slots, in the order of the site file."""
        return tuple(str(SlotId(crate.id, slot)) for crate in self.crates for slot in crate.slots)

    @cached_property
    def stream_ids(self) -> Mapping[str, str]:
        """Return the stream id of each slot by place, as far as this process knows it; else the place itself."""
        places = [
            (str(SlotId(crate.id, slot)), crate.stream_ids.get(slot)) for crate in self.crates for slot in crate.slots
        ]
        return {place: stream_id or place for place, stream_id in places}

    @property
    def redis_url(self) -> str:
        """Return the URL of the site's Redis (with TLS files as options) or of the embedded Valkey."""
        redis = self.redis
        if redis.url is None:
            return f"redis://127.0.0.1:{redis.embedded_port}/0"
        files = {name: getattr(redis, name) for name in ("ca_file", "cert_file", "key_file")}
        return with_tls_files(redis.url, **{name: path and str(path.absolute()) for name, path in files.items()})

    @property
    def bridge_name(self) -> str:
        """Return the name of the bridge to which this process's publishers send."""
        bridge = self.bridge
        return bridge.name or (socket.gethostname() if is_loopback(bridge.host) else bridge.host)

    @property
    def log_dir(self) -> Path:
        """Return the folder of the complete stdout and stderr of the operations."""
        return self.state_dir.absolute() / "logs"

    @property
    def log_folders(self) -> tuple[Path, ...]:
        """Return the folders in which a run may write its log."""
        return (self.log_dir, *self.scripts.log_folders)

    def time_limit_s(self, operation: str, default: float | None) -> float | None:
        """Return the time limit of an operation in seconds, or None if it may run until it is stopped."""
        if operation in self.limits.operations:
            return self.limits.operations[operation]
        return default

    def check_slot(self, slot: Any) -> str:
        """Return the place of the slot with this place or stream id, as far as this process knows the stream ids.

        Raises
        ------
        UnknownSlotError
            The site does not have the slot. The message lists its slots.
        """
        if slot in self.slots:
            return str(slot)
        for place, stream_id in self.stream_ids.items():
            if slot == stream_id:
                return place
        raise unknown_slot(slot, self.stream_ids)


def unknown_slot(slot: Any, stream_ids: Mapping[str, str]) -> UnknownSlotError:
    """Return the error for a name of no slot. ``stream_ids`` has the stream id of each slot by place."""
    known = ", ".join(both_names(place, stream_id) for place, stream_id in stream_ids.items())
    names = dict.fromkeys([*stream_ids, *stream_ids.values()])
    return UnknownSlotError(
        f"slot {slot!r} is not in the configuration; known are {known}" + did_you_mean(str(slot), names),
        got=slot,
        known=list(names),
    )
