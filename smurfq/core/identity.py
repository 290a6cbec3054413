"""The owner in whose name this process submits; records show it, and locks compare it."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping

VARIABLE = "SMURFQ_OWNER"


def whoami() -> str:
    """``user@host``, for those who read a record later."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's numeric user has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def owner(environ: Mapping[str, str], configured: str | None) -> str:
    """In whose name to submit: ``SMURFQ_OWNER``, else what the site file says, else ``user@host``.

    The variable is looked at each time: the process of an operation is a fork whose settings were read long before,
    and what it submits is submitted in the name of who submitted the operation.
    """
    return environ.get(VARIABLE) or configured or whoami()
