"""The session that an operation sees, as sodetlib uses it."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from smurfq.config import load
from smurfq.core.session import Event, SessionRecord
from smurfq.core.session_fold import Fold
from smurfq.errors import OperationAbortedError
from smurfq.operation_process import wire
from smurfq.operation_process.session import Session


class Seen:
    """A session, and what flows out of it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.flag = mmap.mmap(-1, 1)
        self.session = Session(
            emit=self.events.append,
            flag=self.flag,
            settings=load({}),
            slot="crate1slot2",
            session_id="id",
            op_name="take_iv",
            params={},
        )

    def record(self) -> SessionRecord:
        fold = Fold(SessionRecord("id"))
        fold.add("w", 0, self.events)
        return fold.finish()


@pytest.fixture
def seen() -> Iterator[Seen]:
    made = Seen()
    yield made
    made.flag.close()


def test_only_changes_of_observed_values_are_sent(seen: Seen) -> None:
    data = seen.session.data
    for at, mask in ((1.0, np.array([1, 2])), (2.0, np.array([1, 2])), (3.0, np.array([1, 2, 3]))):
        data.observe({"mask": mask, "tag": None, "last_update": at}, clock="last_update")
    told = [event["set"] for event in seen.events if event.get("kept", True)]
    assert told == [{"mask": [1, 2], "tag": None}, {"mask": [1, 2, 3]}]
    assert [event["set"] for event in seen.events if "kept" in event] == [{"last_update": at} for at in (1.0, 2.0, 3.0)]
    assert data["last_update"] == 3.0
    before = len(seen.events)
    data.send_changes()
    assert len(seen.events) == before


def test_items_are_sent_as_they_are_set(seen: Seen) -> None:
    data = seen.session.data
    data["Rn"] = np.array([1.0, np.nan])
    assert seen.record().data == {"Rn": [1.0, None]}
    data.update(a=1, b=2)
    data |= {"c": 3}
    data.setdefault("d", 4)
    data.setdefault("d", 5)
    del data["a"]
    assert data.pop("b") == 2
    assert data.pop("gone", None) is None
    assert seen.record().data == {"Rn": [1.0, None], "c": 3, "d": 4}
    assert data.popitem() == ("d", 4)
    seen.session.data = {"only": 1}
    assert seen.record().data == {"only": 1}
    data.clear()
    assert seen.record().data == {}


def test_items_changed_in_place_are_sent_at_the_end(seen: Seen) -> None:
    seen.session.data["list"] = [1]
    seen.session.data["list"].append(2)
    assert seen.record().data == {"list": [1]}
    seen.session.data.send_changes()
    assert seen.record().data == {"list": [1, 2]}
    before = len(seen.events)
    seen.session.data.send_changes()
    assert len(seen.events) == before


def test_sodetlibs_timestamps_are_stages(seen: Seen) -> None:
    seen.session.data["timestamps"] = [["setup_amps", 1.0]]
    seen.session.data["timestamps"] = [["setup_amps", 1.0], ["setup_tune", 2.0]]
    assert seen.record().stages == [["setup_amps", 1.0], ["setup_tune", 2.0]]


def test_sodetlibs_own_functions_work_on_it(seen: Seen) -> None:
    util = pytest.importorskip("sodetlib.util")

    class Publisher:
        def publish(self, *_args: Any, **_kwargs: Any) -> None:
            """Publish nothing: the session is what is looked at."""

    class Control:
        _ocs_session = seen.session
        pub = Publisher()

        def log(self, _text: str) -> None:
            """Log nothing."""

    util.set_session_data(Control, "noise", {"band_medians": np.array([60.0])})
    util.pub_ocs_log(Control(), "taking noise")
    util.stop_point(Control)
    assert seen.record().data == {"noise": {"band_medians": [60.0]}}
    assert [text for _, text in seen.record().messages] == ["taking noise"]
    seen.flag[0] = wire.ABORT
    with pytest.raises(util.OCSAbortError):
        util.stop_point(Control)


def test_a_stop_ends_a_wait_and_an_abort_raises(seen: Seen) -> None:
    assert seen.session.wait(0.0) is False
    assert (seen.session.status, seen.session.stop_requested) == ("running", None)
    seen.flag[0] = wire.STOP
    assert seen.session.wait(60.0) is True
    assert (seen.session.status, seen.session.stop_requested) == ("stopping", "stop")
    seen.session.stop_point()
    seen.flag[0] = wire.ABORT
    with pytest.raises(OperationAbortedError, match="take_iv on crate1slot2"):
        seen.session.wait(60.0)
