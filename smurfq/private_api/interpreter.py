"""CPython's steps at a process's start and end, for processes that are forked and end by ``os._exit``.

``os._exit`` itself is public, so other modules may call it. This module does not import Celery.
"""

from __future__ import annotations

import atexit
import multiprocessing
import threading


def run_exit_functions() -> None:
    """Wait for the non-daemon threads, and call the ``atexit`` functions, as CPython does at its end.

    ``os._exit`` does neither (``threading._shutdown``, ``atexit._run_exitfuncs``).
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()


def forget_exit_functions() -> None:
    """Drop the ``atexit`` functions that a forked process has inherited (``atexit._clear``).

    They would close resources that its parent still uses. ``atexit.unregister`` needs the functions, and Python has no
    public list of them.
    """
    atexit._clear()


def allow_children() -> None:
    """Let a process of Celery's pool have children of its own (``multiprocessing.current_process()._config``).

    The pool marks its processes as daemons, also in the standard library, which then refuses to start any. Its key is
    billiard's, which cannot be given to a child that is spawned.
    """
    config = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    config["daemon"] = False
    config["authkey"] = multiprocessing.process.AuthenticationString(config["authkey"])  # type: ignore[attr-defined]
