"""Notes a card's state before a script first touches it: when the script's process first asks for a register.

A script that never does costs nothing, and may set EPICS' variables, or fork, until it does. What its children do is
not seen: where it had any, the card is looked at after it, without a state to compare with.
"""

from __future__ import annotations

import functools
import os
import resource
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
    """Have the card looked at when Channel Access is first used in the block, and after the operation if it was."""
    noted = False
    process = os.getpid()

    def note() -> None:
        nonlocal noted
        if not noted and os.getpid() == process:
            noted = True
            session.note_card(look_at_card(session.slot).to_dict())
            refuse_foreign_stream(session.slot)

    when_loaded({_CHANNELS: lambda channels: _before_first_channel(channels, note)})
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
