"""Builds the status in the first frame of a stream from the slot's registers.

Names are rogue's, with dots for colons. Arrays are texts of lists, as rogue writes and sotodlib reads them. The content
follows smurf-streamer's ``meta_registers.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from smurfq.core.card import NUM_BANDS
from smurfq.errors import StreamError
from smurfq.sim.downsampling import BITMASK, MODE, downsample_factor, is_external
from smurfq.sim.registers import (
    APP,
    DATA_FILE_OPEN,
    ENABLE_STREAMING,
    FACTOR,
    INTERNAL_FACTOR,
    MASK,
    NUM_CHANNELS,
    OPEN_STREAM,
    PROCESSOR,
    RAMP_MAX_COUNT,
    ROGUE_VERSION,
    STREAM,
    TUNE_PATH,
    Value,
    band_register,
)

_ORDER: Final = PROCESSOR + "Filter:Order"
_PER_BAND: Final = (
    "bandCenterMHz",
    "digitizerFrequencyMHz",
    "toneFrequencyOffsetMHz",
    "lmsFreqHz",
    "CryoChannels:centerFrequencyArray",
    "CryoChannels:amplitudeScaleArray",
    "CryoChannels:etaMagArray",
    "CryoChannels:etaPhaseArray",
    "CryoChannels:feedbackEnableArray",
)
# Without these, sotodlib cannot determine a channel's name, its place in the file, or the times of its samples.
REQUIRED: Final = (
    MASK,
    NUM_CHANNELS,
    RAMP_MAX_COUNT,
    INTERNAL_FACTOR,
    BITMASK,
    MODE,
    _ORDER,
    PROCESSOR + "Filter:A",
    PROCESSOR + "Filter:B",
    STREAM + "stream_tag",
    STREAM + "pysmurf_action",
    STREAM + "pysmurf_action_timestamp",
)
STREAMED: Final = frozenset(
    (
        *(set(REQUIRED) - {BITMASK, INTERNAL_FACTOR}),
        ROGUE_VERSION,
        ENABLE_STREAMING,
        OPEN_STREAM,
        TUNE_PATH,
        APP + "RtmCryoDet:EnableRampTrigger",
        PROCESSOR + "ChannelMapper:PayloadSize",
        PROCESSOR + "Filter:Disable",
        PROCESSOR + "Filter:Gain",
        PROCESSOR + "Downsampler:Disable",
        PROCESSOR + "FileWriter:DataFile",
        DATA_FILE_OPEN,
        *(band_register(band, name) for band in range(NUM_BANDS) for name in _PER_BAND),
    )
)


def stream_status(registers: Mapping[str, Value]) -> dict[str, int | float | str]:
    """Return the status of a slot with these register values. Registers that do not belong into a status are omitted.

    The mask and the filter's coefficients are truncated to their lengths. Registers are padded, a status is not.

    Raises
    ------
    StreamError
        A register that readers need is missing, or no frame would ever be streamed.
    """
    missing = [name for name in REQUIRED if name not in registers]
    if missing:
        raise StreamError(f"a stream's status needs the registers {', '.join(missing)}; give all registers of a slot")
    lengths = {
        MASK: _int(registers[NUM_CHANNELS]),
        PROCESSOR + "Filter:A": _int(registers[_ORDER]) + 1,
        PROCESSOR + "Filter:B": _int(registers[_ORDER]) + 1,
    }
    held = {name: registers[name] for name in sorted(STREAMED & registers.keys())}
    status = {name.replace(":", "."): _plain(value, lengths.get(name)) for name, value in held.items()}
    status[MODE.replace(":", ".")] = "External" if is_external(registers.__getitem__) else "Internal"
    status[FACTOR.replace(":", ".")] = downsample_factor(registers.__getitem__)
    return status


def _plain(value: Value, length: int | None) -> int | float | str:
    if isinstance(value, str):
        return value
    if isinstance(value, np.ndarray):
        return str(value[:length].tolist())
    return float(value) if isinstance(value, float | np.floating) else int(value)


def _int(value: Value) -> int:
    if isinstance(value, str | np.ndarray):
        raise StreamError(f"expected one number in a register; got {str(value)[:60]!r}")
    return int(value)
