"""Defines the registers of a simulated slot: name, type, size, unit, limits and initial value.

Names are the suffixes after ``smurf_server_s<slot>:``. Waveforms and texts are sent at their full size, padded with
zeros. rogue does this too, and pyepics needs it, since it requests only as many elements as it last received.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from smurfq.core.card import NUM_BANDS
from smurfq.errors import RegisterValueError

Kind = Literal["int", "float", "text"]
Array = npt.NDArray[np.int32] | npt.NDArray[np.float64]
Value = int | float | str | Array

CHANNELS_PER_BAND: Final = 512
TEXT_SIZE: Final = 512
MASK_SIZE: Final = 4096
FILTER_SIZE: Final = 16
TABLE_SIZE: Final = 2048
NUM_DACS: Final = 32
DAC_LIMIT: Final = 2**19

RESTART_LINK: Final = "AMCc:RestartRssi"
ROGUE_VERSION: Final = "AMCc:RogueVersion"
ROGUE_DIRECTORY: Final = "AMCc:RogueDirectory"
FPGA: Final = "AMCc:FpgaTopLevel:"
CARRIER: Final = FPGA + "AmcCarrierCore:"
SLOT_NUMBER: Final = CARRIER + "AmcCarrierBsi:SlotNumber"
CRATE_ID: Final = CARRIER + "AmcCarrierBsi:CrateId"
FPGA_TEMPERATURE: Final = CARRIER + "AxiSysMonUltraScale:Temperature"
CARRIER_CURRENT: Final = CARRIER + "EM22xx:IOUT"
LINK_ERRORS: Final = tuple(
    f"{CARRIER}AmcCarrierTiming:TimingFrameRx:{name}" for name in ("CrcErrCount", "RxDecErrCount", "RxDspErrCount")
)
APP: Final = "AMCc:FpgaTopLevel:AppTop:AppCore:"
RTM: Final = APP + "RtmCryoDet:"
PROCESSOR: Final = "AMCc:SmurfProcessor:"
FRAMES_LOST: Final = PROCESSOR + "FrameRxStats:FrameLossCnt"
FRAME_COUNTERS: Final = (
    FRAMES_LOST,
    *(f"{PROCESSOR}FrameRxStats:{name}" for name in ("FrameOutOrderCnt", "BadFrameCnt")),
)
DATA_FILE_OPEN: Final = PROCESSOR + "FileWriter:IsOpen"
STREAM: Final = PROCESSOR + "SOStream:"
SAMPLES_DROPPED: Final = STREAM + "TransmitterDataDropCnt"
DROPPED: Final = (SAMPLES_DROPPED, STREAM + "TransmitterMetaDropCnt")
BUILD_TIMES: Final = ("FrameBuildTime", "CompressionTime")
SESSION_ID: Final = STREAM + "SOFileWriter:session_id"
FILE_PATH: Final = STREAM + "SOFileWriter:filepath"
OPEN_STREAM: Final = STREAM + "open_g3stream"
ENABLE_STREAMING: Final = APP + "enableStreaming"
TUNE_PATH: Final = APP + "SysgenCryo:tuneFilePath"
MASK: Final = PROCESSOR + "ChannelMapper:Mask"
NUM_CHANNELS: Final = PROCESSOR + "ChannelMapper:NumChannels"
FACTOR: Final = PROCESSOR + "Downsampler:Factor"
INTERNAL_FACTOR: Final = PROCESSOR + "Downsampler:InternalFactor"
RAMP_MAX_COUNT: Final = RTM + "RampMaxCnt"
CARD_WRITE: Final = RTM + "SpiCryo:write"
CARD_READ: Final = RTM + "SpiCryo:read"
DAC_DATA: Final = RTM + "RtmSpiMax:TesBiasDacDataRegCh"
DAC_CONTROL: Final = RTM + "RtmSpiMax:TesBiasDacCtrlRegCh"
HEMT_GATE: Final = RTM + "RtmSpiMax:HemtBiasDacDataRegCh[33]"
TABLES: Final = RTM + "LutCtrl:"
PLAYBACK: Final = TABLES + "Ctrl:"

_DAC_DISABLED: Final = 0xE
_FLUX_RAMP_HZ: Final = 4000
_RAMP_CLOCK_HZ: Final = 307_200_000
_SUB_BAND_MHZ: Final = 1.2
_CHANNEL_BITS: Final = 9


@dataclass(frozen=True)
class Register:
    """A register: its type, size, unit and limits.

    An ``exact`` register is sent with the length of its last value. All others are padded to their size.
    """

    name: str
    kind: Kind
    initial: int | float | str | Sequence[float] = 0
    size: int = 1
    unit: str = ""
    low: float | None = None
    high: float | None = None
    exact: bool = False

    def first(self) -> Value:
        """Return the value at power-up."""
        return self.value_of(self.initial)

    def value_of(self, given: object) -> Value:
        """Convert ``given`` to the form in which this register stores it: a number, a text, or a padded array.

        Raises
        ------
        RegisterValueError
            The value does not have the register's type, is too long, or is out of its limits.
        """
        if self.kind == "text":
            return str(given).split("\0")[0][: TEXT_SIZE - 1]
        dtype = np.int64 if self.kind == "int" else np.float64
        try:
            numbers = np.atleast_1d(np.asarray(given)).astype(dtype)
        except (TypeError, ValueError) as cause:
            raise self._refusal(f"takes {self.kind} numbers", given) from cause
        if not 0 < numbers.size <= self.size:
            raise self._refusal(f"takes 1 to {self.size} numbers", f"{numbers.size} numbers")
        low = self.low if self.low is not None else (-(2**31) if self.kind == "int" else None)
        high = self.high if self.high is not None else (2**32 - 1 if self.kind == "int" else None)
        if (low is not None and numbers.min() < low) or (high is not None and numbers.max() > high):
            raise self._refusal(f"takes numbers from {low} to {high} {self.unit}".rstrip(), given)
        if self.size == 1:
            return int(numbers[0]) if self.kind == "int" else float(numbers[0])
        held: Array = numbers.astype(np.int32) if self.kind == "int" else numbers.astype(np.float64)
        return held if self.exact else _padded(held, self.size)

    def _refusal(self, rule: str, given: object) -> RegisterValueError:
        return RegisterValueError(f"register {self.name} {rule}; got {str(given)[:100]}", register=self.name)


def _padded(numbers: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    return np.concatenate([numbers, np.zeros(size - numbers.size, numbers.dtype)])


def register_table(crate: int, slot: int) -> Mapping[str, Register]:
    """Return all registers of a slot except those of its radio side, by name."""
    found = [
        *_card(crate, slot),
        *_rtm(),
        *_waveforms(),
        *_processor(),
        *_stream(),
        *(register for band in range(NUM_BANDS) for register in _band(band)),
    ]
    return {register.name: register for register in found}


def dac_register(number: int) -> str:
    """Return the register of one slow DAC (1 to 32)."""
    return f"{DAC_DATA}[{number}]"


def band_register(band: int, name: str) -> str:
    """Return a register of a band."""
    return f"{APP}SysgenCryo:Base[{band}]:{name}"


def band_center_mhz(band: int) -> float:
    """Return the centre of a band."""
    return 4250.0 + 500.0 * band


def sub_band_of(channel: int) -> int:
    """Return a channel's sub-band, by rising frequency: the bits of the channel's number reversed."""
    return sum((channel >> bit & 1) << (_CHANNEL_BITS - 1 - bit) for bit in range(_CHANNEL_BITS))


def sub_band_mhz(channel: int) -> float:
    """Return the centre of a channel's sub-band, in MHz from its band's centre."""
    return round((sub_band_of(channel) + 1 - CHANNELS_PER_BAND // 2) * _SUB_BAND_MHZ, 6)


def unknown_register(name: str) -> Register:
    """Return a register for a name that is not in this table. It stores any value."""
    if name.endswith("Array"):
        return Register(name, "float", size=CHANNELS_PER_BAND)
    return Register(name, "int")


def _card(crate: int, slot: int) -> Iterator[Register]:
    yield Register("AMCc:enable", "int", 1)
    yield Register(ROGUE_VERSION, "text", "6.1.4-simulated")
    yield Register(ROGUE_DIRECTORY, "text", "smurfq.sim")
    yield Register("AMCc:SmurfApplication:SmurfVersion", "text", "10.3.4")
    yield Register("AMCc:SmurfApplication:EnabledBays", "int", (0, 1), size=2)
    yield Register("AMCc:SmurfApplication:StartupArguments", "text", f"simulated crate {crate} slot {slot}")
    yield Register("AMCc:SmurfApplication:StartupScript", "text", "smurfq sim")
    yield Register("AMCc:SmurfApplication:SmurfDirectory", "text", "smurfq.sim")
    yield Register("AMCc:StreamDataSource:SourceEnable", "int", low=0, high=1)
    yield Register(RESTART_LINK, "int")
    yield Register(CRATE_ID, "int", crate)
    yield Register(SLOT_NUMBER, "int", slot)
    yield Register(CARRIER + "AxiVersion:GitHashShort", "text", "51b0000")
    yield Register(FPGA_TEMPERATURE, "float", unit="degC")
    yield Register(CARRIER_CURRENT, "float", unit="A")
    yield from (Register(name, "int") for name in LINK_ERRORS)
    yield Register(ENABLE_STREAMING, "int", low=0, high=1)
    yield Register(TUNE_PATH, "text", "")


def _rtm() -> Iterator[Register]:
    yield Register(RAMP_MAX_COUNT, "int", _RAMP_CLOCK_HZ // _FLUX_RAMP_HZ - 1, unit="ticks of 1/307.2 MHz", low=0)
    yield Register(RTM + "EnableRampTrigger", "int", 1)
    yield Register(RTM + "RtmSpiSr:CfgRegEnaBit", "int", low=0, high=1)
    yield Register(CARD_WRITE, "int")
    yield Register(CARD_READ, "int")
    bits = {"unit": "bit of 20 V/2^20", "low": -DAC_LIMIT, "high": DAC_LIMIT - 1}
    yield Register(DAC_DATA + "Array", "int", size=NUM_DACS, **bits)  # type: ignore[arg-type]
    yield Register(DAC_CONTROL + "Array", "int", [_DAC_DISABLED] * NUM_DACS, size=NUM_DACS)
    for number in range(1, NUM_DACS + 1):
        yield Register(dac_register(number), "int", **bits)  # type: ignore[arg-type]
        yield Register(f"{DAC_CONTROL}[{number}]", "int", _DAC_DISABLED)
    yield Register(HEMT_GATE, "int", unit="bit of 3.86936 uV", low=-DAC_LIMIT, high=DAC_LIMIT - 1)
    yield Register(RTM + "RtmSpiMax:HemtBiasDacCtrlRegCh[33]", "int", _DAC_DISABLED)


def _waveforms() -> Iterator[Register]:
    for table in range(2):
        yield Register(f"{TABLES}Lut[{table}]:MemArray", "int", size=TABLE_SIZE, unit="bit of 20 V/2^20")
        yield Register(f"{PLAYBACK}DacAxilAddr[{table}]", "int", low=0, high=NUM_DACS)
    yield Register(PLAYBACK + "TimerSize", "int", 1, unit="6.4 ns", low=0)
    yield Register(PLAYBACK + "EnableCh", "int", low=0, high=3)
    yield Register(PLAYBACK + "Continuous", "int", low=0, high=1)
    yield Register(PLAYBACK + "MaxAddr", "int", TABLE_SIZE - 1)
    for name in ("Busy", "TrigCnt", "SwTrig"):
        yield Register(PLAYBACK + name, "int")


def _processor() -> Iterator[Register]:
    yield Register(MASK, "int", size=MASK_SIZE, unit="band*512 + channel", low=0, high=MASK_SIZE - 1)
    yield Register(NUM_CHANNELS, "int", 1)
    yield Register(PROCESSOR + "ChannelMapper:PayloadSize", "int")
    yield Register(PROCESSOR + "Unwrapper:reset", "int")
    yield Register(PROCESSOR + "Filter:reset", "int")
    yield Register(PROCESSOR + "Filter:Disable", "int", low=0, high=1)
    yield Register(PROCESSOR + "Filter:Order", "int", 4, low=0, high=FILTER_SIZE - 1)
    yield Register(PROCESSOR + "Filter:Gain", "float", 1.0)
    yield Register(PROCESSOR + "Filter:A", "float", (1.0,), size=FILTER_SIZE)
    yield Register(PROCESSOR + "Filter:B", "float", (1.0,), size=FILTER_SIZE)
    yield Register(PROCESSOR + "Downsampler:DownsamplerMode", "int", low=0, high=1)
    yield Register(INTERNAL_FACTOR, "int", 20, unit="flux ramp frames", low=1)
    yield Register(FACTOR, "int", 20, unit="flux ramp frames", low=1)
    yield Register(PROCESSOR + "Downsampler:Disable", "int", low=0, high=1)
    yield Register(PROCESSOR + "Downsampler:ExternalBitmask", "int")
    for name in (PROCESSOR + "FileWriter:Open", PROCESSOR + "FileWriter:Close", DATA_FILE_OPEN, *FRAME_COUNTERS):
        yield Register(name, "int")
    yield Register(PROCESSOR + "FileWriter:DataFile", "text", "")


def _stream() -> Iterator[Register]:
    yield Register(STREAM + "pysmurf_action", "text", "")
    yield Register(STREAM + "pysmurf_action_timestamp", "int", unit="s since 1970")
    yield Register(STREAM + "stream_tag", "text", "")
    yield Register(STREAM + "EnableCompression", "int", 1, low=0, high=1)
    yield Register(STREAM + "AggTime", "float", 0.5, unit="s", low=0.01, high=60.0)
    yield Register(OPEN_STREAM, "int", low=0, high=1)
    yield Register(STREAM + "FlacLevel", "int", 3, low=0, high=8)
    for name in ("DebugData", "DebugMeta", "DebugBuilder"):
        yield Register(STREAM + name, "int")
    yield from (Register(name, "int") for name in DROPPED)
    yield from (Register(STREAM + name, "float", unit="ms") for name in BUILD_TIMES)
    yield Register(SESSION_ID, "int", unit="s since 1970")
    yield Register(FILE_PATH, "text", "")


def _band(band: int) -> Iterator[Register]:
    def own(name: str, kind: Kind, *values: object, **more: object) -> Register:
        return Register(band_register(band, name), kind, *values, **more)  # type: ignore[arg-type]

    tones = [sub_band_mhz(channel) for channel in range(CHANNELS_PER_BAND)]
    yield own("ScratchPad", "int")
    yield own("numberChannels", "int", CHANNELS_PER_BAND)
    yield own("numberSubBands", "int", CHANNELS_PER_BAND)
    yield own("digitizerFrequencyMHz", "float", 614.4, unit="MHz")
    yield own("channelFrequencyMHz", "float", 2.4, unit="MHz")
    yield own("bandCenterMHz", "float", band_center_mhz(band), unit="MHz")
    yield own("toneFrequencyOffsetMHz", "float", tones, size=CHANNELS_PER_BAND, unit="MHz")
    yield own("lmsFreqHz", "float", 20000.0, unit="Hz")
    yield own("feedbackEnable", "int", 1, low=0, high=1)
    per_channel = {"size": CHANNELS_PER_BAND}
    yield own("CryoChannels:amplitudeScaleArray", "int", low=0, high=15, **per_channel)
    yield own("CryoChannels:setAmplitudeScales", "int", low=0, high=15)
    yield own("CryoChannels:feedbackEnableArray", "int", low=0, high=1, **per_channel)
    yield own("CryoChannels:centerFrequencyArray", "float", unit="MHz", **per_channel)
    yield own("CryoChannels:etaMagArray", "float", **per_channel)
    yield own("CryoChannels:etaPhaseArray", "float", unit="deg", **per_channel)
