"""The decisions to stop, abort, signal and kill an operation, as values; no process and no clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smurfq.operation_process import wire
from smurfq.pool_child.abort import Stage, Why
from smurfq.pool_child.end_request import AbortRequest, EndRequest, StopRequest, requests_to_end
from smurfq.pool_child.termination import EXIT_WITHIN_S, Actions, Termination

AT = 1000.0  # the time of events
NOTHING = Actions()


def ten_five() -> Termination:
    """Return the termination of an operation that has 10 s from the abort to the signal, and 5 s more to the kill."""
    return Termination(abort_grace_s=10.0, kill_grace_s=5.0)


def ask(termination: Termination, request: EndRequest, now: float) -> Actions:
    """Make a request, and return what is due at once."""
    first = termination.ask(request, now, AT)
    second = termination.advance(now, AT)
    flag = first.flag if second.flag is None else second.flag
    return Actions(flag, first.events + second.events, second.signal, second.kill)


def texts(actions: Actions) -> list[str]:
    """Return the messages and stages that an action adds to the record."""
    return [event.get("text") or event.get("name") or event["set"]["status"] for event in actions.events]


def test_an_abort_asks_then_signals_then_kills() -> None:
    termination = ten_five()
    asked = ask(termination, AbortRequest("root@vm", "wrong bias"), now=100.0)
    assert (asked.flag, asked.signal, asked.kill) == (wire.ABORT, False, False)
    assert texts(asked) == ["stopping", "abort, by root@vm: wrong bias", "abort: asked"]
    assert {event["t"] for event in asked.events} == {AT}
    assert termination.advance(109.9, AT) == NOTHING
    signalled = termination.advance(110.0, AT)
    assert (signalled.flag, signalled.signal, signalled.kill) == (None, True, False)
    assert texts(signalled) == ["abort: signalled"]
    assert termination.advance(114.9, AT) == NOTHING
    killed = termination.advance(115.0, AT)
    assert (killed.flag, killed.signal, killed.kill) == (None, False, True)
    assert texts(killed) == ["abort: killed"]
    assert termination.advance(999.0, AT) == NOTHING
    assert termination.next_at() is None


def test_each_stage_says_when_the_next_is_due() -> None:
    termination = ten_five()
    assert termination.next_at() is None
    termination.ask(AbortRequest("x", "y", delay_s=2.0), 100.0, AT)
    due = []
    while (at := termination.next_at()) is not None:
        due.append(at)
        termination.advance(at, AT)
    assert due == [102.0, 112.0, 117.0]


def test_a_request_may_bring_its_own_grace() -> None:
    termination = ten_five()
    ask(termination, AbortRequest("smurfq", "an emergency operation waits", grace_s=0.5), now=0.0)
    assert termination.advance(0.5, AT).signal
    assert termination.advance(1.0, AT).kill


def test_stages_that_were_missed_are_recorded_only_as_far_as_they_matter() -> None:
    termination = ten_five()
    killed = ask(termination, AbortRequest("x", "y", grace_s=0.0), now=0.0)
    assert (killed.flag, killed.signal, killed.kill) == (wire.ABORT, False, True)
    assert texts(killed) == ["stopping", "abort, by x: y", "abort: asked", "abort: killed"]


def test_a_time_limit_ends_an_operation_in_the_same_stages() -> None:
    termination = ten_five()
    termination.limit(60.0, now=0.0)
    assert termination.advance(59.9, AT) == NOTHING
    assert termination.plan is None
    asked = termination.advance(60.0, AT)
    assert texts(asked)[1] == "time limit, by smurfq: it ran past its time limit of 60 s"
    assert termination.advance(70.0, AT).signal
    assert termination.advance(75.0, AT).kill
    assert termination.plan is not None
    assert termination.plan.why is Why.TIME_LIMIT


def test_an_abort_before_the_time_limit_is_the_reason() -> None:
    termination = ten_five()
    termination.limit(60.0, now=0.0)
    ask(termination, AbortRequest("root@vm", "wrong bias"), now=50.0)
    assert termination.plan is not None
    assert (termination.plan.why, termination.plan.by) == (Why.ABORT, "root@vm")


def test_a_second_abort_keeps_the_first_reason_and_may_end_it_sooner() -> None:
    termination = ten_five()
    ask(termination, AbortRequest("first", "wrong bias"), now=0.0)
    sooner = ask(termination, AbortRequest("second", "now", grace_s=1.0), now=2.0)
    assert sooner == NOTHING
    assert termination.advance(3.0, AT).signal
    assert termination.advance(4.0, AT).kill
    assert termination.plan is not None
    assert termination.plan.by == "first"
    later = ten_five()
    ask(later, AbortRequest("first", "wrong bias", grace_s=1.0), now=0.0)
    ask(later, AbortRequest("second", "at leisure", grace_s=100.0), now=0.5)
    assert later.advance(1.0, AT).signal


def test_a_stop_sets_the_flag_and_never_signals() -> None:
    termination = ten_five()
    stopped = ask(termination, StopRequest("root@vm", "enough"), now=0.0)
    assert (stopped.flag, stopped.signal, stopped.kill) == (wire.STOP, False, False)
    assert texts(stopped) == ["stopping", "stop asked for by root@vm: enough"]
    assert termination.is_stopped
    assert termination.advance(1e6, AT) == NOTHING
    assert (termination.stage, termination.plan) == (Stage.NONE, None)


def test_a_stop_can_be_followed_but_not_preceded_by_an_abort() -> None:
    termination = ten_five()
    ask(termination, StopRequest(), now=0.0)
    assert ask(termination, AbortRequest("x", "it takes too long"), now=1.0).flag == wire.ABORT
    assert ask(termination, StopRequest(), now=2.0) == NOTHING
    aborted = ten_five()
    ask(aborted, AbortRequest("x", "y"), now=0.0)
    ask(aborted, StopRequest(), now=1.0)
    assert not aborted.is_stopped


def test_a_process_whose_worker_stops_has_the_grace_to_end_by_itself() -> None:
    termination = ten_five()
    for request in requests_to_end("the worker is being stopped", is_process=True, delay_s=30.0):
        termination.ask(request, 0.0, AT)
    assert termination.is_stopped
    assert termination.advance(29.9, AT) == NOTHING
    assert texts(termination.advance(30.0, AT))[1] == "abort, by smurfq: the worker is being stopped"


def test_any_other_operation_whose_worker_stops_is_aborted_after_the_grace() -> None:
    assert requests_to_end("the worker is being stopped", is_process=False, delay_s=30.0) == [
        AbortRequest("smurfq", "the worker is being stopped", delay_s=30.0)
    ]


def test_an_operation_that_has_given_its_result_is_not_aborted_but_must_exit() -> None:
    termination = ten_five()
    ask(termination, AbortRequest("x", "y"), now=0.0)
    termination.take_result(now=9.0)
    assert termination.advance(100.0, AT) == NOTHING
    assert termination.stage is Stage.ASKED
    assert termination.next_at() == 9.0 + EXIT_WITHIN_S
    assert not termination.is_exit_overdue(9.0 + EXIT_WITHIN_S - 0.1)
    assert termination.is_exit_overdue(9.0 + EXIT_WITHIN_S)


def test_an_operation_without_a_result_is_never_overdue() -> None:
    assert not ten_five().is_exit_overdue(1e9)


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50), st.floats(0, 50)), min_size=1, max_size=4),
    st.lists(st.floats(0, 300), max_size=10),
)
def test_whatever_is_asked_the_operation_is_asked_first_and_signalled_and_killed_at_most_once(
    requests: list[tuple[float, float, float]], looks: list[float]
) -> None:
    termination = ten_five()
    todo = sorted([(now, AbortRequest("x", "y", grace_s, delay_s)) for now, grace_s, delay_s in requests], key=str)
    moments: list[tuple[float, EndRequest | None]] = [*todo, *((now, None) for now in looks), (1e6, None)]
    done: list[Actions] = []
    for now, request in sorted(moments, key=lambda moment: moment[0]):
        if request is not None:
            termination.ask(request, now, AT)
        done.append(termination.advance(now, AT))
    acted = [actions for actions in done if actions != NOTHING]
    assert acted[0].flag == wire.ABORT
    assert all(actions.flag is None for actions in acted[1:])
    assert sum(actions.signal for actions in acted) <= 1
    assert [actions.kill for actions in acted] == [False] * (len(acted) - 1) + [True]
