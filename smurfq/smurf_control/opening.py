"""Opens a slot for an operation: a new SmurfControl and DetConfig that contain the operation's session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from smurfq.core.card_wiring import Wiring, ranges
from smurfq.errors import OperationAbortedError, OperationFailedError
from smurfq.smurf_control.card_state import CardState, look_at_card
from smurfq.smurf_control.configuration import load_config
from smurfq.smurf_control.connect_ahead import ConnectedAhead
from smurfq.smurf_control.current_mode import put_into_low_current
from smurfq.smurf_control.foreign_stream import foreign_stream, refuse_foreign_stream
from smurfq.smurf_control.libraries import versions
from smurfq.smurf_control.paths import apply_paths
from smurfq.smurf_control.publishing import number_only_what_is_sent
from smurfq.smurf_control.register_access import check_access
from smurfq.smurf_control.registers import card_answers, epics_root
from smurfq.smurf_control.scanning import limit_scans
from smurfq.smurf_control.session_protocol import SessionProtocol
from smurfq.smurf_control.wiring import wiring_of

_ANSWER_S: Final = 5.0


@contextmanager
def open_slot(
    session: SessionProtocol,
    *,
    load_tune: bool = True,
    reads_only: bool = False,
    streams: bool = False,
    low_current: bool = False,
    uses_device: bool = True,
) -> Iterator[tuple[Any, Any]]:
    """Open the session's slot: yield a SmurfControl and a DetConfig, with the slot's tune loaded.

    With ``reads_only``, no output folders are made and no files are opened for writing. sodetlib's own abort, raised at
    one of its stop points, becomes ``OperationAbortedError``. The card's state is noted before it is changed, so that
    the runner can restore it if the operation fails. ``streams`` is for operations that open a stream: no other stream
    may be open. ``low_current`` is for operations that set biases anew: all bias groups are put into low-current mode.
    Without ``uses_device``, wrong values in the device configuration are no error.

    Raises
    ------
    OperationFailedError
        The card does not answer, the slot has no tune although one is needed, a stream is open, or the bias groups
        cannot be put into low-current mode.
    OperationAbortedError
        The operation was aborted, and sodetlib ended at one of its stop points.
    ConfigError
        The slot's configuration files are missing.
    """
    from sodetlib.util import OCSAbortError

    ahead = ConnectedAhead(session)
    apply_paths(session.settings)
    config = load_config(session.settings, session.slot, uses_device=uses_device and not reads_only)
    session.header(software=versions(), simulated=session.settings.simulated)
    known = session.settings.stream_ids[session.slot]
    if config.stream_id != known:
        session.add_message(
            f"WARNING: the stream id of {session.slot} is {config.stream_id!r} in sys_config.yml, but was {known!r} "
            "when its worker started: restart the worker, and the smurf server if it has not been restarted since"
        )
    ahead.wait()
    if not card_answers(session.slot, _ANSWER_S):
        raise OperationFailedError(
            f"the card of {session.slot} does not answer: no {epics_root(session.slot)}:… within "
            f"{_ANSWER_S:g} s at EPICS_CA_ADDR_LIST={os.environ.get('EPICS_CA_ADDR_LIST', '')!r}. Is its "
            "smurf server running? If it is, the card may hang: restart_rssi may help",
            slot=session.slot,
        )
    state = CardState()
    if not reads_only:
        state = look_at_card(session.slot)
        session.note_card(state.to_dict())
        refuse_foreign_stream(session.slot)
        if streams and state.session_id:
            raise foreign_stream(session.slot, state.session_id)
    tune = _tune(config, session.slot) if load_tune else None
    number_only_what_is_sent(session)
    control = config.get_smurf_control(
        smurfpub_id=os.environ.get("SMURFPUB_ID", config.stream_id), **({"no_dir": True} if reads_only else {})
    )
    control._ocs_session = session
    _log_once(control.pub)
    check_access(control, session)
    limit_scans(control, session)
    wiring = wiring_of(session.slot).for_firmware(state.cryocard_major)
    if not reads_only:
        _leave_out_shared_groups(control, session, wiring)
    if low_current:
        put_into_low_current(control, session, state, wiring)
    if tune is not None:
        control.load_tune(tune)
        session.header(tunefile=tune)
    try:
        yield control, config
    except OCSAbortError as cause:
        raise OperationAbortedError(
            f"the operation on {session.slot} ended at one of sodetlib's stop points, as requested",
            slot=session.slot,
        ) from cause
    finally:
        ahead.remember_of(control)


def _leave_out_shared_groups(control: Any, session: SessionProtocol, wiring: Wiring) -> None:
    """Keep pysmurf and sodetlib from setting bias groups whose DACs hold the gate or the drain of an amplifier."""
    if not wiring.shared_groups:
        return
    import numpy as np

    if list(wiring.bias_pairs) != list(range(len(wiring.bias_pairs))):
        raise OperationFailedError(
            f"bias groups {ranges(wiring.shared_groups)} of {session.slot} have DACs that drive amplifiers. "
            "Remove them from bias_group_to_pair of its pysmurf configuration, and number the others from 0",
            slot=session.slot,
            bias_groups=wiring.shared_groups,
        )
    control.bias_group_to_pair = np.array([[group, *pair] for group, pair in wiring.bias_pairs.items()])
    control.n_bias_groups = len(wiring.bias_pairs)
    session.add_message(
        f"WARNING: bias groups {ranges(wiring.shared_groups)} of {session.slot} are not used and not zeroed: some of "
        "their DACs drive amplifiers of its cryocard, or may, if it does not answer. If they do, remove these groups "
        "from bias_group_to_pair of its pysmurf configuration"
    )


def _log_once(publisher: Any) -> None:
    """Make this publisher send no ``session_log``.

    sodetlib's ``pub_ocs_log`` passes each line to the session and also publishes it, so that it would be in the record
    twice. The session cannot lose a line.
    """
    publish = publisher.publish

    def publish_but_log(data: Any, msgtype: str = "general") -> None:
        if msgtype != "session_log":
            publish(data, msgtype)

    publisher.publish = publish_but_log


def _tune(config: Any, slot: str) -> str:
    """Return the tune file of the device configuration.

    A slot that was never set up has no tune file, for which pysmurf would raise an IndexError.
    """
    tune = config.dev.exp.get("tunefile")
    if tune and Path(tune).is_file():
        return str(tune)
    what = f"its tune file {tune} does not exist" if tune else "it has no tune"
    raise OperationFailedError(
        f"{slot} needs uxm_setup first: {what} (device configuration {config.dev_file})",
        slot=slot,
        needs="uxm_setup",
    )
