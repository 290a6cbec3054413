"""OCS's client interface for smurfq: code written for ocs and socs runs with a changed import.

``smurfq.ocs`` replaces ``ocs``, ``ocs.ocs_client``, ``ocs.matched_client``, ``ocs.client_http`` and
``socs.smurf.MultiSlotController``. ocs need not be installed.

>>> from smurfq.ocs import OCSClient
>>> OCSClient("pysmurf-controller-crate1slot2").take_iv(tag="cal")  # doctest: +SKIP

``client`` has the operations as attributes, ``operation`` their methods, and ``reply`` the value that each method
returns. ``session`` converts a record to an OCS session. ``agent`` sends requests to a slot, and ``registry`` lists the
slots.
"""

from __future__ import annotations

from smurfq.core.session import OpCode
from smurfq.ocs.client import MatchedClient, OCSClient
from smurfq.ocs.errors import ControlClientError
from smurfq.ocs.multi_slot import MultiSlotController
from smurfq.ocs.reply import ERROR, OK, TIMEOUT, OCSReply, ResponseCode

__all__ = [
    "ERROR",
    "OK",
    "TIMEOUT",
    "ControlClientError",
    "MatchedClient",
    "MultiSlotController",
    "OCSClient",
    "OCSReply",
    "OpCode",
    "ResponseCode",
]
