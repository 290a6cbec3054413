"""The `smurfq` command itself: loads the module of a command, and reports errors."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping

import click

from smurfq.cli.exit_codes import ExitCode, of_error
from smurfq.cli.terminal_text import tell
from smurfq.core.suggestion import did_you_mean
from smurfq.errors import SmurfqError

# A module is imported only when one of its commands is needed. Each module lists its commands in ``COMMANDS``.
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "smurfq.cli.site": ("up", "down", "demo", "flower"),
    "smurfq.cli.doctor": ("doctor",),
    "smurfq.cli.submitting": ("submit", "run", "operations"),
    "smurfq.cli.batch": ("batch",),
    "smurfq.cli.workflow": ("workflow",),
    "smurfq.cli.watching": ("follow", "logs"),
    "smurfq.cli.watch": ("watch",),
    "smurfq.cli.looking": ("status", "show", "history"),
    "smurfq.cli.feed": ("feed",),
    "smurfq.cli.ending": ("stop", "abort", "emergency-off"),
    "smurfq.cli.holding": ("hold", "release"),
    "smurfq.cli.locking": ("lock", "unlock"),
    "smurfq.cli.queue": ("queue",),
    "smurfq.cli.processes": ("worker", "bridge", "archive"),
    "smurfq.cli.sim": ("sim",),
}
_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "Run operations": ("submit", "run", "batch", "workflow", "operations", "follow", "logs"),
    "Look": ("status", "watch", "show", "history", "feed", "queue"),
    "End, hold and lock": ("stop", "abort", "hold", "release", "lock", "unlock", "emergency-off"),
    "A site's processes": ("up", "down", "demo", "worker", "bridge", "archive", "flower", "sim", "doctor"),
}


class SmurfqGroup(click.Group):
    """A group that loads a command when it is needed, and reports smurfq's errors in a line or two."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of the help text."""
        return [name for names in _HEADINGS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name."""
        module = next((module for module, names in FAMILIES.items() if cmd_name in names), None)
        if module is None:
            return None
        commands: list[click.Command] = importlib.import_module(module).COMMANDS
        return next((command for command in commands if command.name == cmd_name), None)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names. If there is none, suggest the nearest name."""
        if self.get_command(ctx, args[0]) is None:
            ctx.fail(f"there is no command {args[0]!r}{did_you_mean(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands into the help text, grouped by purpose."""
        for heading, names in _HEADINGS.items():
            found = [(name, self.get_command(ctx, name)) for name in names]
            rows = [(name, command.get_short_help_str(90)) for name, command in found if command is not None]
            with formatter.section(heading):
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. If it raises an error of smurfq, write the message to stderr and exit with its code."""
        try:
            return super().invoke(ctx)
        except SmurfqError as error:
            if ctx.params.get("debug"):
                raise
            tell(f"smurfq: {error}", err=True)
            raise click.exceptions.Exit(of_error(error)) from error
        except (click.exceptions.ClickException, click.exceptions.Exit, click.exceptions.Abort, BrokenPipeError):
            raise
        except OSError as error:
            if ctx.params.get("debug"):
                raise
            tell(f"smurfq: {error}", err=True)
            raise click.exceptions.Exit(ExitCode.ERROR) from error
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            name = type(error).__name__
            tell(
                f"smurfq: {name}: {error}\n"
                f"This is a bug in smurfq; `smurfq --debug {' '.join(sys.argv[1:])}` shows the traceback.",
                err=True,
            )
            raise click.exceptions.Exit(ExitCode.ERROR) from error
