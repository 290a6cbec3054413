"""Notes a card's state before a script first touches it: when the script's process first asks for a register.

A script that never does costs nothing, and may set EPICS' variables, or fork, until it does. What its children do is
not seen: where it had any, the card is looked at after it, without a state to compare with.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

from smurfq.smurf_control.card_state import look_at_card
from smurfq.smurf_control.foreign_stream import refuse_foreign_stream
from smurfq.smurf_control.session_protocol import SessionProtocol

_CHANNELS: Final = "epics.ca"


@contextmanager
def card_is_noted(session: SessionProtocol) -> Iterator[None]:
    """Have the card looked at when Channel Access is first used in the block, and after the operation if it was."""
    noted = False
    process = os.getpid()

    def note() -> None:
        nonlocal noted
        if not noted and os.getpid() == process:
            noted = True
            session.note_card(look_at_card(session.slot).to_dict())
            refuse_foreign_stream(session.slot)

    _when_loaded(_CHANNELS, lambda channels: _before_first_channel(channels, note))
    try:
        yield
    finally:
        if not noted and os.getpid() == process and _had_children():
            session.note_card(None)


def _before_first_channel(channels: Any, act: Callable[[], None]) -> None:
    create = channels.create_channel

    @functools.wraps(create)
    def act_and_create(*args: Any, **kwargs: Any) -> Any:
        if channels.create_channel is act_and_create:
            channels.create_channel = create
        act()
        return create(*args, **kwargs)

    channels.create_channel = act_and_create


def _had_children() -> bool:
    """Whether this process has waited for a child, or has one."""
    if resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss:
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _when_loaded(name: str, act: Callable[[ModuleType], None]) -> None:
    """Call ``act`` with a module: now, or as soon as it is imported."""
    if (module := sys.modules.get(name)) is not None:
        act(module)
    else:
        sys.meta_path.insert(0, _Finder(name, act))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module, once, as others do, and has it acted upon when it has been executed."""

    def __init__(self, name: str, act: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._act = act

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's specification, if it is the one."""
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_act(module: ModuleType) -> None:
                execute(module)
                self._act(module)

            spec.loader.exec_module = execute_and_act  # type: ignore[method-assign]
        return spec
