"""Notes the state of the card before a script first uses it: when its process first asks for a register.

A script that never does so costs nothing, and may set EPICS variables or fork before it does. Child processes are not
observed: if the script already had any, the pool child is told that they may have changed the noted state.
"""

from __future__ import annotations

import functools
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from smurfq.smurf_control.card_state import look_at_card
from smurfq.smurf_control.foreign_stream import refuse_foreign_stream
from smurfq.smurf_control.own_slot import when_loaded
from smurfq.smurf_control.session_protocol import SessionProtocol

_CHANNELS: Final = "epics.ca"


@contextmanager
def card_is_noted(session: SessionProtocol) -> Iterator[None]:
    """Note the state of the card at the first use of Channel Access in the block, to compare it after the operation."""
    is_noted = is_looking = had_children = False
    process, lock = os.getpid(), threading.RLock()

    def look_for_children() -> None:
        nonlocal had_children
        had_children = _had_children()

    def note() -> None:
        nonlocal is_noted, is_looking
        if is_noted or os.getpid() != process:
            return
        with lock:  # another thread must not change the card while this one reads its state
            if is_noted or is_looking:
                return
            is_looking = True
            try:
                session.note_card(look_at_card(session.slot).to_dict())
                if had_children:
                    session.note_card(None)
                refuse_foreign_stream(session.slot)
                is_noted = True  # not if an abort was raised meanwhile: a script may continue after it
            finally:
                is_looking = False

    def watch(channels: Any) -> None:
        # Check now: Channel Access starts a child process, the repeater, when it is initialized.
        _before_each_call(channels, "initialize_libca", look_for_children)
        _before_each_call(channels, "create_channel", note)

    when_loaded({_CHANNELS: watch})
    try:
        yield
    finally:
        if not is_noted and os.getpid() == process and _had_children():
            session.note_card(None)


def _before_each_call(module: Any, name: str, act: Callable[[], None]) -> None:
    function = getattr(module, name)

    @functools.wraps(function)
    def act_and_call(*args: Any, **kwargs: Any) -> Any:
        act()
        return function(*args, **kwargs)

    setattr(module, name, act_and_call)


def _had_children() -> bool:
    """Return whether this process has, or has had, a child process."""
    if resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss:
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
