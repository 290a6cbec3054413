"""`stream`: a process that streams to g3 files for a given time or until it is stopped."""

from __future__ import annotations

import time
from typing import Any

from smurfq.errors import OperationFailedError, ParameterError
from smurfq.operation_process.keywords import keywords
from smurfq.operation_process.session import Session
from smurfq.pool_child.operation_task import operation
from smurfq.smurf_control import open_slot, sodetlib_function

_UPDATE_S = 1.0


@operation
def stream(
    session: Session,
    *,
    duration: float | None,
    kwargs: dict[str, Any] | None,
    load_tune: bool,
    stream_type: str,
    subtype: str | None,
    tag: str | None,
) -> None:
    """Stream until ``duration`` seconds after the stream has started, or until the operation is stopped.

    The stream is always closed at the end.

    Raises
    ------
    ParameterError
        The requested filter is impossible at the slot's flux ramp rate.
    OperationFailedError
        The streamer opened no file, or had another file or none open at the end.
    """
    wanted = keywords(session.op_name, kwargs, stream_type=stream_type, subtype=subtype, tag=tag)
    with open_slot(session, load_tune=load_tune, streams=True) as (control, config):
        _check_filter(wanted.get("filter_cutoff"), control.get_flux_ramp_freq() * 1000)
        session.data.update(stream_id=config.stream_id, stream_on=False)
        session.stage("stream_on")
        at_end = 0
        try:
            sid = int(sodetlib_function("stream.stream_g3_on")(control, **wanted))
            if not sid:
                raise OperationFailedError(
                    f"the streamer of {session.slot} opened no file within 5 s; is it running?",
                    slot=session.slot,
                )
            session.data.update(stream_on=True, sid=sid, last_updated=time.time())
            session.stage("streaming")
            _keep_on(session, duration)
        finally:
            session.stage("stream_off")
            at_end = int(sodetlib_function("stream.stream_g3_off")(control, emulator=wanted.get("emulator", False)))
            session.data.update(stream_on=False, last_updated=time.time())
        if at_end != sid:
            raise OperationFailedError(
                f"the streamer of {session.slot} began with session {sid} and had "
                f"{at_end or 'no file open'} at the end: the stream was closed meanwhile, by somebody else or because "
                "the streamer ended; the data until then may be on disk",
                slot=session.slot,
            )


def _check_filter(cutoff_hz: float | None, ramp_hz: float) -> None:
    if cutoff_hz is not None and cutoff_hz >= ramp_hz / 2:
        raise ParameterError(
            f"stream: filter_cutoff in kwargs must be below {ramp_hz / 2:g} Hz, half the flux ramp rate; got "
            f"{cutoff_hz:g} Hz",
            operation="stream",
            parameter="kwargs",
            got=cutoff_hz,
        )


def _keep_on(session: Session, duration_s: float | None) -> None:
    """Wait until ``duration_s`` is over or a stop is requested, and report the progress every second."""
    started = time.monotonic()
    while True:
        left_s = _UPDATE_S if duration_s is None else duration_s - (time.monotonic() - started)
        if left_s <= 0 or session.wait(min(_UPDATE_S, left_s)):
            return
        session.data.observe({"last_updated": time.time()}, clock="last_updated")
