"""The wiring of a slot's card, or the usual one if its configuration cannot be read."""

from __future__ import annotations

import os

from smurfq.core.card_wiring import Wiring, parse_wiring, read_pysmurf_file, usual_wiring
from smurfq.errors import ConfigError
from smurfq.smurf_control.slot_files import FOLDER_VARIABLES, slot_files


def wiring_of(slot: str) -> Wiring:
    """Return the wiring of a slot's card; the usual one if its configuration cannot be read.

    A card must be made safe also if its configuration cannot be read. A site may have none, if only scripts run there.
    """
    if not any(name in os.environ for name in FOLDER_VARIABLES):
        return usual_wiring("")
    try:
        return parse_wiring(read_pysmurf_file(slot_files(slot, os.environ).pysmurf))
    except (ConfigError, OSError, ValueError) as error:
        return usual_wiring(str(error))
