"""The later steps of a canvas inherit headers from the first."""

from __future__ import annotations

import copy

from celery import Celery, chain, chord, group

from smurfq.core.message_headers import PRIORITY, fingerprint, handed_on, operations_in

app = Celery("none", set_as_current=False)


def step(name: str, **options: object) -> object:
    return app.signature(name, app=app, immutable=True).set(**options)


def test_each_operation_of_a_canvas_gets_headers_and_keeps_its_own() -> None:
    canvas = chain(
        step("a"),
        group(step("b", priority=9), chain(step("c"), step("d", headers={"own": 1}))),
        chord([step("e"), step("f")], step("g", link=step("h"), link_error=step("i"))),
    )
    before = copy.deepcopy(dict(canvas))
    told = handed_on(canvas, {PRIORITY: 0, "who": "ann"})
    found = {one["task"]: one["options"]["headers"] for one in operations_in(told)}
    assert found.keys() == set("abcdefgh")
    assert {name: headers[PRIORITY] for name, headers in found.items()} == {**dict.fromkeys("acdefgh", 0), "b": 9}
    assert {headers["who"] for headers in found.values()} == {"ann"}
    assert found["d"]["own"] == 1
    assert dict(canvas) == before


def test_a_fingerprint_does_not_depend_on_the_order_of_parameters() -> None:
    one = fingerprint("take_iv", "crate1slot2", {"tag": "cal", "kwargs": {"a": 1, "b": [2.0]}})
    assert one == fingerprint("take_iv", "crate1slot2", {"kwargs": {"b": [2.0], "a": 1}, "tag": "cal"})
    others = [
        fingerprint("take_iv", "crate1slot3", {"tag": "cal", "kwargs": {"a": 1, "b": [2.0]}}),
        fingerprint("take_noise", "crate1slot2", {"tag": "cal", "kwargs": {"a": 1, "b": [2.0]}}),
        fingerprint("take_iv", "crate1slot2", {"tag": "cal", "kwargs": {"a": 1, "b": [2.5]}}),
    ]
    assert one not in others
