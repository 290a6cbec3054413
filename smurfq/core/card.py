"""Constants that are the same for every readout card."""

from __future__ import annotations

from typing import Final

NUM_BANDS: Final = 8
NUM_BIAS_GROUPS: Final = 12
PROCESSED_CHANNELS: Final = 416  # of a band's 512; SMuRF reads no others
