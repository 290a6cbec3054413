"""Access to a slot's card for operations. Only this package imports pysmurf, sodetlib and pyepics.

``libraries`` imports them and reports their versions. ``paths`` sets the folders that they hard-code. ``opening``
opens a slot. ``register_access`` names the registers that do not answer. ``registers`` uses EPICS directly if pysmurf
would hang. ``making_safe`` makes the card safe after a run. ``slot_files`` finds a slot's configuration files,
``wiring`` reads its bias groups and bands, and ``device_copy`` restores a half-written file. ``state`` reads a slot's
state. ``own_slot`` keeps a process from opening another slot. The import of this package imports none of the
libraries.
"""

from smurfq.smurf_control.amplifiers import check_amplifiers
from smurfq.smurf_control.device_copy import keep_copy, restore_copy
from smurfq.smurf_control.known_versions import require_channel_access
from smurfq.smurf_control.libraries import (
    assert_no_channel_access,
    edited_since,
    preload,
    sodetlib_function,
    versions,
)
from smurfq.smurf_control.making_safe import close_streams, make_safe
from smurfq.smurf_control.noting import card_is_noted
from smurfq.smurf_control.opening import open_slot
from smurfq.smurf_control.own_slot import CARD_CLOSED, limit_to_slot
from smurfq.smurf_control.paths import apply_paths
from smurfq.smurf_control.publishing import number_only_what_is_sent
from smurfq.smurf_control.registers import card_answers, restart_link
from smurfq.smurf_control.scripts import script_connects_ahead
from smurfq.smurf_control.state import read_state
from smurfq.smurf_control.state_changes import state_of
from smurfq.smurf_control.untuning import AMPLIFIERS_STAGE, untune, untuned_unless_done
from smurfq.smurf_control.wiring import wiring_of

__all__ = [
    "AMPLIFIERS_STAGE",
    "CARD_CLOSED",
    "apply_paths",
    "assert_no_channel_access",
    "card_answers",
    "card_is_noted",
    "check_amplifiers",
    "close_streams",
    "edited_since",
    "keep_copy",
    "limit_to_slot",
    "make_safe",
    "number_only_what_is_sent",
    "open_slot",
    "preload",
    "read_state",
    "require_channel_access",
    "restart_link",
    "restore_copy",
    "script_connects_ahead",
    "sodetlib_function",
    "state_of",
    "untune",
    "untuned_unless_done",
    "versions",
    "wiring_of",
]
