"""Requests to a running operation, and how the control listener translates those of users."""

from __future__ import annotations

import pytest

from smurfq.pool_child.control_listener import end_request
from smurfq.pool_child.end_request import AbortRequest, EndRequest, StopRequest, requests_to_end
from smurfq.store.control_requests import Request


@pytest.mark.parametrize(
    ("request_", "is_process", "expected"),
    [
        (Request("stop", "root@vm", "enough"), True, StopRequest("root@vm", "enough")),
        (Request("stop", "root@vm", "enough"), False, AbortRequest("root@vm", "enough")),
        (Request("stop"), False, AbortRequest("somebody", "stop asked for")),
        (Request("abort"), True, AbortRequest("somebody", "abort asked for")),
        (Request("abort", "x", "y", 5.0, 2.0, 3.0), True, AbortRequest("x", "y", grace_s=2.0, delay_s=3.0)),
        (Request("closed"), True, None),
    ],
)
def test_a_request_is_translated_for_the_supervisor(
    request_: Request, is_process: bool, expected: EndRequest | None
) -> None:
    assert end_request(request_, is_process=is_process) == expected


def test_only_a_process_is_asked_to_stop_before_it_is_aborted() -> None:
    abort = AbortRequest("smurfq", "its workflow is over", delay_s=60.0)
    assert requests_to_end("its workflow is over", is_process=True, delay_s=60.0) == [
        StopRequest("smurfq", "its workflow is over"),
        abort,
    ]
    assert requests_to_end("its workflow is over", is_process=False, delay_s=60.0) == [abort]


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        (StopRequest(), "stop asked for"),
        (StopRequest("root@vm"), "stop asked for by root@vm"),
        (StopRequest(reason="enough"), "stop asked for: enough"),
        (StopRequest("root@vm", "enough"), "stop asked for by root@vm: enough"),
    ],
)
def test_a_stop_is_recorded_with_what_is_known_of_it(stop: StopRequest, text: str) -> None:
    assert str(stop) == text
