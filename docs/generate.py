"""Generates the pages of ``docs/reference`` that describe the package itself: ``make docs``.

A test fails if a page differs from what this module generates, so the pages cannot contradict the code.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import click

from smurfq import errors, operations, workflows
from smurfq.cli import main as cli
from smurfq.cli.exit_codes import ExitCode, of_error
from smurfq.config.loading import sections
from smurfq.config.reference import Row, rows
from smurfq.config.sections import Crate
from smurfq.config.settings import Settings
from smurfq.core.jsonsafe import dumps
from smurfq.errors import SmurfqError
from smurfq.workflows import (
    How,
    Policy,
    Report,
    SlotOutcome,
    SlotReport,
    Streams,
    Workflow,
    WorkflowRun,
    WorkflowStatus,
)

REFERENCE = Path(__file__).parent / "reference"
_NOTE = "<!-- Written by `make docs` from the package; do not edit. -->"

_EXIT_CODES: Mapping[ExitCode, str] = {
    ExitCode.SUCCEEDED: "The command succeeded. If it followed a run, the run succeeded.",
    ExitCode.ERROR: "Any error without its own code: a process could not be started, a check of `smurfq doctor` "
    "failed, or there is a bug in smurfq.",
    ExitCode.USAGE: "The command line, a parameter, the settings or the request is wrong. Nothing was done.",
    ExitCode.FAILED: "The operation failed: it raised an exception, its library reported failure, its process died, or "
    "it exceeded its time limit.",
    ExitCode.ABORTED: "The operation was aborted. All its processes have ended.",
    ExitCode.LOST: "The worker that ran the operation is gone, or the message that requested it is.",
    ExitCode.TIMED_OUT: "The time of `--timeout` is over. The run continues.",
    ExitCode.UNAVAILABLE: "Redis or the bridge does not answer.",
    ExitCode.REJECTED: "The slot is busy, or somebody else holds or locked it, or the submission is a duplicate.",
    ExitCode.NOT_FOUND: "No record has this id, or `smurfq down` found no site to stop.",
    ExitCode.INTERRUPTED: "Ctrl-C. A run that was followed continues.",
}


def settings_page() -> str:
    """Return the page of all settings."""
    meanings = {name: (model.__doc__ or "").strip() for name, model in sections()}
    parts = [
        "# Settings",
        "Settings come from a TOML site file, which `SMURFQ_CONFIG` names, and from the variables "
        "`SMURFQ_<SECTION>_<KEY>`, which override the file. Without a file, the defaults apply. An unknown key or "
        "variable is an error that names it. [examples/site.toml](../../examples/site.toml) is an example; "
        "`smurfq doctor` shows the present settings.",
        "In a variable, a list of folders is separated by colons, and a table is a JSON object. An empty variable "
        "counts as not set. Each process reads the settings once, when it starts.",
        "## Crates and slots",
        _table(
            ("key", "variable", "allowed", "meaning"),
            [
                ("`[[crates]]` `id`", "`SMURFQ_SLOTS`", "a whole number of at least 0", _doc(Crate, "id")),
                ("`[[crates]]` `slots`", "`SMURFQ_SLOTS`", "a list of whole numbers from 1 to 7", _doc(Crate, "slots")),
                ("`[[crates]]` `stream_ids`", "`SMURFQ_SLOTS`", "a table, each value text", _doc(Crate, "stream_ids")),
            ],
        ),
        '`SMURFQ_SLOTS="crate1slot2=ufm_mv9 crate1slot3"` replaces all `[[crates]]`; the stream ids are optional. If '
        "neither is set, the site has one slot, `" + Settings().slots[0] + "`. "
        "[Decision 29](../decisions/0029-two-names-of-a-slot.md) explains a slot's place and its stream id.",
        "## At the top of the file",
        _settings_table([row for row in rows() if "." not in row.key]),
    ]
    for name, meaning in meanings.items():
        parts += [f"## [{name}]", meaning]
        parts += [_settings_table([row for row in rows() if row.key.startswith(f"{name}.")])]
    return _page(parts)


def operations_page() -> str:
    """Return the page of all operations."""
    parts = [
        "# Operations",
        "The Celery task of each operation is `smurfq.<operation>`. Each takes the keyword `slot` in addition to the "
        "parameters below, and returns the [session record](record.md). smurfq checks parameters before it queues a "
        "run, and again in the worker. `smurfq operations NAME` shows the same in a terminal.",
        "*Lane*: the `control` operations of a slot run one at a time. The `state` lane only reads, at the same time. "
        "The `emergency` lane is served first, even while the slot is held, and aborts the running operation. "
        "*Time limit*: after this time, smurfq ends the operation in the stages of an abort. `limits.operations` of "
        "the site sets other limits for single operations. "
        "*Process*: an operation that continues until `smurfq stop`, and then succeeds. Stopping any other operation "
        "aborts it.",
        "smurfq passes `kwargs` to the sodetlib function. If a keyword is also a parameter, `kwargs` may not give it "
        "another value. `null` selects the default of a parameter. smurfq also checks those of sodetlib's own keywords "
        "that would make it fail in the middle of the work. If sodetlib does not know a keyword, the worker rejects "
        "the run before it touches the card.",
        "Feeds are Redis streams of blocks `{block_name, timestamp, slot, data}`; "
        "see [how to read them](../how-to/read-results-from-python.md#feeds).",
    ]
    for item in operations.describe():
        parts += _operation(item)
    return _page(parts)


def cli_page() -> str:
    """Return the page of all commands, made from their help texts."""
    parts = [
        "# Command line",
        "This page contains the output of `smurfq COMMAND --help` for all commands. "
        "See also the [exit codes](exit-codes.md).",
    ]
    for words, command in commands():
        arguments = [_argument(one) for one in command.params if isinstance(one, click.Argument)]
        behind = ["COMMAND"] if isinstance(command, click.Group) else arguments
        parts += [f"## {words}", f"```text\n{' '.join([words, '[OPTIONS]', *behind])}\n```"]
        parts += _help(command.help or "")
        options = [one for one in command.params if isinstance(one, click.Option)]
        if options:
            parts.append(_table(("option", "meaning"), [_option(one) for one in options]))
        parts += _help(command.epilog or "")
    return _page(parts)


def exit_codes_page() -> str:
    """Return the page of exit codes and errors."""
    found = [
        (f"`{kind.__name__}`", str(int(of_error(kind("")))), _first_line(kind))
        for kind in _errors()
        if kind is not SmurfqError
    ]
    return _page(
        [
            "# Exit codes and errors",
            "## Exit codes",
            _table(
                ("code", "name", "meaning"),
                [(str(int(code)), f"`{code.name}`", _EXIT_CODES[code]) for code in ExitCode],
            ),
            "If `smurfq emergency-off` is given several slots, it exits with the first code that is not 0.",
            "## Errors",
            "All errors are in `smurfq.errors` and inherit `SmurfqError`. Their fields are attributes, and Celery's "
            "results preserve them. *Code* is the exit code of a command that fails with the error.",
            _table(("error", "code", "raised when"), found),
        ]
    )


def workflows_page() -> str:
    """Return the page of the workflows that smurfq provides, and of the functions for writing workflows."""
    parts = [
        "# Workflows",
        "This page lists the workflows that smurfq provides, and the functions with which schedules are written. "
        "[Run a night](../how-to/run-a-night.md) shows how to use them, and "
        "[decision 17](../decisions/0017-workflows.md) gives the reasons for their design.",
        "## Workflows that smurfq provides",
    ]
    for one in workflows.available():
        parts.append(f"### {one.name}\n\n{one.summary}")
        described = [parameter.to_dict() for parameter in one.parameters]
        rows = [(f"`{each['name']}`", _default(each), each["allowed"]) for each in described]
        parts.append(_table(("parameter", "default", "allowed"), rows))
    parts += [
        "## Functions",
        "Import these functions from `smurfq.workflows`. A function that is a step returns a `Report` with an entry "
        "for each slot, and takes the arguments of `How` (below) in addition to its own.",
    ]
    for name in workflows.__all__:
        value = getattr(workflows, name)
        if inspect.isfunction(value):
            parts.append(f"### {name}\n\n```text\n{_signature(name, value)}\n```")
            parts += _docstring(value)
    parts.append("## Records")
    for kind in (How, Policy, Report, SlotReport, SlotOutcome, Workflow, Streams, WorkflowRun, WorkflowStatus):
        parts.append(f"### {kind.__name__}")
        parts += _docstring(kind)
    parts += [
        "## The record of a workflow",
        "The record is a [session record](record.md) whose `op_name` is `workflow` and whose `slot` is `workflows`. "
        "Its `stages` are its steps. Its `data` has `workflow` (the name), `targets`, `dropped` (a reason for each "
        "slot), `held` (by whom, while it is held), and `step_1`, `step_2`, … with `name`, `state` (`waiting`, "
        "`running`, `done`), `started`, `ended`, `ids` (the session id of each slot) and `slots` (the "
        "outcomes so far, for each slot). The records of its operations have its id as `root_id` and `parent_id`.",
    ]
    return _page(parts)


def _signature(name: str, function: Callable[..., Any]) -> str:
    shown = inspect.signature(function)
    own = [p.replace(annotation=p.empty) for p in shown.parameters.values() if p.kind is not p.VAR_KEYWORD]
    extra = ", **how" if len(own) < len(shown.parameters) else ""
    text = str(inspect.Signature(own)).removesuffix(")")
    return f"{name}{text}{extra if own else extra.removeprefix(', ')})"


def _docstring(value: Any) -> Iterator[str]:
    """Yield the first paragraphs of a docstring, up to its first section."""
    for paragraph in (inspect.getdoc(value) or "").split("\n\n"):
        if re.match(r"[A-Z]\w+\n-{3,}", paragraph):
            return
        if paragraph.startswith(">>>"):
            lines = [re.sub(r"^(>>>|\.\.\.) ?", "", line) for line in paragraph.splitlines()]
            code = "\n".join(line.replace("  # doctest: +SKIP", "") for line in lines)
            yield f"```python\n{code}\n```"
        else:
            yield " ".join(paragraph.split()).replace("``", "`")


PAGES: Mapping[str, Callable[[], str]] = {
    "workflows.md": workflows_page,
    "settings.md": settings_page,
    "operations.md": operations_page,
    "cli.md": cli_page,
    "exit-codes.md": exit_codes_page,
}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield all commands with their names: ``smurfq`` first, and the commands of a group after the group."""

    def below(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield words, command
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=words)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                if inner is not None:
                    yield from below(f"{words} {name}", inner)

    yield from below("smurfq", cli)


