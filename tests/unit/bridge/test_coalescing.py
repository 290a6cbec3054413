"""When the bridge waits before it writes."""

from __future__ import annotations

from smurfq.bridge.coalescing import BURST, PAUSE_S, PROBE_AFTER, WRITES_PER_S, Coalescing


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_writes_are_not_paused_while_they_are_few() -> None:
    clock = Clock()
    coalescing = Coalescing(clock)
    for _ in range(1000):
        assert coalescing.pause_s(1, more=False) == 0.0
        clock.now += 1.01 / WRITES_PER_S


def test_writes_are_paused_under_load_but_never_while_others_wait() -> None:
    clock = Clock()
    coalescing = Coalescing(clock)
    pauses = [coalescing.pause_s(10, more=False) for _ in range(300)]
    assert not any(pauses[: int(BURST) - 1])
    assert set(pauses[int(BURST) :]) == {PAUSE_S}
    assert coalescing.pause_s(10, more=True) == 0.0


def test_who_waits_for_each_message_to_be_seen_is_hardly_slowed_down() -> None:
    coalescing = Coalescing(Clock())
    pauses = [coalescing.pause_s(1, more=False) for _ in range(1000)]
    assert 0 < sum(pause > 0 for pause in pauses) <= 1000 / PROBE_AFTER
