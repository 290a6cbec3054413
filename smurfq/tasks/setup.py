"""`uxm_setup` and `uxm_relock`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smurfq.core.jsonsafe import dumps
from smurfq.core.results import GOOD_THRESHOLD, tracking_results
from smurfq.errors import OperationFailedError
from smurfq.runner.session import Session
from smurfq.smurf_control import open_slot, sodetlib_function
from smurfq.tasks.keywords import keywords
from smurfq.tasks.task import operation

_KEPT_CHARS = 20_000  # of an item of a failed run's summary; more are raw sweeps and figures


@operation
def uxm_setup(session: Session, *, bands: list[int] | None = None, kwargs: dict[str, Any] | None = None) -> None:
    """Set a UXM up from scratch. It is what a slot that has no tune yet begins with.

    Raises
    ------
    OperationFailedError
        sodetlib reported failure; ``data['summary']`` says how far it came.
    """
    with open_slot(session, load_tune=False) as (control, config):
        found = sodetlib_function("operations.uxm_setup.uxm_setup")(control, config, **keywords(kwargs, bands=bands))
        _summary_of_success(session, found)
        session.header(tunefile=config.dev.exp.get("tunefile"))


@operation
def uxm_relock(session: Session, *, bands: list[int] | None = None, kwargs: dict[str, Any] | None = None) -> None:
    """Lock a UXM on the resonators of its tune again, and count the channels that track well.

    The session is degraded where the bias group map at the end could not be analysed: sodetlib only prints that.

    Raises
    ------
    OperationFailedError
        sodetlib reported failure; ``data['summary']`` says how far it came.
    """
    with open_slot(session) as (control, config):
        found = sodetlib_function("operations.uxm_relock.uxm_relock")(control, config, **keywords(kwargs, bands=bands))
        summary = _summary_of_success(session, found)
        tracking = summary["tracking_setup_results"]
        threshold = float(config.dev.exp.get("good_threshold_relock", GOOD_THRESHOLD))
        session.header(tunefile=config.dev.exp.get("tunefile"))
    results = tracking_results(tracking.filepath, tracking.bands, tracking.is_good, threshold)
    session.data.update(results.data)
    session.feed("tracking_results", results.feed)
    _note_bgmap(session, summary.get("bg_map"))


def _summary_of_success(session: Session, found: tuple[bool, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The summary of a run that sodetlib calls a success; what it returns says so, it raises for nothing."""
    succeeded, summary = found
    if succeeded:
        return summary
    session.data["summary"] = {str(name): _bounded(value) for name, value in summary.items()}
    session.stop_point()
    stages = [name for name, _ in summary.get("timestamps", ())]
    raise OperationFailedError(
        f"sodetlib reports that {session.op_name} on {session.slot} failed at stage "
        f"{stages[-1] if stages else '?'}; data['summary'] has what it found, the session's log why",
        slot=session.slot,
        stage=stages[-1] if stages else None,
    )


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
