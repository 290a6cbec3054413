"""Writes the configuration of a simulated site for pysmurf and sodetlib, and the initial tune of its slots.

The device configuration, which operations change, is written only once. The other files are written at each start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from smurfq.core.card import NUM_BANDS, NUM_BIAS_GROUPS
from smurfq.core.slot import SlotId
from smurfq.sim import wiring
from smurfq.sim.cryocard import amplifiers_of
from smurfq.sim.options import Folders
from smurfq.sim.radio.chain import ATTENUATION, TONE_POWER, delays_of
from smurfq.sim.radio.settings import SUB_BAND_MHZ, TURNS_AT_FULL_SCALE
from smurfq.sim.registers import band_center_mhz, sub_band_of
from smurfq.sim.tones import Scans, Tones
from smurfq.sim.wiring import Shape

_TUNED_AT: Final = 1_700_000_000  # time in the names, which pysmurf sorts: the slot's own tunes are newer
_RELAYS: Final = 16

# A simulated stage does not warm up when detectors are driven normal, so there is no need to wait until it has cooled.
# An amplifier's current settles at once.
_EXPERIMENT: Final = {"overbias_wait": 0.5, "overbias_sleep_time_sec": 2, "amp_step_wait_time": 0.01}


def write_site(folders: Folders, stream_ids: Mapping[str, str], pysmurf_table: Mapping[str, Any] | None = None) -> None:
    """Write `sys_config.yml` and pysmurf's configuration for slots, and create their folders.

    ``stream_ids`` has the stream id of each slot by place. ``pysmurf_table`` is a configuration to use with the
    simulator's folders and detectors, instead of its own.
    """
    found = [SlotId.parse(slot) for slot in stream_ids]
    below = ("smurf_cmd", "tune", "status", "bias_group_maps")  # folders that pysmurf expects
    for folder in (folders.config, folders.timestreams, *(folders.smurf_data / name for name in below)):
        folder.mkdir(parents=True, exist_ok=True)
    pysmurf = folders.config / "pysmurf.cfg"
    pysmurf.write_text(json.dumps(pysmurf_config(folders, found[0].slot, pysmurf_table), indent=1))
    system = {
        "crate_id": found[0].crate,
        "slot_order": [slot.slot for slot in found],
        "shelf_manager": "simulated",
        "comm_type": "eth",
        "g3_dir": str(folders.timestreams),
        "slots": {
            f"SLOT[{slot.slot}]": {
                "stream_id": stream_ids[str(slot)],
                "pysmurf_config": str(pysmurf),
                "device_config": str(_device_file(folders, str(slot))),
            }
            for slot in found
        },
    }
    (folders.config / "sys_config.yml").write_text(yaml.safe_dump(system, sort_keys=False))


def write_slot(
    folders: Folders,
    slot: str,
    tones: Tones,
    bias_group: Mapping[tuple[int, int], int],
    scans: Scans,
    shape: Shape | None = None,
) -> Path:
    """Write a slot's tune, channel assignments and (unless it exists) device configuration; return the tune's path.

    ``bias_group`` has the bias group of each (band, channel), ``scans`` the sweep of its resonator.
    """
    shape = shape or Shape()
    tune_dir = folders.smurf_data / "tune" / slot
    tune_dir.mkdir(parents=True, exist_ok=True)
    tune_file = tune_dir / f"{_TUNED_AT}_tune.npy"
    tune: dict[int, Any] = {}
    for band in shape.wiring.bands:
        channels = np.flatnonzero(tones.power[band])
        channels = channels[np.argsort([sub_band_of(channel) for channel in channels.tolist()])]
        rows = [
            [tones.frequency_mhz(band, channel), sub_band_of(channel), channel, bias_group.get((band, channel), -1)]
            for channel in channels.tolist()
        ]
        path = tune_dir / f"{_TUNED_AT}_channel_assignment_b{band}.txt"
        np.savetxt(path, np.array(rows).reshape(-1, 4), fmt="%.4f,%i,%i,%i")
        tune[band] = _tuned_band(band, rows, tones, scans, str(path))
    np.save(tune_file, np.array(tune, dtype=object), allow_pickle=True)
    _write_device(folders, slot, _tuned_device(str(tune_file), shape))
    return tune_file


def write_cold_slot(folders: Folders, slot: str, shape: Shape | None = None) -> None:
    """Write the device configuration of a slot that was never set up, unless it exists."""
    (folders.smurf_data / "tune" / slot).mkdir(parents=True, exist_ok=True)
    _write_device(folders, slot, {"experiment": _experiment(shape or Shape()), "bias_groups": {}, "bands": {}})


def pysmurf_config(folders: Folders, slot: int, table: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the content of pysmurf's configuration file, which describes the wiring of the simulated card.

    ``table`` replaces all but the folders and the values that belong to the simulated detectors.
    """
    data = str(folders.smurf_data)
    own = {
        "epics_root": f"smurf_server_s{slot}",
        "R_sh": wiring.SHUNT_OHM,
        "constant": {"pA_per_phi0": wiring.PA_PER_PHI0},
        "default_data_dir": data,
        "smurf_cmd_dir": f"{data}/smurf_cmd",
        "tune_dir": f"{data}/tune",
        "status_dir": f"{data}/status",
    }
    return {**(table if table is not None else _usual_table()), **own}


