"""The `smurfq` command loads all commands, shows their help, and turns errors into a message and an exit code."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from smurfq import __version__
from smurfq.cli import main
from smurfq.cli.group import FAMILIES, SmurfqGroup
from smurfq.errors import RequestError
from smurfq.operations import OPERATIONS, describe

ROOT = Path(__file__).parents[3]


def _walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, name
            yield from _walk(found, (*path, name))
    else:
        yield path, command


COMMANDS = dict(_walk(main, ()))


@pytest.mark.parametrize("module", FAMILIES)
def test_a_family_has_the_commands_that_the_table_says(module: str) -> None:
    assert {command.name for command in importlib.import_module(module).COMMANDS} == set(FAMILIES[module])


def test_the_help_lists_every_command() -> None:
    listed = set(main.list_commands(click.Context(main)))
    assert listed == {name for names in FAMILIES.values() for name in names}
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert "emergency-off" in result.output


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")
    for parameter in COMMANDS[path].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path} {parameter.name}"


def test_version() -> None:
    assert __version__ in CliRunner().invoke(main, ["--version"]).output


def test_help_loads_neither_celery_nor_pysmurf() -> None:
    code = (
        "import sys; from smurfq.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('celery', 'kombu', 'numpy', 'pysmurf', 'sodetlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_operations_lists_all_and_tells_the_parameters_of_one() -> None:
    listed = CliRunner().invoke(main, ["operations"]).stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(OPERATIONS)
    assert json.loads(CliRunner().invoke(main, ["operations", "--json"]).stdout) == describe()
    one = json.loads(CliRunner().invoke(main, ["operations", "smurfq.take_iv", "--json"]).stdout)
    assert one["name"] == "take_iv"
    shown = CliRunner().invoke(main, ["operations", "set_biases"]).stdout
    for parameter in OPERATIONS["set_biases"].parameters:
        assert parameter.name in shown
        assert parameter.doc in shown
    assert "(required)" in shown


@pytest.mark.parametrize(
    ("arguments", "environ", "told"),
    [
        (["status"], {"SMURFQ_SLOTZ": "x"}, "SMURFQ_SLOTS"),
        (["status", "--slot", "crate9slot9"], {}, "crate9slot9"),
        (["submit", "take_iv", "--param", "tag"], {}, "key=JSON"),
        (["submit", "take_iv", "--param", "slot=2"], {}, "--slot"),
        (["submit", "take_iv", "--timeout", "3"], {}, "--follow"),
        (["run", "a.py", "--timeout", "3", "--detach"], {}, "--detach"),
        (["hold", "--for", "soon"], {}, "30min"),
        (["abort", "3f2a", "--slot", "crate1slot2"], {}, "not both"),
        (["operations", "take_iw"], {}, "take_iv"),
        (["sumbit"], {}, "sumbit"),
    ],
)
def test_a_wrong_command_line_is_usage(arguments: list[str], environ: dict[str, str], told: str) -> None:
    result = CliRunner(env=environ).invoke(main, arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.output


def _failing_group(error: Exception) -> SmurfqGroup:
    class Failing(SmurfqGroup):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            def fail() -> None:
                raise error

            return click.Command(cmd_name, callback=fail)

    return Failing("smurfq", params=[click.Option(["--debug"], is_flag=True)], callback=lambda debug: None)


def test_a_bug_is_reported_without_a_traceback() -> None:
    result = CliRunner().invoke(_failing_group(KeyError("oops")), ["any"])
    assert result.exit_code == 1
    assert "KeyError: 'oops'" in result.stderr
    assert "bug in smurfq" in result.stderr
    assert "Traceback" not in result.output


def test_a_file_that_cannot_be_read_is_reported_in_a_line() -> None:
    result = CliRunner().invoke(_failing_group(PermissionError(13, "Permission denied", "/x.log")), ["any"])
    assert result.exit_code == 1
    assert result.stderr == "smurfq: [Errno 13] Permission denied: '/x.log'\n"


def test_debug_shows_where_an_error_is_from() -> None:
    result = CliRunner().invoke(_failing_group(RequestError("no")), ["--debug", "any"])
    assert isinstance(result.exception, RequestError)
    assert CliRunner().invoke(_failing_group(RequestError("no")), ["any"]).stderr == "smurfq: no\n"


@pytest.mark.parametrize(("typed", "told"), [("sumbit", "'sumbit'; did you mean 'submit'?"), ("xyzzy", "'xyzzy'\n")])
def test_the_nearest_of_a_misspelt_command_is_reported(typed: str, told: str) -> None:
    result = CliRunner().invoke(main, [typed])
    assert result.exit_code == 2
    assert f"there is no command {told}" in result.stderr
