"""sotodlib's reader accepts a stream's status: plain values and texts of lists, with all fields that it needs."""

from __future__ import annotations

import ast

import numpy as np
import pytest
import yaml

from smurfq.errors import StreamError
from smurfq.sim.registers import MASK, NUM_CHANNELS, PROCESSOR, Value, register_table
from smurfq.sim.status import REQUIRED, stream_status


@pytest.fixture
def registers() -> dict[str, Value]:
    table = register_table(1, 2)
    held: dict[str, Value] = {name: register.first() for name, register in table.items()}
    filters = {"A": [1.0, -3.7, 5.2, -3.2, 0.7], "B": [1e-3, 4e-3, 6e-3, 4e-3, 1e-3]}
    for name, put in {PROCESSOR + f"Filter:{key}": value for key, value in filters.items()}.items():
        held[name] = table[name].value_of(put)
    held[MASK] = table[MASK].value_of([32, 51, 4095])
    held[NUM_CHANNELS] = 3
    held[PROCESSOR + "Downsampler:InternalFactor"] = 5
    return held


def test_arrays_are_texts_of_what_was_put(registers: dict[str, Value]) -> None:
    status = stream_status(registers)
    assert status["AMCc.SmurfProcessor.ChannelMapper.Mask"] == "[32, 51, 4095]"
    assert ast.literal_eval(str(status["AMCc.SmurfProcessor.Filter.A"])) == [1.0, -3.7, 5.2, -3.2, 0.7]
    offsets = ast.literal_eval(
        str(status["AMCc.FpgaTopLevel.AppTop.AppCore.SysgenCryo.Base[7].toneFrequencyOffsetMHz"])
    )
    assert len(offsets) == 512


def test_the_downsampler_is_described_like_rogues(registers: dict[str, Value]) -> None:
    status = stream_status(registers)
    assert status["AMCc.SmurfProcessor.Downsampler.Factor"] == 5
    assert status["AMCc.SmurfProcessor.Downsampler.DownsamplerMode"] == "Internal"
    registers[PROCESSOR + "Downsampler:DownsamplerMode"] = 1
    registers[PROCESSOR + "Downsampler:ExternalBitmask"] = 0b10_0000_0000_0010 << 10
    status = stream_status(registers)
    assert status["AMCc.SmurfProcessor.Downsampler.Factor"] == 20
    assert status["AMCc.SmurfProcessor.Downsampler.DownsamplerMode"] == "External"


def test_values_are_plain_and_survive_yaml(registers: dict[str, Value]) -> None:
    registers[PROCESSOR + "Filter:Gain"] = np.float64(1.5)
    registers["AMCc:SmurfProcessor:SOStream:pysmurf_action_timestamp"] = np.int32(1763800000)  # type: ignore[assignment]
    status = stream_status(registers)
    assert {type(value) for value in status.values()} == {int, float, str}
    assert yaml.safe_load(yaml.safe_dump(status)) == status


@pytest.mark.parametrize("name", REQUIRED)
def test_a_register_that_readers_need_is_asked_for(name: str, registers: dict[str, Value]) -> None:
    del registers[name]
    with pytest.raises(StreamError, match=name.rpartition(":")[2]):
        stream_status(registers)
