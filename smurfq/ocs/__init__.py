"""OCS's client interface for smurfq: code written for ocs and socs runs with a changed import.

``smurfq.ocs`` stands for ``ocs``, ``ocs.ocs_client``, ``ocs.matched_client``, ``ocs.client_http`` and
``socs.smurf.MultiSlotController``. Needs no ocs installed.

>>> from smurfq.ocs import OCSClient
>>> OCSClient("pysmurf-controller-crate1slot2").take_iv(tag="cal")  # doctest: +SKIP

``client`` has the operations as attributes, ``operation`` their verbs, ``reply`` what each verb returns, ``session``
the record as an OCS session, ``agent`` what is asked of a slot, ``registry`` which slots there are.
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
