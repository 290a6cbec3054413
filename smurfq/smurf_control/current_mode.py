"""Puts bias groups into low-current mode before an operation sets their biases.

In high-current mode, a voltage drives several times the current (``high_low_current_ratio``). sodetlib's ``take_iv``
leaves its bias groups in that mode, and so may scripts. The relays cannot be read: the cryocard reports what it was
last told.
"""

from __future__ import annotations

from typing import Any

from smurfq.core.card_wiring import Wiring, ranges
from smurfq.errors import OperationFailedError
from smurfq.smurf_control.card_state import NO_CRYOCARD, CardState
from smurfq.smurf_control.session_protocol import SessionProtocol


def put_into_low_current(control: Any, session: SessionProtocol, state: CardState, wiring: Wiring) -> None:
    """Put all bias groups of an open slot into low-current mode. ``state`` is the card's state before.

    Raises
    ------
    OperationFailedError
        The cryocard does not answer, or does not obey.
    """
    slot = session.slot
    if state.relays is None:
        if state.cryocard_major != NO_CRYOCARD:
            raise OperationFailedError(
                f"the cryocard of {slot} does not answer, so its bias groups may be in high-current mode, in which a "
                "voltage drives several times the current; no bias was set. Check the cryocard's cable and supply",
                slot=slot,
            )
        return
    groups = wiring.groups_of(state.relays)
    if not groups:
        return
    control.set_tes_bias_low_current(groups)
    if still := wiring.groups_of(control.get_cryo_card_relays()):
        raise OperationFailedError(
            f"bias groups {ranges(still)} of {slot} could not be put into low-current mode; no bias was set. Check the "
            "cryocard",
            slot=slot,
            bias_groups=still,
        )
    session.add_message(
        f"bias groups {ranges(groups)} were in high-current mode, in which a voltage drives "
        f"{control.high_low_current_ratio:g} times the current; they were put into low-current mode first"
    )
