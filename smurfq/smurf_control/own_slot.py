"""Limits a process to its operation's slot: opening another slot's card raises before a register is touched.

Opening its own raises too, if an earlier run left that card unsafe, and the card does not answer or `make_safe` failed.

pysmurf, sodetlib and every user of pyepics create their channels with ``epics.ca.create_channel``, which this module
wraps. Child processes inherit the limit: forked ones directly, and a new Python through
``child_python/sitecustomize.py``, which loads this file without smurfq. This module therefore needs only the standard
library. The limit does not cover Channel Access clients other than pyepics, nor a Python that is started without this
process's environment.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # the import of typing would slow down the start of each child
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

VARIABLE = "SMURF_OWN_SLOT"  # the variable for child processes: the slot's id, or ``workflows``
CARD_CLOSED = "SMURF_CARD_CLOSED"  # the variable that says why the slot's own card may not be opened; empty if it may
_PUBLISHER_ID = "SMURFPUB_ID"
_PUBLISHER_ARGUMENT = 2  # smurfpub_id is the third argument of get_smurf_control, after offline and epics_root
_ROOT = "smurf_server_s"
_TREE = "AMCc"  # the top of every smurf server's registers, whatever its name
_CHILD_PYTHON = os.path.join(os.path.dirname(os.path.abspath(__file__)), "child_python")  # noqa: PTH100, PTH118, PTH120

_printed: set[str] = set()


def limit_to_slot(slot: str) -> None:
    """Limit this process and its children to ``slot``. If it is not a place (``workflows``), they may open none."""
    os.environ[VARIABLE] = slot
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != _CHILD_PYTHON]
    os.environ["PYTHONPATH"] = os.pathsep.join([_CHILD_PYTHON, *paths])
    _install(slot)


def limit_child() -> None:
    """Limit this process to the slot in its environment."""
    if slot := os.environ.get(VARIABLE):
        _install(slot)


def server_name(number: int) -> str:
    """Return the name of a slot's smurf server, the prefix of its registers: ``smurf_server_s2``."""
    return f"{_ROOT}{number}"


def other_server(name: str, slot: str) -> str | None:
    """Return the smurf server of the register ``name`` if it is not the server of ``slot``, else None."""
    server, _, rest = name.partition(":")
    if not _is_slots(server) and rest.split(":")[0] != _TREE:
        return None
    number = _number(slot)
    return None if number is not None and server == server_name(number) else server


def _is_slots(server: str) -> bool:
    return server.startswith(_ROOT) and server.removeprefix(_ROOT).isdecimal()


def _number(slot: str) -> int | None:
    digits = slot.rpartition("slot")[2]
    return int(digits) if digits.isdecimal() else None


def _install(slot: str) -> None:
    closed = os.environ.get(CARD_CLOSED, "")
    publisher = os.environ.get(_PUBLISHER_ID, "") if _number(slot) is not None else ""
    guards: dict[str, Callable[[Any], None]] = {
        "epics.ca": lambda module: _guard_channels(module, slot, closed),
        "sodetlib.det_config": lambda module: _guard_config(module, slot, closed, publisher),
    }
    when_loaded(guards)


def when_loaded(guards: dict[str, Callable[[Any], None]]) -> None:
    """Call each guard with the module of its name: now, or when the module is imported."""
    sys.meta_path.insert(0, _GuardFinder(guards))
    for name, guard in guards.items():
        if name in sys.modules:
            guard(sys.modules[name])


class _GuardFinder:
    """Finds the guarded modules through the other finders, and calls the guard when the module is loaded.

    Several finders may guard one module. Each asks the others for it, and ignores their requests meanwhile.
    """

    def __init__(self, guards: dict[str, Callable[[Any], None]]) -> None:
        self._guards = guards
        self._finding: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        guard = self._guards.get(name)
        if guard is None or name in self._finding:
            return None
        self._finding.add(name)
        try:
            finders = [finder for finder in sys.meta_path if finder is not self]
            spec = next(filter(None, (finder.find_spec(name, path, target) for finder in finders)), None)
        finally:
            self._finding.discard(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_guard(module: Any) -> None:
            load(module)
            guard(module)

        spec.loader.exec_module = load_and_guard  # type: ignore[method-assign]
        return spec


def _guard_channels(ca: Any, slot: str, closed: str) -> None:
    from functools import wraps

    create = ca.create_channel

    @wraps(create)
    def create_own_channel(pvname: Any, *args: Any, **kwargs: Any) -> Any:
        name = pvname.decode(errors="replace") if isinstance(pvname, bytes) else str(pvname)
        server = other_server(name, slot)
        if server is not None:
            raise _refusal(server, slot)
        if closed and other_server(name, "") is not None:
            raise _closed_error(closed, slot)
        return create(pvname, *args, **kwargs)

    ca.create_channel = create_own_channel


def _guard_config(det_config: Any, slot: str, closed: str, publisher: str) -> None:
    """Make a DetConfig use the operation's slot and publisher id by default, and raise for any other slot."""
    from functools import wraps

    kind, number = det_config.DetConfig, _number(slot)
    load, connect = kind.load_config_files, kind.get_smurf_control

    @wraps(load)
    def load_own(config: Any, slot: Any = None, *args: Any, **kwargs: Any) -> Any:
        if slot is None:
            slot = number if config.slot is None else config.slot
        return load(config, slot, *args, **kwargs)

    @wraps(connect)
    def connect_own(config: Any, offline: bool = False, *args: Any, **kwargs: Any) -> Any:
        if not offline and config.slot is not None and str(config.slot) != str(number):
            raise _refusal(server_name(config.slot), slot)
        if not offline and closed:
            raise _closed_error(closed, slot)
        if publisher and len(args) < _PUBLISHER_ARGUMENT and kwargs.get("smurfpub_id") is None:
            # Else the state lane would publish under the slot's stream id, which is that of the control lane.
            kwargs["smurfpub_id"] = publisher
        return connect(config, offline, *args, **kwargs)

    kind.load_config_files, kind.get_smurf_control = load_own, connect_own


def _refusal(server: str, slot: str) -> Exception:
    """The error for opening ``server``."""
    if _number(slot) is None:
        whose = "this is a workflow, which cannot open a card itself"
        then = "submit an operation or a script to that slot"
    else:
        whose = f"this run may open only {slot}"
        other = slot.rpartition("slot")[0] + "slot" + server.removeprefix(_ROOT)
        then = f"submit it with `smurfq run … --slot {other}`" if _is_slots(server) else ""
    message = f"{server} was not opened: {whose}. No register was touched" + (f"; {then}" if then else "")
    _print_once(message)
    try:
        from smurfq.errors import OtherSlotError
    except ImportError:  # the Python of a child process may not have smurfq
        return PermissionError(message)
    return OtherSlotError(message, slot=slot, server=server)


def _closed_error(message: str, slot: str) -> Exception:
    """The error for opening the card of ``slot`` itself."""
    _print_once(message)
    try:
        from smurfq.errors import OperationFailedError
    except ImportError:
        return PermissionError(message)
    return OperationFailedError(message, slot=slot)


def _print_once(message: str) -> None:
    """Print an error's message: a script may swallow the error."""
    if message not in _printed:
        _printed.add(message)
        print(f"smurfq: {message}", file=sys.stderr, flush=True)
