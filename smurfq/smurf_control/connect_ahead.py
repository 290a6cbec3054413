"""Connects the registers that earlier runs of an operation used, all at once, before the operation asks for them.

Without this, a process connects each register when it first uses it: tens of milliseconds each, one after another, for
some hundreds of registers. pyepics keeps a process's channels by name, so pysmurf and sodetlib find them connected
without any change. Nothing is subscribed to.

The names are kept in a file for each slot and operation, on the host of the card. If the file is damaged or missing,
only the gain in time is lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from smurfq.config import Settings
from smurfq.core.private_files import make_folder
from smurfq.smurf_control.registers import epics_root
from smurfq.smurf_control.session_protocol import SessionProtocol

MOST_NAMES: Final = 4096
_KEPT_UNUSED_RUNS: Final = 8  # a register stays in the list for so many runs that do not use it, for example of a band
_WITHIN_S: Final = 3.0
_NO_MORE_AFTER_S: Final = 0.3  # time without an answer; a search that is lost is repeated after 0.03 and 0.1 s
_MOST_BYTES: Final = 1 << 20


def names_file(settings: Settings, slot: str, op_name: str) -> Path:
    """Return the file with the names of the registers that an operation of a slot uses."""
    return settings.state_dir.absolute() / "registers" / slot / f"{op_name}.json"


class ConnectedAhead:
    """Starts to connect the registers that earlier runs of a session's operation used.

    ``name`` is the name of the list of registers, by default that of the operation.
    """

    def __init__(self, session: SessionProtocol, name: str | None = None) -> None:
        self._file = names_file(session.settings, session.slot, name or session.op_name)
        self._prefix = f"{epics_root(session.slot)}:"
        self._unused_runs: dict[str, int] = {}
        self._channels: dict[str, Any] = {}
        self._enabled = session.settings.epics.connect_ahead
        if not self._enabled:
            return
        import epics

        self._unused_runs = _read(self._file, self._prefix)
        if self._unused_runs:
            if epics.ca.current_context() is None:
                epics.ca.use_initial_context()
            self._channels = {name: epics.ca.create_channel(name) for name in self._unused_runs}
            epics.ca.flush_io()

    def wait(self) -> None:
        """Wait until all registers are connected, or no further ones seem to answer."""
        if not self._channels:
            return
        import epics

        waiting = set(self._channels)
        deadline = time.monotonic() + _WITHIN_S
        heard = time.monotonic()
        while waiting and time.monotonic() < min(deadline, heard + _NO_MORE_AFTER_S):
            epics.ca.poll(evt=0.005, iot=0.1)
            left = {name for name in waiting if not epics.ca.isConnected(self._channels[name])}
            if left != waiting:
                waiting, heard = left, time.monotonic()

    def remember_of(self, *controls: Any) -> None:
        """Call ``remember`` with the registers that each SmurfControl of ``controls`` has used."""
        touched: dict[str, Any] = {}
        for control in controls:
            card = (control.C.readpv, control.C.writepv)
            touched |= {**control._pv_cache, **{register.pvname: register for register in card}}
        self.remember(touched)

    def remember(self, touched: Mapping[str, Any]) -> None:
        """Write the names of ``touched``, pysmurf's registers by name, for later runs.

        Registers that do not answer are left out. If none answers, the server is away, and the list is not changed.
        """
        if not self._enabled:
            return
        used = [name for name, pv in touched.items() if name.startswith(self._prefix) and pv.connected]
        if not used:
            return
        import epics

        gone = {name for name, channel in self._channels.items() if not epics.ca.isConnected(channel)}
        if gone:
            print(f"{len(gone)} registers that earlier runs used do not answer, and are forgotten: {_few(gone)}")
        _write(self._file, names_to_keep(self._unused_runs, used, gone))


def names_to_keep(before: Mapping[str, int], used: Iterable[str], gone: Iterable[str]) -> dict[str, int]:
    """Return the names for the next run, each with the number of runs since its last use, the latest first.

    ``before`` is the list from earlier runs, ``gone`` are the registers in it that do not answer.
    """
    now = dict.fromkeys(used, 0)
    without = set(gone)
    older = {
        name: runs + 1
        for name, runs in before.items()
        if name not in now and name not in without and runs < _KEPT_UNUSED_RUNS
    }
    kept = sorted({**older, **now}.items(), key=lambda item: item[1])
    return dict(kept[:MOST_NAMES])


def _read(path: Path, prefix: str) -> dict[str, int]:
    """Return the names in a file of ``_write``, or none if the file is missing or invalid."""
    with contextlib.suppress(OSError, ValueError):
        if path.stat().st_size > _MOST_BYTES:
            return {}
        found = json.loads(path.read_text())
        if isinstance(found, dict):
            return dict(list(_valid(found, prefix))[:MOST_NAMES])
    return {}


def _valid(found: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, int]]:
    for name, runs in found.items():
        if name.startswith(prefix) and name.isascii() and name.isprintable() and type(runs) is int and runs >= 0:
            yield name, runs


def _write(path: Path, names: Mapping[str, int]) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        make_folder(path.parent)
        unfinished.write_text(json.dumps(names, indent=0))
        unfinished.replace(path)
    except OSError as cause:
        print(f"the list of registers to connect ahead could not be written: {cause}")


def _few(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:3]) + (", …" if len(shown) > 3 else "")
