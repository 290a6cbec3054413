"""`overbias_tes`, `set_biases`, `zero_biases`, `bias_dets` and `all_off`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smurfq.core.card import NUM_BIAS_GROUPS
from smurfq.errors import OperationFailedError, ParameterError
from smurfq.operation_process.earlier_runs import check_earlier
from smurfq.operation_process.keywords import keywords
from smurfq.operation_process.session import Session
from smurfq.pool_child.operation_task import operation
from smurfq.smurf_control import close_streams, open_slot, sodetlib_function

_READ_BACK_V = 1e-4  # tolerance; a pair of DACs has steps of 3.8e-5 V


@operation
def overbias_tes(session: Session, *, bgs: list[int] | None, kwargs: dict[str, Any] | None) -> None:
    """Drive the detectors normal with a high bias for a short time.

    Raises
    ------
    ParameterError
        ``biases`` in ``kwargs`` is too short. sodetlib would raise only after it had driven the detectors normal.
    """
    wanted = keywords(session.op_name, kwargs, bias_groups=bgs)
    with open_slot(session, load_tune=False) as (control, config):
        _check_one_for_each(wanted.get("biases"), bgs or config.dev.exp["active_bgs"])
        sodetlib_function("util.overbias_dets")(control, config, **wanted)


@operation
def set_biases(session: Session, *, bias: float | Sequence[float], bgs: list[int] | None) -> None:
    """Set the bias voltage of bias groups, and read it back.

    Raises
    ------
    OperationFailedError
        The voltages that are read back differ from those that were set.
    """
    groups = list(range(NUM_BIAS_GROUPS)) if bgs is None else bgs
    volts = list(bias) if isinstance(bias, Sequence) else [bias] * len(groups)
    _set(session, dict(zip(groups, volts, strict=True)))


@operation
def zero_biases(session: Session, *, bgs: list[int] | None) -> None:
    """Set the bias voltage of bias groups to zero, and read it back.

    Raises
    ------
    OperationFailedError
        A voltage that is read back is not zero.
    """
    _set(session, dict.fromkeys(range(NUM_BIAS_GROUPS) if bgs is None else bgs, 0.0))


@operation
def bias_dets(session: Session, *, rfrac: float | list[float] | None, kwargs: dict[str, Any] | None) -> None:
    """Bias the detectors into their transition, using the last IV.

    Raises
    ------
    OperationFailedError
        The slot has no IV yet.
    """
    with open_slot(session, load_tune=False) as (control, config):
        check_earlier(session.op_name, session.slot, config, "take_iv")
        biases = sodetlib_function("operations.bias_dets.bias_to_rfrac")(
            control, config, **keywords(session.op_name, kwargs, rfrac=rfrac)
        )
        session.data["biases"] = biases.tolist()


@operation
def all_off(session: Session, *, disable_amps: bool, disable_tones: bool) -> None:
    """Turn off tones, flux ramp, biases and amplifiers; close streams and stop waveforms.

    Raises
    ------
    OperationFailedError
        A stream or a waveform could not be turned off.
    """
    with open_slot(session, load_tune=False) as (control, _):
        if disable_tones:
            control.all_off()
        if disable_amps:
            control.C.write_ps_en(0)
        closed = close_streams(session.slot, session.settings.limits.close_stream_s)
        session.data["streams"] = closed["text"]
        if closed["left_on"]:
            raise OperationFailedError(
                f"all_off on {session.slot} could not turn off: {closed['left_on']}; check the card",
                slot=session.slot,
            )


def _check_one_for_each(biases: list[float] | None, groups: Sequence[int]) -> None:
    if biases is not None and len(biases) <= max(groups):
        raise ParameterError(
            f"overbias_tes: biases in kwargs must be a list with the voltages of bias groups 0 to {max(groups)}; "
            f"got {len(biases)} voltages",
            operation="overbias_tes",
            parameter="kwargs",
            got=len(biases),
        )


def _set(session: Session, wanted_v: Mapping[int, float]) -> None:
    with open_slot(session, load_tune=False) as (control, _):
        for group, volts in wanted_v.items():
            control.set_tes_bias_bipolar(group, volts)
        read_v = control.get_tes_bias_bipolar_array().tolist()
    session.data["biases"] = read_v
    wrong = {group: read_v[group] for group, volts in wanted_v.items() if abs(read_v[group] - volts) > _READ_BACK_V}
    if wrong:
        raise OperationFailedError(
            f"bias groups of {session.slot} read back other voltages than were set: "
            + ", ".join(f"{group}: {wanted_v[group]:g} V set, {volts:g} V read" for group, volts in wrong.items()),
            slot=session.slot,
        )
