"""A Channel Access client of one slot, told what to do line by line: ``slot_client.py NUMBER``.

It speaks pyepics, as pysmurf does. ``rates`` answers seconds a get and a put; ``open FACTOR COMPRESS`` and ``close``
stream, and answer once there is a file and once it is complete.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import epics
import numpy as np

from smurfq.core.card import NUM_BANDS
from smurfq.sim.registers import (
    DAC_DATA,
    ENABLE_STREAMING,
    INTERNAL_FACTOR,
    MASK,
    OPEN_STREAM,
    PROCESSOR,
    SESSION_ID,
    STREAM,
    band_register,
)

PREFIX = f"smurf_server_s{sys.argv[1]}:"
_TRIES = 1000
_WITHIN_S = 30.0


def register(name: str) -> Any:
    """The channel of a register, connected."""
    found = epics.PV(PREFIX + name, auto_monitor=False)
    assert found.wait_for_connection(_WITHIN_S), name
    return found


def rates() -> dict[str, float]:
    """Seconds a get, a put that is waited for, and a get of a waveform of 4096 numbers."""
    dac, mask = register(DAC_DATA + "[1]"), register(MASK)
    return {
        "get_s": _each(lambda: dac.get(use_monitor=False)),
        "put_s": _each(lambda: dac.put(0, wait=True)),
        "mask_s": _each(lambda: mask.get(use_monitor=False)),
    }


def slowest_get_s(seconds: float) -> float:
    """The longest that a get took, of as many as come one after another in some seconds."""
    dac = register(DAC_DATA + "[1]")
    slowest, end = 0.0, time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        dac.get(use_monitor=False)
        slowest = max(slowest, time.perf_counter() - began)
        time.sleep(0.005)
    return slowest


def toned_channels() -> Any:
    """The channels that have a tone, as a stream's mask holds them."""
    tones = [register(band_register(band, "CryoChannels:amplitudeScaleArray")).get() for band in range(NUM_BANDS)]
    return np.flatnonzero(np.concatenate(tones)).astype(np.int32)


def open_stream(factor: int, compressed: int) -> dict[str, float]:
    """Stream all channels that have a tone, one frame of every ``factor``."""
    register(MASK).put(toned_channels(), wait=True)
    register(INTERNAL_FACTOR).put(factor, wait=True)
    register(PROCESSOR + "Filter:Disable").put(1, wait=True)
    register(STREAM + "EnableCompression").put(compressed, wait=True)
    register(ENABLE_STREAMING).put(1, wait=True)
    began = time.perf_counter()
    register(OPEN_STREAM).put(1, wait=True, timeout=_WITHIN_S)
    assert register(SESSION_ID).get() > 0
    return {"open_s": time.perf_counter() - began}


def close_stream() -> dict[str, float]:
    """End the stream; returns once its file is complete."""
    register(ENABLE_STREAMING).put(0, wait=True)
    began = time.perf_counter()
    register(OPEN_STREAM).put(0, wait=True)
    session = register(SESSION_ID)
    while session.get(use_monitor=False):
        assert time.perf_counter() - began < _WITHIN_S
        time.sleep(0.01)
    return {"close_s": time.perf_counter() - began}


def main() -> None:
    """Answer each line of standard input with a line."""
    for line in sys.stdin:
        word, *arguments = line.split()
        if word == "rates":
            answer = rates()
        elif word == "open":
            answer = open_stream(*map(int, arguments))
        elif word == "gets":
            answer = {"slowest_get_s": slowest_get_s(float(arguments[0]))}
        else:
            answer = close_stream()
        print(json.dumps(answer), flush=True)


def _each(call: Any) -> float:
    call()
    began = time.perf_counter()
    for _ in range(_TRIES):
        call()
    return (time.perf_counter() - began) / _TRIES


if __name__ == "__main__":
    main()
