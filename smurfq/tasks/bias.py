"""`overbias_tes`, `set_biases`, `zero_biases`, `bias_dets` and `all_off`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smurfq.errors import OperationFailedError, ParameterError
from smurfq.operation_process.earlier_runs import check_earlier
from smurfq.operation_process.keywords import keywords
from smurfq.operation_process.session import Session
from smurfq.pool_child.operation_task import operation
from smurfq.smurf_control import close_streams, open_slot, sodetlib_function, wiring_of

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
    """Set the bias voltage of bias groups in low-current mode, and read it back.

    Raises
    ------
    ParameterError
        The slot does not have these bias groups, or ``bias`` has another number of voltages than it has bias groups.
    OperationFailedError
        The voltages that are read back differ from those that were set, or the cryocard does not answer.
    """
    _volts_of(session, list(wiring_of(session.slot).bias_pairs), bias, bgs)
    with open_slot(session, load_tune=False, low_current=True, uses_device=False) as (control, _):
        _set(session, control, _volts_of(session, _groups_in_use(control), bias, bgs))


@operation
def zero_biases(session: Session, *, bgs: list[int] | None) -> None:
    """Set the bias voltage of bias groups to zero, and read it back.

    Raises
    ------
    ParameterError
        The slot does not have these bias groups.
    OperationFailedError
        A voltage that is read back is not zero.
    """
    _volts_of(session, list(wiring_of(session.slot).bias_pairs), 0.0, bgs)
    with open_slot(session, load_tune=False, uses_device=False) as (control, _):
        _set(session, control, _volts_of(session, _groups_in_use(control), 0.0, bgs))


@operation
def bias_dets(session: Session, *, rfrac: float | list[float] | None, kwargs: dict[str, Any] | None) -> None:
    """Bias the detectors into their transition, using the last IV.

    Raises
    ------
    OperationFailedError
        The slot has no IV yet.
    """
    with open_slot(session, load_tune=False, low_current=True) as (control, config):
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
    with open_slot(session, load_tune=False, uses_device=False) as (control, _):
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


def _groups_in_use(control: Any) -> list[int]:
    """Return the bias groups of an open slot, without those that share DACs with the cryocard's amplifiers."""
    groups: list[int] = control.bias_group_to_pair[:, 0].tolist()
    return groups


def _volts_of(
    session: Session, own: list[int], bias: float | Sequence[float], bgs: list[int] | None
) -> dict[int, float]:
    """Return the voltage of each bias group in ``bgs``, by default of all of the slot's ``own``."""
    if unknown := sorted(set(bgs or ()) - set(own)):
        raise ParameterError(
            f"{session.op_name}: {session.slot} has no bias group {', '.join(map(str, unknown))}; it has 0-{max(own)} "
            "(bias_group_to_pair of its pysmurf configuration)",
            operation=session.op_name,
            parameter="bgs",
            got=bgs,
            allowed=own,
        )
    groups = own if bgs is None else bgs
    volts = list(bias) if isinstance(bias, Sequence) else [bias] * len(groups)
    if len(volts) != len(groups):
        raise ParameterError(
            f"{session.op_name}: bias must be one number, or one for each of the {len(groups)} bias groups of "
            f"{session.slot}; got {len(volts)} numbers",
            operation=session.op_name,
            parameter="bias",
            got=len(volts),
        )
    return dict(zip(groups, volts, strict=True))


def _set(session: Session, control: Any, wanted_v: Mapping[int, float]) -> None:
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
