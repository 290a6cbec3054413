"""Reads and writes registers directly by EPICS, with short timeouts, if a SmurfControl would hang."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Final

from smurfq.core.slot import SlotId
from smurfq.errors import OperationFailedError
from smurfq.smurf_control.own_slot import server_name

_APP: Final = "AMCc:FpgaTopLevel:AppTop:AppCore:"
_RTM: Final = _APP + "RtmCryoDet:"

SLOT_NUMBER: Final = "AMCc:FpgaTopLevel:AmcCarrierCore:AmcCarrierBsi:SlotNumber"
RESTART_LINK: Final = "AMCc:RestartRssi"
ENABLE_STREAMING: Final = _APP + "enableStreaming"
OPEN_G3STREAM: Final = "AMCc:SmurfProcessor:SOStream:open_g3stream"
SESSION_ID: Final = "AMCc:SmurfProcessor:SOStream:SOFileWriter:session_id"
WAVEFORM_ENABLE: Final = _RTM + "LutCtrl:Ctrl:EnableCh"
BIAS_DACS: Final = _RTM + "RtmSpiMax:TesBiasDacDataRegChArray"
RAMP_ENABLE: Final = _RTM + "RtmSpiSr:CfgRegEnaBit"
CRYOCARD: Final = _RTM + "SpiCryo:write"
CRYOCARD_ANSWER: Final = _RTM + "SpiCryo:read"

_ANSWER_S: Final = 2.0
_LOOK_EVERY_S: Final = 0.05
_LINK_DOWN_S: Final = 1.0  # a value that is read before the link has gone down would look healthy
_LINK_BACK_S: Final = 15.0


def epics_root(slot: str) -> str:
    """Return the prefix of a slot's registers: ``smurf_server_s2``."""
    return server_name(SlotId.parse(slot).slot)


def all_tones(band: int) -> str:
    """Return the command that sets the power of all tones of a band."""
    return f"{_APP}SysgenCryo:Base[{band}]:CryoChannels:setAmplitudeScales"


def amplitudes(band: int) -> str:
    """Return the register with the amplitudes of a band's tones, one for each channel."""
    return f"{_APP}SysgenCryo:Base[{band}]:CryoChannels:amplitudeScaleArray"


class Registers:
    """Some registers of a slot, connected all at once. A register that does not answer in time reads as None."""

    def __init__(self, slot: str, suffixes: Iterable[str], connect_s: float = _ANSWER_S) -> None:
        import epics

        self._root = epics_root(slot)
        self._failed = (epics.ca.ChannelAccessException, epics.ca.ChannelAccessGetFailure)
        self._variables: dict[str, Any] = {}
        self._connect(suffixes, connect_s)

    def get(self, suffix: str, timeout_s: float = _ANSWER_S) -> Any:
        """Return the value of a register, or None if it does not answer."""
        for _ in range(2):
            variable = self._variables[suffix]
            if not variable.connected:
                return None
            try:
                return variable.get(timeout=timeout_s, use_monitor=False)
            except self._failed:  # the connection was lost while it was made; pyepics then never finds the type
                self._connect([suffix], timeout_s)
        return None

    def put(self, suffix: str, value: Any, timeout_s: float = _ANSWER_S) -> bool:
        """Write a value, and return whether the register confirmed it."""
        variable = self._variables[suffix]
        if not variable.connected:
            return False
        try:
            return bool(variable.put(value, wait=True, timeout=timeout_s) == 1)
        except self._failed:
            return False

    def _connect(self, suffixes: Iterable[str], within_s: float) -> None:
        import epics

        made = {
            suffix: epics.PV(f"{self._root}:{suffix}", auto_monitor=False, connection_timeout=within_s)
            for suffix in suffixes
        }
        self._variables |= made
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and not all(pv.connected for pv in made.values()):
            epics.ca.poll(evt=0.01, iot=0.1)

    def wait_for(self, suffix: str, value: int, within_s: float) -> Any:
        """Wait until a register reads ``value``, at most ``within_s``. Return its last value, or None."""
        deadline = time.monotonic() + within_s
        while True:
            found = self.get(suffix, max(_LOOK_EVERY_S, deadline - time.monotonic()))
            if found is None or found == value or time.monotonic() > deadline:
                return found
            time.sleep(_LOOK_EVERY_S)


def card_answers(slot: str, within_s: float = _ANSWER_S) -> bool:
    """Return whether the card answers over Channel Access."""
    return Registers(slot, (SLOT_NUMBER,), within_s).get(SLOT_NUMBER, within_s) is not None


def restart_link(slot: str) -> tuple[bool, bool]:
    """Restart the RSSI link to the card. Return whether the card answered before, and whether it answers now.

    Raises
    ------
    OperationFailedError
        The smurf server did not accept the command.
    """
    registers = Registers(slot, (SLOT_NUMBER, RESTART_LINK))
    before = registers.get(SLOT_NUMBER) is not None
    if not registers.put(RESTART_LINK, 1):
        raise OperationFailedError(
            f"{epics_root(slot)}:{RESTART_LINK} could not be written within {_ANSWER_S:g} s: the smurf "
            f"server of {slot} does not answer; is it running?",
            slot=slot,
            responsive_before=before,
        )
    time.sleep(_LINK_DOWN_S)
    deadline = time.monotonic() + _LINK_BACK_S
    while True:
        asked = time.monotonic()
        if registers.get(SLOT_NUMBER) is not None:
            return before, True
        if time.monotonic() > deadline:
            return before, False
        time.sleep(max(0.0, 0.5 - (time.monotonic() - asked)))
