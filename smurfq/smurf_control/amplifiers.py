"""Checks the cryocard's amplifiers before sodetlib moves their gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from smurfq.errors import OperationFailedError
from smurfq.smurf_control.card_state import NO_CRYOCARD
from smurfq.smurf_control.device_checks import dangerous_gates, sodetlib_defaults
from smurfq.smurf_control.session_protocol import SessionProtocol

_C02: Final = (1, 10)  # the major versions of the firmware of cryocards with two amplifiers, as pysmurf 10.3 knows them
_KNOWN_FIRMWARE: Final = (*_C02, 4)


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
    if major in _C02:
        control.get_amplifier_biases = partial(_with_drain_voltages, control.get_amplifier_biases)
    defaults = sodetlib_defaults()
    for text in dangerous_gates(config.dev.exp, defaults) if defaults is not None else ():
        session.add_message(f"WARNING: {text} (device configuration {config.dev_file})")


def _with_drain_voltages(read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what pysmurf reads of a C02 card's amplifiers, with None for the drain voltages, which cannot be set.

    sodetlib 0.6.8 writes them to the device configuration when the amplifiers are biased, and raises without them.
    """
    found = read()
    drains = {f"{name.removesuffix('_gate_volt')}_drain_volt": None for name in found if name.endswith("_gate_volt")}
    return {**drains, **found}
