"""Only ``smurfq.private_api`` touches private parts of Celery, kombu, billiard and redis.

The test reads the source and the classes. It cannot see ``getattr`` with a computed name, nor an undocumented part
without an underscore that ``INTERNAL`` does not list. It takes a private name that smurfq itself defines somewhere for
its own, unless a subclass of theirs uses it. pysmurf, sodetlib and caproto are not meant: ``smurf_control`` and ``sim``
patch them.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import smurfq

ROOT = Path(smurfq.__file__).parent
FOREIGN = ("celery", "kombu", "billiard", "redis", "vine")
EXEMPT = ("private_api", "smurf_control", "sim")  # the last two have other private parts, of pysmurf and caproto
PUBLIC = {"_exit", "_ocs_session", "__dict__", "_replace"}  # documented in spite of their underscore
INTERNAL = {
    "Panel",
    "on_chord_part_return",
    "on_task_call",
    "on_unknown_task",
    "restore_by_tag",
    "semaphore",
    "strategies",
}
SOURCES = [path for path in sorted(ROOT.rglob("*.py")) if path.relative_to(ROOT).parts[0] not in EXEMPT]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def own_names(trees: list[ast.AST]) -> set[str]:
    """The private names that smurfq defines: functions, attributes that are set, and class fields."""
    names: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_self(node.value):
                names.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return {name for name in names if is_private(name)}


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def foreign_imports(tree: ast.AST) -> Iterator[str]:
    """The private modules and names that a module imports from elsewhere than smurfq."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in FOREIGN:
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            yield from (part for part in parts if is_private(part) or part in INTERNAL)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in FOREIGN:
                    yield from (part for part in alias.name.split(".") if is_private(part))


def touched(tree: ast.AST, own: set[str]) -> Iterator[str]:
    """The private attributes of other objects than smurfq's own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            private = is_private(node.attr) and node.attr not in own | PUBLIC
            if private or node.attr in INTERNAL:
                yield f"line {node.lineno}: .{node.attr}"


def inherited(path: Path, tree: ast.AST) -> Iterator[str]:
    """The private names that a class uses or defines and that a base class of Celery, kombu or redis has."""
    if not any(isinstance(node, ast.ClassDef) and node.bases for node in ast.walk(tree)):
        return
    name = ".".join(["smurfq", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")
    module = importlib.import_module(name)
    for node in ast.iter_child_nodes(tree):
        found = getattr(module, node.name, None) if isinstance(node, ast.ClassDef) else None
        if not inspect.isclass(found):
            continue
        bases = [base for base in found.__mro__ if base.__module__.split(".")[0] in FOREIGN]
        used = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
        used |= {each.name for each in ast.walk(node) if isinstance(each, ast.FunctionDef)}
        for each in sorted(filter(is_private, used)):
            if any(each in vars(base) for base in bases):
                yield f"{found.__name__}.{each}"


TREES = {path: ast.parse(path.read_text()) for path in SOURCES}
OWN = own_names(list(TREES.values()))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_touches_nothing_private(path: Path) -> None:
    tree = TREES[path]
    found = [*foreign_imports(tree), *touched(tree, OWN)]
    if path.name != "__main__.py":
        found += inherited(path, tree)
    where = path.relative_to(ROOT.parent)
    assert not found, f"{where} uses private parts; move them to smurfq/private_api: {', '.join(found)}"


@pytest.mark.parametrize(
    "code",
    [
        "from celery._state import _task_stack",
        "from celery.worker.control import Panel",
        "backend._fail_chain(chain, error)",
        "channel.qos.restore_by_tag(tag)",
        "super()._brpop_read()",
    ],
)
def test_a_private_part_is_found(code: str) -> None:
    tree = ast.parse(code)
    assert [*foreign_imports(tree), *touched(tree, OWN)]