def main() -> None:
    """Write all pages."""
    REFERENCE.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), encoding="utf-8")


def _operation(item: Mapping[str, Any]) -> Iterator[str]:
    limit_s = item["time_limit_s"]
    facts = [f"lane `{item['lane']}`"]
    if limit_s is not None:
        more = " plus its `duration`" if any(one["name"] == "duration" for one in item["parameters"]) else ""
        facts.append(f"time limit {limit_s:g} s{more}")
    elif item["process"]:
        facts.append("no time limit")
    else:
        facts.append("time limit `limits.operation_s`")
    if item["process"]:
        facts.append("a process")
    yield f"## {item['name']}"
    yield f"{item['summary']} ({'; '.join(facts)})"
    if item["parameters"]:
        yield _table(
            ("parameter", "default", "allowed", "meaning"),
            [
                (f"`{one['name']}`", _default(one), one["allowed"], one["doc"] + _also(item, one["name"]))
                for one in item["parameters"]
            ],
        )
    if item["keywords"]:
        yield "smurfq checks these of sodetlib's own keywords in `kwargs`:"
        yield _table(
            ("keyword", "allowed", "meaning"),
            [(f"`{one['name']}`", one["allowed"], one["doc"]) for one in item["keywords"]],
        )
    yield f"Session data: {item['leaves']}."
    if item["feed"]:
        yield f"Feed `{item['feed']}`: " + ", ".join(f"`{name}`" for name in item["feed_fields"]) + "."


