"""Checks the cryocard's amplifiers before sodetlib moves their gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from smurfq.errors import OperationFailedError
from smurfq.smurf_control.card_state import NO_CRYOCARD
from smurfq.smurf_control.device_checks import dangerous_gates, sodetlib_defaults
from smurfq.smurf_control.session_protocol import SessionProtocol

_KNOWN_FIRMWARE: Final = (1, 4, 10)  # pysmurf 10.3 knows C02 cards (1, 10) and C04 cards (4)


def check_amplifiers(session: SessionProtocol, control: Any, config: Any, given: Mapping[str, Any]) -> None:
    """Warn of gate voltages that may destroy an amplifier, and reject a cryocard that pysmurf does not know.

    ``given`` are the keywords for sodetlib; with ``skip_setup_amps``, it moves no gate.

    Raises
    ------
    OperationFailedError
        pysmurf does not know the firmware of the cryocard, so sodetlib would switch supplies of other amplifiers.
    """
    if given.get("skip_setup_amps"):
        return
    major, minor, patch = control.C.get_fw_version()
    if major not in (NO_CRYOCARD, *_KNOWN_FIRMWARE):
        raise OperationFailedError(
            f"the cryocard of {session.slot} has firmware {major}.{minor}.{patch}, and pysmurf knows only 1.x and 10.x "
            "(C02) and 4.x (C04): it would drive other amplifiers. None was touched. Bias the amplifiers by hand, and "
            "give skip_setup_amps: true in kwargs",
            slot=session.slot,
            firmware=f"{major}.{minor}.{patch}",
        )
    defaults = sodetlib_defaults()
    for text in dangerous_gates(config.dev.exp, defaults) if defaults is not None else ():
        session.add_message(f"WARNING: {text} (device configuration {config.dev_file})")
