"""The documentation: generated pages are current, names exist, and commands run."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from docs import generate
from smurfq import operations
from smurfq.cli import main as cli
from smurfq.cli.options import parse_params
from smurfq.config import variables
from smurfq.config.reference import rows
from smurfq.core import keys
from smurfq.core.session import SessionRecord
from tests.site.commands import python
from tests.site.live import LiveSite
from tests.site.ports import free_port

TOP = Path(__file__).parents[2]
DOCS = TOP / "docs"
PAGES = [TOP / "README.md", TOP / "CHANGELOG.md", TOP / "deploy" / "README.md", *sorted(DOCS.rglob("*.md"))]
EXAMPLE = TOP / "examples" / "scripts" / "stream_data.py"
QUICK_START = "<!-- quick start -->\n"
SLOT = "crate1slot2"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


class Found(NamedTuple):
    """Something that a page shows, and which page."""

    page: str
    text: str


def blocks(*languages: str, pages: list[Path] = PAGES) -> list[Found]:
    """The fenced blocks of these languages."""
    return [
        Found(str(page.relative_to(TOP)), match[2])
        for page in pages
        for match in _FENCE.finditer(page.read_text())
        if match[1] in languages
    ]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def inline() -> list[Found]:
    """All code that stands in running text."""
    return [
        Found(str(page.relative_to(TOP)), text) for page in PAGES for text in re.findall(r"`([^`\n]+)`", prose(page))
    ]


def commands(text: str) -> Iterator[list[str]]:
    """The words behind `smurfq` of each command of a shell's block."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # an apostrophe in what a command wrote
            continue
        yield from _smurfq_in(words)


def _smurfq_in(words: list[str]) -> Iterator[list[str]]:
    segments: list[list[str]] = [[]]
    for word in words:
        if set(word) <= set("();<>|&"):
            segments.append([])
        else:
            segments[-1].append(word)
    for segment in segments:
        rest = segment[4:] if segment[:3] == ["docker", "compose", "exec"] else segment
        while rest and re.match(r"[A-Z_]+=", rest[0]):
            rest = rest[1:]
        if rest and rest[0] == "smurfq":
            yield rest[1:]


def shown_commands() -> list[Found]:
    """Every `smurfq …` command in a block, as a line."""
    found = [Found(page, shlex.join(words)) for page, text in blocks("sh") for words in commands(text)]
    for page, text in blocks("console"):
        typed = "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))
        found += [Found(page, shlex.join(words)) for words in commands(typed)]
    return sorted(set(found))


def mentioned_commands() -> list[Found]:
    """Every `smurfq …` in running text; it may leave out what a command needs."""
    cut = [Found(page, text.removeprefix("smurfq ")) for page, text in inline() if text.startswith("smurfq ")]
    return sorted({found for found in cut if not re.match(r"(--debug )?(COMMAND|…)", found.text)})


def parsed(line: str) -> tuple[str, dict[str, Any]]:
    """The name of the command that ``line`` is, and its parameters as click has them; raises as click does."""
    names: list[str] = []
    words, command = shlex.split(line), cli
    while isinstance(command, click.Group):
        flags = {name for option in command.params for name in option.opts}
        while words and words[0] in flags:
            words = words[1:]
        context = click.Context(command)
        inner = command.get_command(context, words[0]) if words else None
        if inner is None:
            if not words:
                return " ".join(names), {}
            if command.invoke_without_command:  # as `smurfq sim --slot …`
                return " ".join(names), command.make_context(names[-1], words).params
            raise click.UsageError(f"no command {words[0]!r}; known are {command.list_commands(context)}")
        names.append(words[0])
        command, words = inner, words[1:]  # type: ignore[assignment]
    return " ".join(names), command.make_context(names[-1], words).params


@pytest.mark.parametrize("name", sorted(generate.PAGES))
def test_generated_pages_are_current(name: str) -> None:
    assert (DOCS / "reference" / name).read_text() == generate.PAGES[name](), "run `make docs`"


def test_there_is_something_to_test() -> None:
    assert len(shown_commands()) > 50
    assert len(mentioned_commands()) > 30
    assert len(blocks("python")) > 10
    assert len([text for _, text in blocks("python", pages=[TOP / "README.md"])]) >= 2


@pytest.mark.parametrize("found", shown_commands(), ids=str)
def test_a_command_that_is_shown_exists_with_its_options(found: Found) -> None:
    name, params = parsed(found.text)
    if name == "submit":
        operations.check(params["operation"], parse_params(params["texts"]))


@pytest.mark.parametrize("found", mentioned_commands(), ids=str)
def test_a_command_that_is_mentioned_exists_with_its_options(found: Found) -> None:
    with contextlib.suppress(click.MissingParameter):
        parsed(found.text)


@pytest.mark.parametrize("found", ["frobnicate", "abort --nope", "queue mvoe 1", "status --slot"])
def test_a_wrong_command_would_be_found(found: str) -> None:
    with pytest.raises(click.UsageError):
        parsed(found)


