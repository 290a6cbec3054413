"""A card's state is noted when a script first creates a channel, and never if it creates none."""

from __future__ import annotations

import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest

from smurfq.smurf_control import noting
from smurfq.smurf_control.card_state import CardState

STATE = CardState(streaming=0)


class Noted:
    """A session that keeps what is noted."""

    slot = "crate1slot2"

    def __init__(self) -> None:
        self.states: list[Any] = []

    def note_card(self, state: Any) -> None:
        """Keep a state."""
        self.states.append(state)


@pytest.fixture
def channels(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module in place of pyepics', which is not importable everywhere."""
    module: Any = types.ModuleType("epics.ca")
    module.create_channel = lambda name: f"channel {name}"
    module.initialize_libca = lambda: None
    monkeypatch.setitem(sys.modules, "epics.ca", module)
    monkeypatch.setattr(noting, "look_at_card", lambda slot: STATE)
    monkeypatch.setattr(noting, "refuse_foreign_stream", lambda slot: None)
    monkeypatch.setattr(noting, "_had_children", lambda: False)
    return module  # type: ignore[no-any-return]


def test_the_card_is_looked_at_once_before_the_first_channel(channels: Any) -> None:
    session: Any = Noted()
    with noting.card_is_noted(session):
        assert session.states == []
        assert channels.create_channel("a") == "channel a"
        assert channels.create_channel("b") == "channel b"
    assert session.states == [STATE.to_dict()]


def test_a_script_that_creates_no_channel_has_no_card_looked_at(channels: Any) -> None:
    session: Any = Noted()
    with noting.card_is_noted(session):
        pass
    assert session.states == []


def test_a_look_that_an_abort_cuts_short_is_made_again(channels: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that swallows the abort may go on and drive the card."""
    looks: Iterator[CardState | SystemExit] = iter([SystemExit("aborted"), STATE])

    def look(slot: str) -> CardState:
        found = next(looks)
        if isinstance(found, SystemExit):
            raise found
        return found

    monkeypatch.setattr(noting, "look_at_card", look)
    session: Any = Noted()
    with noting.card_is_noted(session):
        with pytest.raises(SystemExit):
            channels.create_channel("a")
        assert session.states == []
        assert channels.create_channel("a") == "channel a"
    assert session.states == [STATE.to_dict()]


def test_a_second_thread_waits_until_the_card_has_been_looked_at(
    channels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, done, order = threading.Event(), threading.Event(), []

    def look(slot: str) -> CardState:
        looks.set()
        assert not done.wait(0.2)
        order.append("looked")
        return STATE

    def create() -> None:
        assert looks.wait(10)
        channels.create_channel("b")
        order.append("created")
        done.set()

    monkeypatch.setattr(noting, "look_at_card", look)
    session: Any = Noted()
    with noting.card_is_noted(session):
        second = threading.Thread(target=create)
        second.start()
        channels.create_channel("a")
        second.join()
    assert order == ["looked", "created"]
    assert session.states == [STATE.to_dict()]


def test_a_state_that_children_may_have_changed_is_said_to_be_so(
    channels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noting, "_had_children", lambda: True)
    session: Any = Noted()
    with noting.card_is_noted(session):
        channels.initialize_libca()
        channels.create_channel("a")
    assert session.states == [STATE.to_dict(), None]


def test_the_child_that_channel_access_starts_is_none_of_the_scripts(
    channels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[str] = []
    channels.initialize_libca = lambda: children.append("caRepeater")
    monkeypatch.setattr(noting, "_had_children", lambda: bool(children))
    session: Any = Noted()
    with noting.card_is_noted(session):
        channels.initialize_libca()
        channels.create_channel("a")
    assert session.states == [STATE.to_dict()]


def test_a_module_that_is_imported_later_is_guarded_by_all_that_asked() -> None:
    """In a process of its own, which has imported nothing yet."""
    code = (
        "from smurfq.smurf_control.own_slot import when_loaded\n"
        "when_loaded({'wave': lambda module: print('first', module.WAVE_FORMAT_PCM)})\n"
        "when_loaded({'wave': lambda module: print('second', module.WAVE_FORMAT_PCM)})\n"
        "import wave\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert sorted(done.stdout.splitlines()) == ["first 1", "second 1"], done.stderr


def test_children_are_noticed() -> None:
    code = (
        "import subprocess\n"
        "from smurfq.smurf_control import noting\n"
        "before = noting._had_children()\n"
        "subprocess.run(['true'])\n"
        "print(before, noting._had_children())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "False True\n", done.stderr
