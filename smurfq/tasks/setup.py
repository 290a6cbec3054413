"""`uxm_setup` and `uxm_relock`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from smurfq.core.jsonsafe import dumps
from smurfq.core.results import GOOD_THRESHOLD, tracking_results
from smurfq.errors import OperationFailedError
from smurfq.operation.keywords import keywords
from smurfq.operation.session import Session
from smurfq.pool_child.operation_task import operation
from smurfq.smurf_control import open_slot, sodetlib_function, untuned_unless_done

TUNING = ("uxm_setup", "uxm_relock")  # what begins by turning all off, and leaves it so unless it comes to its end
_KEPT_CHARS = 20_000  # of an item of a failed run's summary; more are raw sweeps and figures


@operation
def uxm_setup(session: Session, *, bands: list[int] | None, kwargs: dict[str, Any] | None) -> None:
    """Set a UXM up from scratch. It is what a slot that has no tune yet begins with.

    Where it does not come to its end, the slot is left untuned: no tones, no flux ramp, no bias.

    Raises
    ------
    OperationFailedError
        sodetlib reported failure; ``data['summary']`` says how far it came.
    """
    wanted = keywords(session.op_name, kwargs, bands=bands)
    with open_slot(session, load_tune=False, streams=True) as (control, config), untuned_unless_done(session):
        _summary(session, control, config, **wanted)
        session.header(tunefile=config.dev.exp.get("tunefile"))


@operation
def uxm_relock(session: Session, *, bands: list[int] | None, kwargs: dict[str, Any] | None) -> None:
    """Lock a UXM on the resonators of its tune again, and count the channels that track well.

    The session is degraded where the bias group map at the end could not be analysed: sodetlib only prints that.
    Where it does not come to its end, the slot is left untuned: no tones, no flux ramp, no bias.

    Raises
    ------
    OperationFailedError
        sodetlib reported failure; ``data['summary']`` says how far it came.
    """
    wanted = keywords(session.op_name, kwargs, bands=bands)
    with open_slot(session, streams=True) as (control, config):
        _check_tuned(session, control, bands or config.dev.exp["active_bands"])
        with untuned_unless_done(session):
            summary = _summary(session, control, config, **wanted)
        tracking = summary["tracking_setup_results"]
        threshold = float(config.dev.exp.get("good_threshold_relock", GOOD_THRESHOLD))
        session.header(tunefile=config.dev.exp.get("tunefile"))
    results = tracking_results(tracking.filepath, tracking.bands, tracking.is_good, threshold)
    session.data.update(results.data)
    session.feed("tracking_results", results.feed)
    _note_bgmap(session, summary.get("bg_map"))


def _check_tuned(session: Session, control: Any, bands: Iterable[int]) -> None:
    """Return if the tune has all these bands: sodetlib would find that out with the slot turned off."""
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
    """The summary of a run of sodetlib's function of the session's operation, if it succeeds.

    It raises for some failures and returns false for others; its summary is kept either way.
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
                f"configuration say what counts as one (sodetlib: {type(error).__name__}: {error})",
                slot=session.slot,
                bands=bands,
            ) from error
        raise
    return _summary_of_success(session, found)


def _summary_of_success(session: Session, found: tuple[bool, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The summary of a run that sodetlib calls a success; what it returns says so."""
    succeeded, summary = found
    if succeeded:
        return summary
    _keep(session, summary)
    session.stop_point()
    stages = [name for name, _ in summary.get("timestamps", ())]
    raise OperationFailedError(
        f"sodetlib reports that {session.op_name} on {session.slot} failed at stage "
        f"{stages[-1] if stages else '?'}; data['summary'] has what it found, the session's log why",
        slot=session.slot,
        stage=stages[-1] if stages else None,
    )


def _left_by(error: BaseException, function: str) -> Mapping[str, Any]:
    """The summary as far as sodetlib's ``function`` had come with it when ``error`` went through it."""
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_name == function and "summary" in frame.tb_frame.f_locals:
            return dict(frame.tb_frame.f_locals["summary"])
        frame = frame.tb_next
    return {}


def _without_resonators(control: Any) -> list[int]:
    """The bands in which pysmurf has searched for resonators and found none."""
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
        "the channels are locked, but the bias group map was not analysed: the former one stays; the session's log "
        "has sodetlib's traceback, take_bgmap tries again"
    )


def _bounded(value: Any) -> Any:
    """``value``, or what it is where it is too long to be kept in a record."""
    return value if len(dumps(value)) <= _KEPT_CHARS else f"<{type(value).__name__}, left out>"