@pytest.mark.parametrize("found", blocks("python"), ids=lambda found: f"{found.page}: {found.text[:40]!r}")
def test_python_compiles_and_imports_what_there_is(found: Found) -> None:
    tree = ast.parse(found.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ("smurfq", "celery"):
            module = importlib.import_module(node.module)
            for name in node.names:
                assert hasattr(module, name.name) or importlib.util.find_spec(f"{node.module}.{name.name}"), name.name


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in {slug(heading) for heading in _HEADING.findall(target.read_text())}, link


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    todo = [TOP / "README.md"]
    while todo:
        page = todo.pop()
        reached.add(page)
        targets = ((page.parent / link.partition("#")[0]).resolve() for link in _LINK.findall(prose(page)))
        todo += [target for target in targets if target.suffix == ".md" and target.exists() and target not in reached]
    assert set(PAGES) - reached == set()


def test_the_variables_and_settings_that_are_named_exist() -> None:
    known_variables, known_keys = set(variables()), {row.key for row in rows()}
    tables = {key.partition(".")[0] for key in known_keys if "." in key}
    for page in PAGES:
        for name in re.findall(r"\bSMURFQ_[A-Z_]*[A-Z]\b(?![_<])", page.read_text()):
            assert name in known_variables, f"{page}: {name}"
    for where, text in inline():
        if re.fullmatch(rf"({'|'.join(tables)})\.[a-z_]+", text):
            assert text in known_keys, f"{where}: {text}"


def test_every_field_of_the_record_has_its_line() -> None:
    listed = re.findall(r"^\| (`.*?`) \|", (DOCS / "reference" / "record.md").read_text(), re.MULTILINE)
    names = {name for cell in listed for name in re.findall(r"`(\w+)`", cell)}
    assert {item.name for item in fields(SessionRecord)} | {"op_code"} <= names


def test_every_redis_key_has_its_line() -> None:
    text = (DOCS / "reference" / "redis-keys.md").read_text()
    made = [value for name, value in vars(keys).items() if name.isupper()]
    for value in vars(keys).values():
        if callable(value) and getattr(value, "__module__", "") == keys.__name__:
            given = (
                1 if word == "retries" else "X" for word in value.__code__.co_varnames[: value.__code__.co_argcount]
            )
            made.append(value(*given))
    for key in made:
        start = re.escape(key.split("X")[0])
        assert re.search(rf"`{start}[^`]*`", text), key


def test_every_decision_is_listed_and_its_number_is_its_own() -> None:
    records = sorted(path.name for path in (DOCS / "decisions").glob("[0-9]*.md"))
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\)", (DOCS / "decisions" / "README.md").read_text())
    assert listed == records
    assert len({name[:4] for name in records}) == len(records)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a person who has smurfq on the path and sets nothing of it."""
    programs = folder / "programs"
    programs.mkdir()
    for name, command in (("smurfq", f'{sys.executable} -m smurfq "$@"'), ("python", f'{sys.executable} "$@"')):
        (programs / name).write_text(f"#!/bin/sh\nexec {command}\n")
        (programs / name).chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": str(TOP), "HOME": str(folder), **more}


@pytest.mark.slot
def test_the_quick_start_of_the_readme_runs(site: LiveSite, tmp_path: Path) -> None:
    pytest.importorskip("pysmurf")
    site.start_worker(SLOT)
    script = str(shutil.copy(EXAMPLE, site.scripts))
    text = (TOP / "README.md").read_text()
    code = "".join(match[2] for match in _FENCE.finditer(text) if text[: match.start()].endswith(QUICK_START))
    assert "/config/scripts/stream_data.py" in code
    code = code.replace("/config/scripts/stream_data.py", script).replace("/data/smurf_data", str(tmp_path / "data"))
    done = python(environment(tmp_path, **site.environ), "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    data = ast.literal_eval(first)
    assert data["active_channels"] == [0, 1, 2, 3, 4]
    assert Path(data["datafile"]).is_file()
    assert "message Starting data stream" in lines
    assert lines[-1] == "succeeded"


@pytest.mark.slot
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_tutorial_runs(tmp_path: Path) -> None:
    """Every command of the tutorial, in its order, but for the demo (which has a test of its own)."""
    pytest.importorskip("pysmurf")
    folder = tmp_path / "first"
    page = (DOCS / "tutorial" / "first-run.md").read_text()
    lines = ["set -e", "trap 'smurfq down || true' EXIT"]
    for match in _FENCE.finditer(page):
        text = match[2].replace("/tmp/first", str(folder))
        if "make demo" in text:
            continue
        if "3f2a91c0" in text:
            lines.append("smurfq history --json > history.json")
            lines.append(
                'ID=$(python -c \'import json; print(next(one["session_id"][:8] for one in '
                'json.load(open("history.json")) if one["outcome"] == "aborted"))\')'
            )
            text = text.replace("3f2a91c0", "$ID")
        if match[1] == "python":
            text = f"python - <<'PYTHON'\n{text}PYTHON\n"
        lines.append(text.replace("source .venv/bin/activate\n", ""))
    variables_set = {
        "SMURFQ_REDIS_EMBEDDED_PORT": str(free_port()),
        "SMURFQ_BRIDGE_PORT": str(free_port()),
        "SMURFQ_FLOWER_PORT": str(free_port()),
        "SMURFQ_WORKER_PRELOAD": "false",  # what it costs is time
        "SMURFQ_LIMITS_ABORT_GRACE_S": "1",
    }
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        env=environment(tmp_path, **variables_set),
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for told in ("smurfq is up", "Data stream is closed", "it ended as aborted", "is held by", "{'test': 10}"):
        assert told in done.stdout
    assert done.stdout.count("the site is stopped") == 1
    assert "Nothing was stopped" in done.stderr  # what the trap found
    assert json.loads((folder / "history.json").read_text())
