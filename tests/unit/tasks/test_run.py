"""`run` executes a script like `python script args…`, and reports how it ended."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smurfq import tasks
from smurfq.errors import OperationAbortedError, OperationFailedError, ParameterError

Run = Callable[..., None]


@pytest.fixture
def run(recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:  # type: ignore[no-untyped-def]
    """Runs the text of a script; what the body changes in ``sys`` is put back."""
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def run_text(text: str, *args: str) -> None:
        path = tmp_path / "script.py"
        path.write_text(text)
        tasks.run.body(recorded("run").session, script=str(path), args=list(args), log=True)

    return run_text


def test_a_script_sees_what_python_would_show_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("VALUE = 7")
    seen = tmp_path / "seen.json"
    run(
        "import sys, json, pathlib, beside\n"
        "what = [__name__, __file__, sys.argv, sys.path[0], beside.VALUE]\n"
        "pathlib.Path(sys.argv[2]).write_text(json.dumps(what))",
        "--bands",
        str(seen),
    )
    script = str(tmp_path / "script.py")
    assert json.loads(seen.read_text()) == [
        "__main__",
        script,
        [script, "--bands", str(seen)],
        str(tmp_path),
        7,
    ]


@pytest.mark.parametrize("end", ["", "raise SystemExit", "import sys; sys.exit()", "import sys; sys.exit(0)"])
def test_a_script_that_ends_well(run: Run, end: str) -> None:
    run(end)


@pytest.mark.parametrize("code", [1, 3, -1])
def test_an_exit_code_is_named(run: Run, code: int) -> None:
    with pytest.raises(OperationFailedError, match=f"exit code {code}") as caught:
        run(f"import sys; sys.exit({code})")
    assert caught.value.exit_code == code


def test_the_text_of_an_exit_is_named_and_goes_to_stderr(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OperationFailedError, match="no bands left") as caught:
        run("import sys; sys.exit('no bands left')")
    assert caught.value.exit_code == 1
    assert capsys.readouterr().err == "no bands left\n"


def test_an_uncaught_exception_is_reported_from_the_script_on(run: Run) -> None:
    with pytest.raises(OperationFailedError, match="ValueError: too warm") as caught:
        run("def f():\n    raise ValueError('too warm')\nf()\n")
    shown = caught.value.traceback
    assert "line 3, in <module>" in shown
    assert "line 2, in f" in shown
    assert "runpy" not in shown
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_script_that_does_not_parse_fails(run: Run) -> None:
    with pytest.raises(OperationFailedError, match="SyntaxError"):
        run("def f(:\n")


def test_sodetlibs_abort_is_an_abort(run: Run) -> None:
    with pytest.raises(OperationAbortedError):
        run("class OCSAbortError(Exception): pass\nraise OCSAbortError")


def test_a_script_elsewhere_does_not_run(recorded, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    elsewhere = tmp_path.parent / f"{tmp_path.name}_elsewhere.py"
    elsewhere.write_text("raise SystemExit('it ran')")
    with pytest.raises(ParameterError, match=str(tmp_path)):
        tasks.run.body(recorded("run").session, script=str(elsewhere), args=[], log=True)
    elsewhere.unlink()
