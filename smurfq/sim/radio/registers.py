"""Defines the registers of a slot's radio side: bands, converters, captures, flux ramp, and others of S.setup()."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from smurfq.core.card import NUM_BANDS
from smurfq.sim.radio.chain import ATTENUATION
from smurfq.sim.registers import APP, CHANNELS_PER_BAND, FPGA, RTM, Kind, Register, band_register
from smurfq.sim.wiring import BANDS_PER_BAY, NUM_BAYS

SWEEP_SIZE: Final = CHANNELS_PER_BAND * 512  # points of the longest sweep
CAPTURE_SIZE: Final = 2**19

RAMP_ENABLE: Final = RTM + "RtmSpiSr:CfgRegEnaBit"
RAMP_RESET: Final = RTM + "RtmSpiSr:FastSlowRstValue"
DATA_FILE: Final = "AMCc:streamDataWriter:DataFile"
CONFIGURED: Final = "AMCc:SmurfApplication:SystemConfigured"
SET_DEFAULTS: Final = "AMCc:setDefaults"
FIND: Final = "CryoChannels:runSerialFindFreq"
DESCEND: Final = "CryoChannels:runSerialGradientDescent"
SEARCH: Final = "CryoChannels:runSerialMinSearch"
ETA: Final = "CryoChannels:runSerialEtaScan"
ONE_ETA: Final = "CryoChannels:runEtaScan"
IN_PROGRESS: Final = "CryoChannels:etaScanInProgress"
SWEPT: Final = "CryoChannels:etaScanFreqs"
SWEEP_POWER: Final = "CryoChannels:etaScanAmplitude"
SWEEP_CHANNEL: Final = "CryoChannels:etaScanChannel"
REAL: Final = "CryoChannels:etaScanResultsReal"
IMAGINARY: Final = "CryoChannels:etaScanResultsImag"

_ONE_CHANNEL: Final = re.compile(r"(.*:CryoChannels:)CryoChannel\[(\d+)\]:(\w+)")
_ARRAY_OF: Final = {
    "centerFrequencyMHz": "centerFrequencyArray",
    "amplitudeScale": "amplitudeScaleArray",
    "feedbackEnable": "feedbackEnableArray",
    "etaPhaseDegree": "etaPhaseArray",
    "etaMagScaled": "etaMagArray",
}


def attenuator(band: int, side: str) -> str:
    """Return the register of a band's attenuator, ``UC`` before the resonators or ``DC`` after them."""
    return f"{APP}MicrowaveMuxCore[{band // BANDS_PER_BAY}]:ATT:{side}[{band % BANDS_PER_BAY + 1}]"


def capture_register(bay: int, name: str) -> str:
    """Return a register of a bay's sample capture."""
    return f"{FPGA}AppTop:DaqMuxV2[{bay}]:{name}"


def buffer_register(bay: int, name: str) -> str:
    """Return a register of the buffers for captured samples."""
    return f"{FPGA}AmcCarrierCore:AmcCarrierBsa:BsaWaveformEngine[{bay}]:WaveformEngineBuffers:{name}"


def debug_select(bay: int) -> str:
    """Return the register that selects the band of a bay's debug capture."""
    return f"{APP}DebugSelect[{bay}]"


def capture_streams(bay: int) -> tuple[str, str]:
    """Return the registers of a bay's raw captures: in-phase and quadrature."""
    return f"AMCc:Stream{2 * bay + 1}", f"AMCc:Stream{2 * bay}"


def element_of(name: str) -> tuple[str, int] | None:
    """Return the array and the index of which a single channel's register is a view, or None."""
    match = _ONE_CHANNEL.fullmatch(name)
    if match is None or match[3] not in _ARRAY_OF or int(match[2]) >= CHANNELS_PER_BAND:
        return None
    return match[1] + _ARRAY_OF[match[3]], int(match[2])


def radio_registers() -> Iterator[Register]:
    """Return all registers of the radio side."""
    for band in range(NUM_BANDS):
        yield from _band(band)
        yield Register(attenuator(band, "UC"), "int", ATTENUATION, unit="0.5 dB", low=0, high=31)
        yield Register(attenuator(band, "DC"), "int", ATTENUATION, unit="0.5 dB", low=0, high=31)
    for bay in range(NUM_BAYS):
        yield from _captures(bay)
        yield from _configuration_of_bay(bay)
    yield from _ramp()
    yield from _configuration()
    yield Register(DATA_FILE, "text", "")
    yield Register("AMCc:streamDataWriter:Open", "int")
    yield Register("AMCc:streamDataWriter:Close", "int")