def _also(item: Mapping[str, Any], name: str) -> str:
    return "; the time limit is then the duration plus 120 s" if name == "duration" and item["process"] else ""


def _default(parameter: Mapping[str, Any]) -> str:
    return "(required)" if parameter["required"] else f"`{dumps(parameter['default'])}`"


def _argument(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    shown = name if argument.required or name.startswith("[") else f"[{name}]"
    return f"{shown}..." if argument.nargs == -1 else shown


def _option(option: click.Option) -> tuple[str, str]:
    words = ", ".join(sorted(option.opts, key=len, reverse=True))
    value = ""
    if isinstance(option.type, click.Choice):
        value = " " + "|".join(map(str, option.type.choices))
    elif not option.is_flag:
        value = f" {option.metavar or option.type.name.upper()}"
    default = f" Default: `{option.default}`." if option.show_default and option.default is not None else ""
    return f"`{words}{value}`", (option.help or "") + default


def _help(text: str) -> Iterator[str]:
    """Yield the paragraphs of a help text; examples become a code block."""
    for paragraph in filter(None, dedent(text).replace("\b", "").strip().split("\n\n")):
        first, _, rest = paragraph.strip().partition("\n")
        yield f"```sh\n{dedent(rest).strip()}\n```" if first.strip() == "Examples:" else " ".join(paragraph.split())


def _settings_table(found: list[Row]) -> str:
    return _table(
        ("key", "variable", "allowed", "default", "meaning"),
        [
            (f"`{row.key.rpartition('.')[2]}`", f"`{row.variable}`", row.allowed, row.default, row.meaning)
            for row in found
        ],
    )


def _errors() -> list[type[SmurfqError]]:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SmurfqError)]
    return sorted(found, key=lambda kind: list(vars(errors)).index(kind.__name__))


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _doc(model: Any, key: str) -> str:
    return str(model.model_fields[key].description or "")


def _table(headings: tuple[str, ...], found: Sequence[tuple[str, ...]]) -> str:
    lines = [headings, tuple("---" for _ in headings), *found]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _page(parts: list[str]) -> str:
    heading, *rest = parts
    return "\n\n".join([heading, _NOTE, *rest]) + "\n"


if __name__ == "__main__":
    main()
