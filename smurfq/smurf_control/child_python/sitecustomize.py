"""Limits a Python process that an operation starts to the operation's slot. Python imports this module at its start.

The interpreter may be another one, without smurfq. This module therefore uses only the standard library, and little of
it, so that Python starts fast. It also runs the site's own ``sitecustomize``, which it hides.
"""

import os
import sys
from importlib.machinery import SourceFileLoader

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120


def _limit_to_own_slot() -> None:
    path = os.path.join(os.path.dirname(_HERE), "own_slot.py")  # noqa: PTH118, PTH120
    own_slot = type(sys)("_smurfq_own_slot")
    own_slot.__file__ = path
    SourceFileLoader(own_slot.__name__, path).exec_module(own_slot)
    own_slot.limit_child()


def _run_hidden_sitecustomize() -> None:
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != _HERE]  # noqa: PTH100
    this = sys.modules.pop("sitecustomize")
    try:
        __import__("sitecustomize")
    except ImportError as missing:
        if missing.name != "sitecustomize":
            raise
    finally:
        sys.modules.setdefault("sitecustomize", this)


_limit_to_own_slot()
_run_hidden_sitecustomize()