def _band(band: int) -> Iterator[Register]:
    def own(name: str, kind: Kind, *values: Any, **more: Any) -> Register:
        return Register(band_register(band, name), kind, *values, **more)

    for name in ("feedbackGain", "lmsGain", "feedbackStart", "feedbackEnd", "noiseSelect", "iqStreamEnable"):
        yield own(name, "int", {"feedbackGain": 2048, "feedbackStart": 12, "feedbackEnd": 588}.get(name, 0))
    for name in ("lmsEnable1", "lmsEnable2", "lmsEnable3", "dspEnable", "feedbackPolarity", "streamEnable"):
        yield own(name, "int", 1)
    for name in (
        "singleChannelReadout",
        "singleChannelReadoutOpt2",
        "readoutChannelSelect",
        "rfIQStreamEnable",
        "iqSwapIn",
        "iqSwapOut",
        "refPhaseDelay",
        "refPhaseDelayFine",
        "lmsDelay",
        "trigRstDly",
    ):
        yield own(name, "int")
    yield own("bandDelayUs", "float", unit="us")
    yield own("synthesisScale", "float", 1.0)
    yield own("feedbackLimit", "float")
    channels = "CryoChannels:"
    for name in (FIND, DESCEND, SEARCH, ETA, ONE_ETA, IN_PROGRESS, SWEEP_CHANNEL, channels + "etaScanDwell"):
        yield own(name, "int")
    yield own(SWEPT, "float", size=SWEEP_SIZE, unit="MHz", exact=True)
    yield own(SWEEP_POWER, "float", low=0, high=15)
    yield own(REAL, "float", size=SWEEP_SIZE, exact=True)
    yield own(IMAGINARY, "float", size=SWEEP_SIZE, exact=True)
    yield own(channels + "etaScanDelF", "float", 5000.0, unit="Hz")
    yield own(channels + "etaScanAverages", "float", 1.0)
    for name in ("MaxIters", "Gain", "ConvergeHz", "StepHz", "Beta", "Averages", "Momentum"):
        yield own(f"{channels}gradientDescent{name}", "float")


def _captures(bay: int) -> Iterator[Register]:
    yield Register(capture_register(bay, "DataBufferSize"), "int", CAPTURE_SIZE, unit="samples", low=1)
    for name in ("TriggerHwArm", "TriggerDaq", "ArmHwTrigger"):
        yield Register(capture_register(bay, name), "int")
    for number in range(2):
        yield Register(capture_register(bay, f"InputMuxSel[{number}]"), "int")
        yield Register(buffer_register(bay, f"StartAddr[{number}]"), "text", "0x000000000", exact=True)
        yield Register(buffer_register(bay, f"EndAddr[{number}]"), "text", "0x000000000", exact=True)
        yield Register(buffer_register(bay, f"Empty[{number}]"), "int", 1)
    yield Register(debug_select(bay), "int", low=0, high=BANDS_PER_BAY - 1)
    for name in capture_streams(bay):
        yield Register(name, "int", size=CAPTURE_SIZE, exact=True)


def _ramp() -> Iterator[Register]:
    yield Register(RAMP_RESET, "float", 2.0**31, low=0, high=2.0**32 - 1)
    yield Register(RTM + "RtmSpiSr:FastSlowStepSize", "int", low=0)
    for name in ("LowCycle", "HighCycle", "KRelay", "PulseWidth", "DebounceWidth", "RampStartMode", "SelectRamp"):
        yield Register(RTM + name, "int")
    for name in ("RampSlope", "ModeControl"):
        yield Register(RTM + "RtmSpiSr:" + name, "int")


def _configuration() -> Iterator[Register]:
    yield Register(CONFIGURED, "text", "False")
    yield Register("AMCc:SmurfApplication:ConfiguringInProgress", "text", "False")
    yield Register("AMCc:SmurfApplication:JesdStatus", "text", "Locked")
    yield Register("AMCc:ReadAll", "int")
    yield Register(SET_DEFAULTS, "int")
    yield Register(APP + "BUILD_DSP_G", "int", 2**NUM_BANDS - 1)
    for name in ("CpldReset", "resetRtm"):
        yield Register(RTM + name, "int")
    carrier = FPGA + "AmcCarrierCore:"
    timing = carrier + "AmcCarrierTiming:"
    yield Register(timing + "TimingFrameRx:RxLinkUp", "int", 1)
    for name in ("ChannelReg[0]:EnableReg", "ChannelReg[0]:DestType", "ChannelReg[0]:DestSel", "ChannelReg[0]:RateSel"):
        yield Register(timing + "EvrV2CoreTriggers:EvrV2" + name, "int")
    for name in ("TriggerReg[0]:EnableTrig", "TriggerReg[0]:Width"):
        yield Register(timing + "EvrV2CoreTriggers:EvrV2" + name, "int")
    for number in range(4):
        yield Register(f"{carrier}AxiSy56040:OutputConfig[{number}]", "int")


def _configuration_of_bay(bay: int) -> Iterator[Register]:
    core = f"{APP}MicrowaveMuxCore[{bay}]:"
    for name in (
        "DBG:enable",
        "DBG:dacReset[0]",
        "DBG:dacReset[1]",
        "LMK:enable",
        "LMK:LmkReg_0x0146",
        "LMK:LmkReg_0x0147",
    ):
        yield Register(core + name, "int")
    for number in range(16):
        yield Register(f"{FPGA}AppTop:AppTopJesd[{bay}]:JesdTx:dataOutMux[{number}]", "text", "UserData")
