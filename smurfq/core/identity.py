"""The owner under whose name this process submits. Records show it, and locks compare it."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping

VARIABLE = "SMURFQ_OWNER"


def whoami() -> str:
    """Return ``user@host``, which records show."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # the numeric user of a container may have no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def owner(environ: Mapping[str, str], configured: str | None) -> str:
    """Return the owner of submissions: ``SMURFQ_OWNER``, else the site file's ``owner``, else ``user@host``.

    The variable is read at each call. An operation's process is a fork whose settings were read earlier, and smurfq
    sets the variable there to the owner of the run.
    """
    return environ.get(VARIABLE) or configured or whoami()
