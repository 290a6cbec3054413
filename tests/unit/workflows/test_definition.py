"""Workflows are found, their files are read without being run, and their parameters are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smurfq.errors import ParameterError, UnknownWorkflowError
from smurfq.workflows import available, catalogue, definition

FILE = '''
from smurfq.workflows import run_operation, workflow

@workflow
def observe(
    duration_s: float,
    count: int = 2,
    tag: "str | None" = None,
    fast: bool = False,
    rfrac: tuple[float, float] = (0.2, 0.9),
    bands: list[int] | None = None,
    kwargs: dict[str, object] | None = None,
    *,
    anything=3,
) -> list[object]:
    """Does a thing.

    More of it.
    """
    return [duration_s, count, tag, fast, rfrac, bands, kwargs, anything]
'''


@pytest.fixture
def observe(tmp_path: Path) -> definition.Definition:
    path = tmp_path / "observe.py"
    path.write_text(FILE)
    return catalogue.find(str(path), [tmp_path])


def test_a_file_is_read_without_being_run(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text(FILE + "\nraise SystemExit('it was run')\n")
    found = definition.read(path, path.read_bytes())
    assert (found.name, found.summary, found.function) == ("bad", "Does a thing.", "observe")
    assert found.parameters[0].to_dict() == {"name": "duration_s", "required": True, "allowed": "a number", "doc": ""}
    assert found.parameters[4].to_dict()["default"] == [0.2, 0.9]


def test_it_is_run_with_what_was_given(observe: definition.Definition) -> None:
    assert observe.run({"duration_s": 5}) == [5.0, 2, None, False, (0.2, 0.9), None, None, 3]
    given = {"duration_s": 0.5, "count": 1, "tag": "a", "fast": True, "rfrac": [1, 2], "bands": [0], "kwargs": {"a": 1}}
    assert observe.run({**given, "anything": "x"}) == [0.5, 1, "a", True, (1.0, 2.0), [0], {"a": 1}, "x"]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "parameter duration_s is missing; it must be a number"),
        ({"duration_s": "5"}, "parameter duration_s must be a number; got '5'"),
        ({"duration_s": True}, "must be a number"),
        ({"duration_s": float("nan")}, "must be a number"),
        ({"duration_s": 1, "duration": 2}, "did you mean 'duration_s'"),
        ({"duration_s": 1, "zzz": 2}, "known are duration_s, count"),
        ({"duration_s": 1, "count": 1.5}, "count must be a whole number; got 1.5"),
        ({"duration_s": 1, "tag": 5}, "tag must be a text, or null"),
        ({"duration_s": 1, "fast": 1}, "fast must be true or false"),
        ({"duration_s": 1, "rfrac": [0.1]}, "rfrac must be a list of 2: a number, a number"),
        ({"duration_s": 1, "bands": [0, "x"]}, "bands must be a list, each item a whole number, or null"),
        ({"duration_s": 1, "kwargs": []}, "kwargs must be a JSON object, or null"),
    ],
)
def test_a_wrong_parameter_is_named(observe: definition.Definition, params: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError) as caught:
        observe.check(params)
    assert said in str(caught.value)
    assert "workflow observe" in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        ("int | float", 1, 1),
        ("float | int", 1, 1.0),
        ("None | str | int", 3, 3),
        ("str | str | None", None, None),
        ("None | None", None, None),
        ("list", [1, "a"], [1, "a"]),
        ("tuple", [1, "a"], (1, "a")),
        ("list[tuple[int, str] | bool]", [[1, "a"], True], [(1, "a"), True]),
        ("dict[str, int]", {"a": "b"}, {"a": "b"}),
        ("float", 2**62, float(2**62)),
        ("object", 1, UnknownWorkflowError),
        ("int", 2**63, ParameterError),
        ("int | None", True, ParameterError),
        ("list[float]", (1, True), ParameterError),
        ("str", "\ud800", ParameterError),
    ],
)
def test_a_value_is_checked_by_its_type(tmp_path: Path, annotation: str, value: Any, expected: Any) -> None:
    source = f"@workflow\ndef f(json: {annotation}): pass\n".encode()  # pydantic's models have an attribute `json`
    if isinstance(expected, type):
        with pytest.raises(expected, match="parameter json"):
            definition.read(tmp_path, source).check({"json": value})
        return
    (checked,) = definition.read(tmp_path, source).check({"json": value}).values()
    assert checked == expected
    assert type(checked) is type(expected)


def test_a_parameter_may_have_any_name(tmp_path: Path) -> None:
    names = ("_a", "copy", "kwargs", "model_config", "keywords")
    found = definition.read(tmp_path, f"@workflow\ndef f({', '.join(names)}): pass\n".encode())
    assert [parameter.name for parameter in found.parameters] == list(names)
    assert found.check(dict.fromkeys(names, 1)) == dict.fromkeys(names, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:", "cannot be read as Python"),
        ("@workflow\ndef f(): pass\n@workflow\ndef g(): pass\n", "marks f, g with @workflow"),
        ("@workflow\ndef f(*args): pass\n", "parameters are passed by name"),
        ("@workflow\ndef f(a: Path): pass\n", "parameter a is of the type Path"),
    ],
)
def test_a_file_that_is_no_workflow_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "one.py"
    path.write_text(text)
    with pytest.raises(UnknownWorkflowError, match="one") as caught:
        catalogue.find(str(path), [tmp_path])
    assert said in str(caught.value)


def test_a_decorator_of_that_name_which_is_not_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    path.write_text("def workflow(f): return f\n@workflow\ndef f(): pass\n")
    with pytest.raises(UnknownWorkflowError, match="not marked by smurfq"):
        catalogue.find(str(path), [tmp_path]).run({})


def test_a_file_without_a_mark_is_run_from_top_to_bottom_and_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "plain.py"
    path.write_text(f"from pathlib import Path\nPath({str(tmp_path)!r}, 'ran').write_text(__name__)\n")
    found = catalogue.find(str(path), [tmp_path])
    with pytest.raises(ParameterError, match="it takes none"):
        found.run({"a": 1})
    assert not (tmp_path / "ran").exists()
    found.run({})
    assert (tmp_path / "ran").read_text() == "__main__"


def test_what_is_run_is_what_was_read_and_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside_workflow.py").write_text("VALUE = 41\n")
    path = tmp_path / "one.py"
    path.write_text(
        "from smurfq.workflows import workflow\nfrom beside_workflow import VALUE\n"
        "@workflow\ndef f():\n    return VALUE + 1\n"
    )
    found = catalogue.find(str(path), [tmp_path])
    path.write_text("raise SystemExit('swapped')")
    assert found.run({}) == 42


def test_a_file_outside_the_folders_is_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out.py"
    inside.mkdir()
    outside.write_text(FILE)
    (inside / "link.py").symlink_to(outside)
    for path in (outside, inside / "link.py", inside / ".." / "out.py"):
        with pytest.raises(UnknownWorkflowError, match="does not lie below a folder"):
            catalogue.find(str(path), [inside])
    with pytest.raises(UnknownWorkflowError, match="is not a file"):
        catalogue.find(str(inside / "none.py"), [inside])


def test_the_shipped_ones_are_known_by_name() -> None:
    names = [one.name for one in available()]
    assert names == ["cold_start", "morning_relock", "observation", "safe_shutdown"]
    for name in names:
        found = catalogue.find(name, [])
        assert found.function == name
        assert found.summary.endswith(".")
        assert callable(found.load())
        assert found.check({}) == {}  # none must be given a parameter to be run tonight
    with pytest.raises(UnknownWorkflowError, match="did you mean 'cold_start'"):
        catalogue.find("coldstart", [])
