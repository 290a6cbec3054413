"""Finds the values of a device configuration with which sodetlib would fail in the middle of an operation.

Device configurations are written by people and by older versions of sodetlib. Each problem says which value is wrong,
and what to do.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from numbers import Number
from pathlib import Path
from typing import Any, Final

from smurfq.core.card import NUM_BANDS, NUM_BIAS_GROUPS
from smurfq.core.card_wiring import Wiring, ranges
from smurfq.smurf_control.device_copy import SECTIONS

_BANDS_PER_AMC: Final = 4

_OWN: Final = {"good_threshold_relock": 0.5}  # smurfq's value, for the alarm of a relock

Table = Mapping[str, Any]


@dataclass(frozen=True)
class Defaults:
    """sodetlib's defaults of a device configuration, which name the values that it knows."""

    experiment: Table
    band: Table
    bias_group: Table


@cache
def sodetlib_defaults() -> Defaults | None:
    """Return sodetlib's defaults without importing sodetlib, which takes seconds; None if it is not installed."""
    found = importlib.util.find_spec("sodetlib")
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(found.submodule_search_locations[0]) / "det_config.py"
    spec = importlib.util.spec_from_file_location("_sodetlib_det_config", path)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Defaults(module.exp_defaults, module.band_defaults, module.bg_defaults)


def errors_in(table: Table, wiring: Wiring, defaults: Defaults) -> list[str]:
    """Return the problems of a device configuration with which no operation may start."""
    wrong = [name for name in SECTIONS if not isinstance(table.get(name), dict)]
    if wrong:
        return [f"{name} must be a table (`{name}: {{}}` if it is empty)" for name in wrong]
    return [
        *_texts(table["experiment"], "experiment", defaults.experiment),
        *_lists_of_groups(table["bias_groups"], defaults.bias_group),
        *_bands(table["bands"], defaults.band),
        *_active(table["experiment"], wiring),
    ]


def warnings_in(table: Table, defaults: Defaults) -> Iterator[str]:
    """Yield what may be unwanted in a device configuration without errors: obsolete values and dangerous gates."""
    known = {"experiment": {**defaults.experiment, **_OWN}, "bias_groups": defaults.bias_group, "bands": defaults.band}
    used = {
        "experiment": table["experiment"],
        "bias_groups": table["bias_groups"],
        "bands": {key for values in table["bands"].values() for key in values},
    }
    for section, names in used.items():
        if obsolete := sorted(str(name) for name in names if name not in known[section]):
            yield f"unknown to sodetlib, or obsolete, in {section}: {', '.join(obsolete)}"
    yield from dangerous_gates({**defaults.experiment, **table["experiment"]}, defaults)


def dangerous_gates(experiment: Table, defaults: Defaults) -> Iterator[str]:
    """Yield the gate voltages at which a search for an amplifier's current starts, and which may destroy it."""
    for amplifier in experiment.get("amps_to_bias") or ():
        name = f"amp_{amplifier}"
        found, first = experiment.get(f"{name}_gate_volt"), experiment.get(f"{name}_init_gate_volt")
        least: Any
        most: Any
        least, most = experiment.get(f"{name}_gate_volt_min"), experiment.get(f"{name}_gate_volt_max")
        usual = defaults.experiment.get(f"{name}_init_gate_volt")
        start: Any = first if found is None else found
        if not all(_is_number(value) for value in (start, least, most, usual)) or (
            "hemt" in amplifier and least == most == 0
        ):
            continue  # with these limits, sodetlib does not move the gate
        if found is None and "hemt" in amplifier and start < usual:
            yield (
                f"{name}_init_gate_volt is {start:g} V; sodetlib's is {usual:g} V, since -1 V breaks HEMTs made by ASU "
                "at once. Correct it, unless the amplifier's maker allows it"
            )
        if not least <= start <= most:
            source = f"{name}_{'init_' if found is None else ''}gate_volt"
            yield f"{source} is {start:g} V, outside the limits {least:g} to {most:g} V ({name}_gate_volt_min, _max)"


def _texts(values: Table, where: str, defaults: Table) -> Iterator[str]:
    """Yield the values that must be numbers, and are texts."""
    for key, value in values.items():
        if _takes_numbers(key, defaults):
            for text in _texts_in(value):
                yield f"{where}: {key} is the text {text!r}, and must be a number"


def _takes_numbers(key: str, defaults: Table) -> bool:
    if key not in defaults:
        return False
    default = defaults[key]
    if default is None:
        return not key.endswith("file")
    return all(_is_number(value) for value in default) if isinstance(default, list) else _is_number(default)


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from dict.fromkeys(one for one in value if isinstance(one, str))


def _lists_of_groups(groups: Table, defaults: Table) -> Iterator[str]:
    for key, values in groups.items():
        if not isinstance(values, list) or len(values) < NUM_BIAS_GROUPS:
            count = f"it has {len(values)}" if isinstance(values, list) else f"it is {values!r}"
            yield f"bias_groups: {key} must be a list with {NUM_BIAS_GROUPS} values; {count}"
    yield from _texts(groups, "bias_groups", defaults)


def _bands(bands: Table, defaults: Table) -> Iterator[str]:
    for name, values in bands.items():
        kind, _, number = str(name).lower().partition("[")
        most = {"amc": NUM_BANDS // _BANDS_PER_AMC, "band": NUM_BANDS}.get(kind, 0)
        if number not in {f"{index}]" for index in range(most)} or not isinstance(values, dict):
            yield f"bands: {name} must be a table AMC[0], AMC[1], or Band[0] to Band[{NUM_BANDS - 1}]"
            continue
        if kind == "amc":
            for key, of_bands in values.items():
                if not isinstance(of_bands, list) or len(of_bands) != _BANDS_PER_AMC:
                    yield f"bands: {name}: {key} must be a list with {_BANDS_PER_AMC} values; it is {of_bands!r}"
        yield from _texts(values, f"bands: {name}", defaults)


def _active(experiment: Table, wiring: Wiring) -> Iterator[str]:
    groups = list(wiring.bias_pairs)[:NUM_BIAS_GROUPS]
    if len(groups) < NUM_BIAS_GROUPS:
        yield (
            f"the pysmurf configuration has {len(groups)} usable bias groups, and sodetlib needs {NUM_BIAS_GROUPS}: "
            "list all in bias_group_to_pair, also those without detectors"
        )
    for key, allowed in (("active_bands", wiring.bands), ("active_bgs", groups)):
        if key not in experiment:
            continue
        wanted = experiment[key]
        if not isinstance(wanted, list) or not all(type(one) is int for one in wanted):
            yield f"experiment: {key} must be a list of whole numbers; it is {wanted!r}"
        elif wrong := set(wanted) - set(allowed):
            what = "bands" if key == "active_bands" else "bias groups"
            yield f"experiment: {key} has {ranges(wrong)}, but the slot has only {what} {ranges(allowed)}: remove them"


def _is_number(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, bool)


def first_of(problems: Iterable[str], most: int = 3) -> str:
    """Return the first problems in one line."""
    found = list(problems)
    return "; ".join(found[:most]) + (f"; and {len(found) - most} more" if len(found) > most else "")
