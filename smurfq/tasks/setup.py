"""`uxm_setup` and `uxm_relock`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from smurfq.core.jsonsafe import dumps
from smurfq.core.results import GOOD_THRESHOLD, tracking_results
from smurfq.errors import OperationFailedError, ParameterError
from smurfq.operation_process.keywords import keywords
from smurfq.operation_process.session import Session
from smurfq.pool_child.operation_task import operation
from smurfq.smurf_control import (
    check_amplifiers,
    open_slot,
    sodetlib_function,
    untuned_unless_done,
    wiring_of,
)

TUNING = ("uxm_setup", "uxm_relock")  # operations that first turn everything off, and leave it off unless they finish
_KEPT_CHARS = 20_000  # limit for an item of a failed run's summary; longer items are raw sweeps and figures


@operation
def uxm_setup(session: Session, *, bands: list[int] | None, kwargs: dict[str, Any] | None) -> None:
    """Set a UXM up from scratch. This is the first operation for a slot without a tune.

    If it does not finish, the slot is left untuned: no tones, no flux ramp, no bias.

    Raises
    ------
    ParameterError
        The slot does not have one of the ``bands``.
    OperationFailedError
        sodetlib reported failure, and ``data['summary']`` contains the results so far; or pysmurf does not know the
        firmware of the cryocard.
    """
    wanted = keywords(session.op_name, kwargs, bands=bands)
    _check_bands(session, bands)
    with (
        open_slot(session, load_tune=False, streams=True, low_current=True) as (control, config),
    ):
        check_amplifiers(session, control, config, wanted)
        with untuned_unless_done(session):
            _summary(session, control, config, **wanted)
        session.header(tunefile=config.dev.exp.get("tunefile"))


@operation
def uxm_relock(session: Session, *, bands: list[int] | None, kwargs: dict[str, Any] | None) -> None:
    """Lock a UXM again on the resonators of its tune, and count the channels that track well.

    The session is degraded if the bias group map at the end could not be analysed, which sodetlib only prints. If the
    operation does not finish, the slot is left untuned: no tones, no flux ramp, no bias.

    Raises
    ------
    ParameterError
        The slot does not have one of the ``bands``.
    OperationFailedError
        sodetlib reported failure, and ``data['summary']`` contains the results so far; or pysmurf does not know the
        firmware of the cryocard.
    """
    wanted = keywords(session.op_name, kwargs, bands=bands)
    _check_bands(session, bands)
    with open_slot(session, streams=True, low_current=True) as (control, config):
        _check_tuned(session, control, bands or config.dev.exp["active_bands"])
        check_amplifiers(session, control, config, wanted)
        with untuned_unless_done(session):
            summary = _summary(session, control, config, **wanted)
        tracking = summary["tracking_setup_results"]
        threshold = float(config.dev.exp.get("good_threshold_relock", GOOD_THRESHOLD))
        session.header(tunefile=config.dev.exp.get("tunefile"))
    results = tracking_results(tracking.filepath, tracking.bands, tracking.is_good, threshold)
    session.data.update(results.data)
    session.feed("tracking_results", results.feed)
    _note_bgmap(session, summary.get("bg_map"))


def _check_bands(session: Session, bands: Iterable[int] | None) -> None:
    """Check that the slot has these bands. sodetlib would raise only after it had turned the slot off."""
    own = wiring_of(session.slot).bands
    if missing := sorted(set(bands or ()) - set(own)):
        raise ParameterError(
            f"{session.op_name}: {session.slot} has no band {', '.join(map(str, missing))}; it has "
            f"{', '.join(map(str, own))} (band_N in init of its pysmurf configuration)",
            operation=session.op_name,
            parameter="bands",
            got=list(bands or ()),
            allowed=list(own),
        )


def _check_tuned(session: Session, control: Any, bands: Iterable[int]) -> None:
    """Check that the tune has all these bands. sodetlib would raise only after it had turned the slot off."""
    tuned = [int(band) for band, found in control.freq_resp.items() if "resonances" in found]
    missing = [int(band) for band in bands if band not in tuned]
    if missing:
        raise OperationFailedError(
            f"{session.op_name} on {session.slot}: the tune has no band {', '.join(map(str, missing))}; it has "
            f"{', '.join(map(str, tuned)) or 'none'} ({control.tune_file}). Give bands that it has, or run uxm_setup",
            slot=session.slot,
            bands=missing,
            needs="uxm_setup",
        )


def _summary(session: Session, control: Any, config: Any, **given: Any) -> Mapping[str, Any]:
    """Run sodetlib's function of the session's operation, and return its summary if it succeeds.

    The function raises for some failures and returns false for others. Its summary is kept in both cases.
    """
    name = session.op_name
    try:
        found = sodetlib_function(f"operations.{name}.{name}")(control, config, **given)
    except Exception as error:
        _keep(session, _left_by(error, name))
        if bands := _without_resonators(control):
            raise OperationFailedError(
                f"no resonator was found in band {', '.join(map(str, bands))} of {session.slot}: are the resonators "
                "cold, the cables connected, the amplifiers biased? res_amp_cut and res_grad_cut of the device "
                f"configuration set the thresholds (sodetlib: {type(error).__name__}: {error})",
                slot=session.slot,
                bands=bands,
            ) from error
        raise
    return _summary_of_success(session, found)


def _summary_of_success(session: Session, found: tuple[bool, Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the summary if sodetlib reports success, or raise."""
    succeeded, summary = found
    if succeeded:
        return summary
    _keep(session, summary)
    session.stop_point()
    stages = [name for name, _ in summary.get("timestamps", ())]
    raise OperationFailedError(
        f"sodetlib reports that {session.op_name} on {session.slot} failed at stage "
        f"{stages[-1] if stages else '?'}; data['summary'] has its results, the session's log the reason",
        slot=session.slot,
        stage=stages[-1] if stages else None,
    )


def _left_by(error: BaseException, function: str) -> Mapping[str, Any]:
    """Return the summary that sodetlib's ``function`` had filled when ``error`` passed through it."""
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_name == function and "summary" in frame.tb_frame.f_locals:
            return dict(frame.tb_frame.f_locals["summary"])
        frame = frame.tb_next
    return {}


def _without_resonators(control: Any) -> list[int]:
    """Return the bands in which pysmurf has searched for resonators and found none."""
    found = {band: (response or {}).get("find_freq") or {} for band, response in control.freq_resp.items()}
    return [int(band) for band, search in found.items() if "resonance" in search and len(search["resonance"]) == 0]


def _keep(session: Session, summary: Mapping[str, Any]) -> None:
    if summary:
        session.data["summary"] = {str(name): _bounded(value) for name, value in summary.items()}


def _note_bgmap(session: Session, analysis: Any) -> None:
    if getattr(analysis, "R0", None) is not None and getattr(analysis, "filepath", None):
        return
    session.degraded = True
    session.add_message(
        "the channels are locked, but the bias group map could not be analysed, so the earlier one is kept; the "
        "session's log has sodetlib's traceback; repeat with take_bgmap"
    )


def _bounded(value: Any) -> Any:
    """Return ``value``, or the name of its type if it is too long for a record."""
    return value if len(dumps(value)) <= _KEPT_CHARS else f"<{type(value).__name__}, left out>"
