"""Limits of readout cards, and what is usual where a slot's configuration is not known.

``core.card_wiring`` reads a slot's bias groups and bands from its pysmurf configuration.
"""

from __future__ import annotations

from typing import Final

NUM_BANDS: Final = 8  # of a card with two bays; a card with one bay has four
MAX_BIAS_GROUPS: Final = 16  # pysmurf's limit
NUM_BIAS_GROUPS: Final = 12  # the number of bias groups that sodetlib knows; a slot may have up to 16
PROCESSED_CHANNELS: Final = 416  # of a band's 512; SMuRF reads no others
