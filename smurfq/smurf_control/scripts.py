"""Connects registers ahead for a control script at the moment when the script opens its slot.

Nothing is connected earlier, because a script may set EPICS variables, or fork, before it opens its slot.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from smurfq.smurf_control.connect_ahead import ConnectedAhead
from smurfq.smurf_control.session_protocol import SessionProtocol

_MODULE: Final = "pysmurf.client.base.smurf_control"


@contextmanager
def script_connects_ahead(session: SessionProtocol, script: Path) -> Iterator[None]:
    """Connect the registers that earlier runs of ``script`` used, before the first SmurfControl of the block is made.

    This applies only if the worker has loaded pysmurf, since not every script uses it.
    """
    module = sys.modules.get(_MODULE)
    if module is None or not session.settings.epics.connect_ahead:
        yield
        return
    made: list[Any] = []
    ahead: list[ConnectedAhead] = []
    make = module.SmurfControl.__init__

    @functools.wraps(make)
    def connect_and_make(control: Any, *args: Any, **kwargs: Any) -> None:
        if not ahead and not kwargs.get("offline"):
            ahead.append(ConnectedAhead(session, names_of(script)))
            ahead[0].wait()
        make(control, *args, **kwargs)
        if not kwargs.get("offline"):
            made.append(control)

    module.SmurfControl.__init__ = connect_and_make
    try:
        yield
    finally:
        module.SmurfControl.__init__ = make
        if made:
            ahead[0].remember_of(*made)


def names_of(script: Path) -> str:
    """Return the name of the list of registers that a script uses."""
    return f"run.{script.stem[:40]}.{hashlib.sha256(str(script).encode()).hexdigest()[:8]}"
