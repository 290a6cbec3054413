"""Scripts run only from below the allowed folders, even with links and `..` in the path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from smurfq.core import scripts
from smurfq.core.scripts import check_arguments, check_log, check_script, read_script
from smurfq.errors import ParameterError


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    folder = tmp_path / "scripts"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.py").write_text("")
    (tmp_path / "outside.py").write_text("")
    (tmp_path / "scripts_of_others").mkdir()
    (tmp_path / "scripts_of_others" / "a.py").write_text("")
    return folder


def test_a_script_below_an_allowed_folder_is_allowed(allowed: Path, tmp_path: Path) -> None:
    real = allowed / "deep" / "a.py"
    assert check_script(str(real), [tmp_path / "other", allowed]) == real.resolve()
    assert check_script(str(allowed / "deep" / ".." / "deep" / "a.py"), [allowed]) == real.resolve()


def test_a_linked_folder_is_allowed_by_either_name(allowed: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(allowed)
    assert check_script(str(tmp_path / "link" / "deep" / "a.py"), [allowed])
    assert check_script(str(allowed / "deep" / "a.py"), [tmp_path / "link"])


@pytest.mark.parametrize("way", ["../outside.py", "../scripts_of_others/a.py", "link.py", "missing.py", "deep"])
def test_no_way_leads_out(allowed: Path, tmp_path: Path, way: str) -> None:
    (allowed / "link.py").symlink_to(tmp_path / "outside.py")
    with pytest.raises(ParameterError) as caught:
        check_script(str(allowed / way), [allowed])
    assert str(allowed) in str(caught.value)
    assert caught.value.parameter == "script"
    assert caught.value.allowed == [str(allowed)]


def test_a_relative_path_or_no_folder_at_all_is_rejected(allowed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(allowed)
    with pytest.raises(ParameterError, match=f"did you mean {allowed}/deep/a.py") as caught:
        check_script("deep/a.py", [allowed])
    assert caught.value.parameter == "script"
    with pytest.raises(ParameterError, match=r"scripts\.folders"):
        check_script(str(allowed / "deep" / "a.py"), [])


def test_the_file_that_is_read_is_the_one_that_was_checked(
    allowed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder on the way is replaced by a link after the check: the file opened is looked at, and refused."""
    (allowed / "deep" / "a.py").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.py").write_text("theirs")
    script = str(allowed / "deep" / "a.py")
    assert read_script(script, [allowed]) == ((allowed / "deep" / "a.py").resolve(), b"mine")
    check = scripts.check_script

    def swapped_after(*args: Any) -> Path:
        found = check(*args)
        (allowed / "deep").rename(tmp_path / "moved")
        (allowed / "deep").symlink_to(tmp_path / "elsewhere")
        return found

    monkeypatch.setattr(scripts, "check_script", swapped_after)
    with pytest.raises(ParameterError, match=r"elsewhere/a\.py\) does not lie below"):
        read_script(script, [allowed])


def test_a_script_that_is_no_file_or_unreadable_is_rejected(allowed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = allowed / "pipe.py"
    os.mkfifo(pipe)
    with pytest.raises(ParameterError, match="is not a file"):
        read_script(str(pipe), [allowed])
    monkeypatch.setattr(scripts, "check_script", lambda script, _folders: Path(script))
    with pytest.raises(ParameterError, match="is not a file"):  # a pipe put there after the check: not waited for
        read_script(str(pipe), [allowed])
    with pytest.raises(ParameterError, match="cannot be read"):
        read_script(str(allowed / "gone.py"), [allowed])
    loop = allowed / "loop.py"
    loop.symlink_to(loop)
    with pytest.raises(ParameterError, match="cannot be read"):
        read_script(str(loop), [allowed])


@pytest.mark.parametrize("way", ["loop.py", "a.py/x.py", "deep/\N{FULLWIDTH FULL STOP}./a.py"])
def test_odd_paths_are_rejected_and_raise_nothing_else(allowed: Path, way: str) -> None:
    (allowed / "loop.py").symlink_to(allowed / "loop.py")
    (allowed / "a.py").write_text("")
    with pytest.raises(ParameterError):
        check_script(str(allowed / way), [allowed])
    with pytest.raises(ParameterError):
        check_script(str(allowed / ("x" * 5000)), [allowed])
    with pytest.raises(ParameterError):
        check_log(str(allowed.parent / way), [allowed / "logs"])


@pytest.mark.parametrize("log", [True, False])
def test_a_log_that_is_no_path_passes(log: bool) -> None:
    assert check_log(log, []) is log


def test_a_log_stays_below_the_folders_for_logs(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "out").symlink_to(tmp_path)
    allowed = [tmp_path / "logs"]
    assert check_log(str(tmp_path / "logs" / "new" / "run.log"), allowed)
    for way in ("../passwd", "out/passwd", "/etc/passwd"):
        with pytest.raises(ParameterError, match="log_folders"):
            check_log(str(tmp_path / "logs" / way), allowed)


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--slot", "3"],
        ["--slot=3"],
        ["--slot", "03"],
        ["--slot", "crate1slot3"],
        ["--bands", "2", "--slot"],
        ["--slot", "left"],
        ["--slots", "2", "4"],
        ["-N", "2"],
        ["-s", "2"],
        ["--", "--slot", "2"],
        ["--note", "slot 2"],
    ],
)
def test_arguments_that_name_no_other_slot_pass(args: list[str]) -> None:
    check_arguments(args, "crate1slot3")


@pytest.mark.parametrize(
    "args",
    [
        ["--slot", "2"],
        ["--slot=2"],
        ["--bands", "0", "--slot", " 2"],
        ["--slot", "3", "--slot", "2"],
        ["--slot", "33"],
        ["--slot", "crate1slot2"],
        ["--slot=crate2slot3"],
        ["--slot", "2" * 5000],
    ],
)
def test_an_argument_that_names_another_slot_is_rejected(args: list[str]) -> None:
    with pytest.raises(ParameterError, match=r"the script's argument --slot \S+ contradicts crate1slot3") as caught:
        check_arguments(args, "crate1slot3")
    assert (caught.value.parameter, caught.value.slot) == ("args", "crate1slot3")