def _usual_table() -> dict[str, Any]:
    return {
        "init": {"dspEnable": 1, **{f"band_{band}": _band(band) for band in range(NUM_BANDS)}},
        "attenuator": {f"att{number + 1}": number for number in range(4)},
        "pic_to_bias_group": {str(relay): relay for relay in range(_RELAYS)},
        "bias_group_to_pair": {str(group): [2 * group + 1, 2 * group + 2] for group in range(NUM_BIAS_GROUPS)},
        "amplifier": _AMPLIFIER,
        "tune_band": _tune_band(),
        "bias_line_resistance": wiring.BIAS_LINE_OHM,
        "high_low_current_ratio": wiring.HIGH_CURRENT_RATIO,
        "high_current_mode_bool": 0,
        "all_bias_groups": list(range(NUM_BIAS_GROUPS)),
        "flux_ramp": {"num_flux_ramp_counter_bits": 32},
        "timing": {"timing_reference": "backplane"},
        "fs": 200.0,
    }


def _band(band: int) -> dict[str, Any]:
    return {
        "feedbackGain": 2048,
        "feedbackLimitkHz": 225,
        "att_uc": ATTENUATION,
        "att_dc": ATTENUATION,
        "amplitude_scale": TONE_POWER,
        "trigRstDly": 15,
        "lmsGain": 0,
        "bandDelayUs": delays_of(band).total_us,
        "lmsDelay": 0,
    }


_AMPLIFIER: Final = {
    "50k_Id_offset": 0.3867,
    "LNA_Vg": -0.5,
    "bit_to_V_50k": 3.88e-06,
    "bit_to_V_hemt": 1.93e-06,
    "dac_num_50k": 32,
    "hemt_Id_offset": 0.9668,
    "hemt_Vg": -0.8,
    "hemt_gate_max_voltage": 1.0,
    "hemt_gate_min_voltage": -1.0,
}


def _tune_band() -> dict[str, Any]:
    per_band = {
        "lms_freq": 20000.0,
        "delta_freq": 0.02,
        "feedback_start_frac": 0.02,
        "feedback_end_frac": 0.98,
        "gradient_descent_gain": 0.001,
        "gradient_descent_averages": 2,
        "gradient_descent_converge_hz": 500,
        "gradient_descent_momentum": 1,
        "gradient_descent_step_hz": 5000,
        "gradient_descent_beta": 0.1,
        "eta_scan_averages": 10,
        "eta_scan_del_f": 10000,
    }
    bands = [str(band) for band in range(NUM_BANDS)]
    each = {name: dict.fromkeys(bands, value) for name, value in per_band.items()}
    return {
        "fraction_full_scale": round(wiring.TURNS_PER_RAMP / TURNS_AT_FULL_SCALE, 6),
        "reset_rate_khz": wiring.FLUX_RAMP_HZ / 1000,
        **each,
    }


def _tuned_band(band: int, rows: list[list[Any]], tones: Tones, scans: Scans, assignment: str) -> dict[str, Any]:
    resonances = {}
    for number, (frequency, sub_band, channel, _group) in enumerate(rows):
        eta = complex(tones.eta[band, channel])
        swept_mhz, response = scans.get((band, channel), (None, None))  # pysmurf, too, writes None
        resonances[number] = {
            "freq": np.float64(frequency),  # pysmurf's relock compares this with a list, by numpy's rules
            "eta": eta,
            "eta_scaled": abs(eta) / SUB_BAND_MHZ,
            "eta_phase": float(np.degrees(np.angle(eta))),
            "eta_mag": abs(eta),
            "r2": 1.0,
            "Q": 1.0,
            "latency": 0.0,
            "subband": sub_band,
            "channel": channel,
            "offset": float(tones.center_mhz[band, channel]),
            "freq_eta_scan": swept_mhz,
            "resp_eta_scan": response,
        }
    found = np.array([row[0] for row in rows]) - band_center_mhz(band)
    return {
        "lock_status": {},
        "find_freq": {"resonance": found, "timestamp": str(_TUNED_AT)},
        "tone_power": TONE_POWER,
        "channel_assignment": assignment,
        "resonances": resonances,
    }


def _tuned_device(tune_file: str, shape: Shape) -> dict[str, Any]:
    """Return the device configuration after a setup."""
    volts = {}
    for amplifier in amplifiers_of(shape.firmware).values():
        volts[f"amp_{amplifier.name}_gate_volt"] = amplifier.at_gate_v
        if amplifier.drain_dac is not None:
            volts[f"amp_{amplifier.name}_drain_volt"] = amplifier.drain_v
    bands = {
        f"Band[{band}]": {
            "uc_att": ATTENUATION,
            "dc_att": ATTENUATION,
            "tone_power": TONE_POWER,
            "band_delay_us": delays_of(band).total_us,
            "frac_pp": wiring.TURNS_PER_RAMP / TURNS_AT_FULL_SCALE,
            "lms_freq_hz": wiring.TURNS_PER_RAMP * wiring.FLUX_RAMP_HZ,
        }
        for band in shape.wiring.bands
    }
    return {"experiment": {**_experiment(shape), **volts, "tunefile": tune_file}, "bias_groups": {}, "bands": bands}


def _experiment(shape: Shape) -> dict[str, Any]:
    """Return the values of the experiment that differ from sodetlib's: its waits, and bands that the card lacks."""
    bands = list(shape.wiring.bands)
    return _EXPERIMENT if len(bands) == NUM_BANDS else {**_EXPERIMENT, "active_bands": bands}


def _write_device(folders: Folders, slot: str, device: dict[str, Any]) -> None:
    path = _device_file(folders, slot)
    if not path.exists():
        path.write_text(yaml.safe_dump(device))


def _device_file(folders: Folders, slot: str) -> Path:
    return folders.config / f"device_{slot}.yml"
