"""Writes the pages of ``docs/reference`` that are made of the package itself: ``make docs``.

A test fails while one of them is not what this writes, so that they cannot say otherwise than the code.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import click

from smurfq import errors, workflows
from smurfq.cli import main as cli
from smurfq.cli.exit_codes import ExitCode, of_error
from smurfq.config.loading import sections
from smurfq.config.reference import Row, rows
from smurfq.config.sections import Crate, Settings
from smurfq.core import operations
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
from smurfq.workflows.definition import Parameter

REFERENCE = Path(__file__).parent / "reference"
_NOTE = "<!-- Written by `make docs` from the package; do not edit. -->"

# What an operation leaves as session data; its feed and parameters stand in the operations table.
_LEAVES: Mapping[str, str] = {
    "run": "what the script publishes as `session_data`",
    "uxm_setup": "`timestamps`, `setup_amps_summary`, `setup_phase_delay`, `noise`, live, as sodetlib sets them; "
    "`summary` where it failed",
    "uxm_relock": "the live keys of sodetlib, then `filepath`, `all_det_num[8]`, `good_det_num[8]`; `summary` where "
    "it failed",
    "take_noise": "`noise.band_medians`, `quantiles.white_noise_level` (pA/√Hz)",
    "take_bgmap": "`nchans_per_bg[13]` (the last: of no bias group), `filepath`",
    "take_iv": "`filepath`, `quantiles.Rn` (Ω), `quantiles.p_sat` (W)",
    "take_bias_steps": "`filepath`, `biased_total`, `biased_per_bg[12]`, `quantiles.Rfrac`, `.Si` (1/V), `.Rtes` (Ω)",
    "take_bias_waves": "as `take_bias_steps`",
    "overbias_tes": "nothing",
    "set_biases": "`biases`, in V by bias group, as read back",
    "zero_biases": "`biases`, in V by bias group, as read back",
    "bias_dets": "`biases`, in V by bias group, as set",
    "all_off": "`streams`: which stream and waveform were turned off",
    "stream": "`stream_on`, `last_updated` (each second), `stream_id`, `sid`",
    "check_state": "`channel_mask`, `downsample_factor`, `agg_time`, `open_g3stream`, `pysmurf_action`, "
    "`pysmurf_action_timestamp`, `stream_tag`, `last_update`, `stream_id`, `num_active_channels`",
    "restart_rssi": "`rssi_responsive`, `last_updated`",
    "test": "`test`: 10",
}

_EXIT_CODES: Mapping[ExitCode, str] = {
    ExitCode.SUCCEEDED: "The command did what was asked; a run that was followed succeeded.",
    ExitCode.ERROR: "Anything that has no code of its own: a process could not be started, a check of `smurfq doctor` "
    "failed, a defect.",
    ExitCode.USAGE: "The command line, a parameter, the settings or the request is wrong. Nothing was done.",
    ExitCode.FAILED: "The operation failed: it raised, its library reported failure, its process died, or it ran past "
    "its time limit.",
    ExitCode.ABORTED: "The operation was aborted; it and all its processes are gone.",
    ExitCode.LOST: "The worker that ran the operation, or the message that asked for it, is gone.",
    ExitCode.TIMED_OUT: "The time of `--timeout` is over. The run goes on.",
    ExitCode.UNAVAILABLE: "Redis or the bridge does not answer.",
    ExitCode.REFUSED: "The slot is held by somebody else, or busy.",
    ExitCode.NOT_FOUND: "No record is known by this id, or `smurfq down` found no site to stop.",
    ExitCode.INTERRUPTED: "Ctrl-C. A run that was followed goes on.",
}


def settings_page() -> str:
    """The page of all settings."""
    meanings = {name: (model.__doc__ or "").strip() for name, model in sections()}
    parts = [
        "# Settings",
        "A TOML site file, named by `SMURFQ_CONFIG`, and over it the variables `SMURFQ_<SECTION>_<KEY>`. Without a "
        "file the defaults hold. An unknown key or variable is refused by name. "
        "[examples/site.toml](../../examples/site.toml) shows the form; `smurfq doctor` says what is in force.",
        "As a variable, a list of folders is separated by colons and a table is a JSON object. An empty variable "
        "counts as not set. Each process reads the settings once, when it starts.",
        "## Crates and slots",
        _table(
            ("key", "variable", "allowed", "meaning"),
            [
                ("`[[crates]]` `id`", "`SMURFQ_SLOTS`", "a whole number of at least 0", _doc(Crate, "id")),
                ("`[[crates]]` `slots`", "`SMURFQ_SLOTS`", "a list of whole numbers from 1 to 7", _doc(Crate, "slots")),
            ],
        ),
        '`SMURFQ_SLOTS="crate1slot2 crate1slot3"` stands for all `[[crates]]`. Without either, the site has the one '
        "slot `" + Settings().slots[0] + "`.",
        "## At the top of the file",
        _settings_table([row for row in rows() if "." not in row.key]),
    ]
    for name, meaning in meanings.items():
        parts += [f"## [{name}]", meaning]
        parts += [_settings_table([row for row in rows() if row.key.startswith(f"{name}.")])]
    return _page(parts)


def operations_page() -> str:
    """The page of all operations."""
    parts = [
        "# Operations",
        "The Celery task of each is `smurfq.<operation>`. Every one takes the keyword `slot` beside the parameters "
        "below, and returns the [session record](record.md). Parameters are checked before anything is queued, and "
        "again in the worker. `smurfq operations NAME` shows the same in a terminal.",
        "*Lane*: `control` operations of a slot run one at a time; the `state` lane reads beside them; the `emergency` "
        "lane is served first, also while the slot is held, and ends what runs. *Time limit*: what is ended past it, "
        "in the stages of an abort; `limits.operations` of the site sets another one, by operation. "
        "*Process*: goes on until `smurfq stop`, and then ends with success; `stop` of anything else is an abort.",
        "`kwargs` goes to the sodetlib function. What has a parameter of its own may not stand in `kwargs` with "
        "another value. `null` for a parameter is its default. Some of sodetlib's own keywords are checked too, where "
        "it would die in the middle; a name that it does not take at all is refused by the worker, before the card is "
        "touched.",
        "Feeds are Redis streams of blocks `{block_name, timestamp, slot, data}`; "
        "see [how to read them](../how-to/read-results-from-python.md#feeds).",
    ]
    for item in operations.describe():
        parts += _operation(item)
    return _page(parts)


def cli_page() -> str:
    """The page of all commands, made of their help texts."""
    parts = [
        "# Command line",
        "What `smurfq COMMAND --help` says, in one place. The exit codes are [here](exit-codes.md).",
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
    """The page of exit codes and errors."""
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
            "`smurfq emergency-off` over several slots ends with the first code that is not 0.",
            "## Errors",
            "All are in `smurfq.errors` and inherit `SmurfqError`. Their fields are attributes, and come through "
            "Celery's results whole. *Code*: what a command that meets it ends with.",
            _table(("error", "code", "raised when"), found),
        ]
    )


def workflows_page() -> str:
    """The page of all workflows and of the functions that they are written with."""
    parts = [
        "# Workflows",
        "What a schedule is written with, and the workflows that come with smurfq. How to use them: "
        "[run a night](../how-to/run-a-night.md). Why they are as they are: "
        "[decision 17](../decisions/0017-workflows.md).",
        "## Shipped",
    ]
    for one in workflows.available():
        parts.append(f"### {one.name}\n\n{one.summary}")
        rows = [(f"`{p['name']}`", _default(p), p["allowed"]) for p in map(Parameter.to_dict, one.parameters)]
        parts.append(_table(("parameter", "default", "allowed"), rows))
    parts += [
        "## Functions",
        "From `smurfq.workflows`. Those that are steps return a `Report` by slot and take, beside their own arguments, "
        "those of `How` below.",
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
        "## What a workflow's record holds",
        "It is a [session record](record.md) whose `op_name` is `workflow` and whose `slot` is `workflows`. Its "
        "`stages` are its steps; its `data` has `workflow` (the name), `targets`, `dropped` (reasons by slot), `held` "
        "(by whom, while it is), and `step_1`, `step_2`, …: `name`, `state` (`waiting`, `running`, `done`), `started`, "
        "`ended`, `ids` (session ids by slot) and `slots` (what is decided, by slot). The records of its operations "
        "have its id as `root_id` and `parent_id`.",
    ]
    return _page(parts)


def _signature(name: str, function: Callable[..., Any]) -> str:
    shown = inspect.signature(function)
    own = [p.replace(annotation=p.empty) for p in shown.parameters.values() if p.kind is not p.VAR_KEYWORD]
    extra = ", **how" if len(own) < len(shown.parameters) else ""
    text = str(inspect.Signature(own)).removesuffix(")")
    return f"{name}{text}{extra if own else extra.removeprefix(', ')})"


def _docstring(value: Any) -> Iterator[str]:
    """The first paragraphs of a docstring, up to its first section."""
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
    """All commands with their names, ``smurfq`` itself first, those of groups behind their group."""

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
        more = ", and its `duration`" if any(one["name"] == "duration" for one in item["parameters"]) else ""
        facts.append(f"time limit {limit_s:g} s{more}")
    elif item["process"]:
        facts.append("no time limit of its own")
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
        yield "Of sodetlib's own keywords, which `kwargs` may have, these are checked:"
        yield _table(
            ("keyword", "allowed", "meaning"),
            [(f"`{one['name']}`", one["allowed"], one["doc"]) for one in item["keywords"]],
        )
    yield f"Leaves as session data: {_LEAVES[item['name']]}."
    if item["feed"]:
        yield f"Feed `{item['feed']}`: " + ", ".join(f"`{name}`" for name in item["feed_fields"]) + "."


def _also(item: Mapping[str, Any], name: str) -> str:
    return "; its time limit is then that and 120 s" if name == "duration" and item["process"] else ""


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
    """The paragraphs of a help text; examples are a block."""
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
