"""A workflow that can be run: what its file says of it, read without running the file, and its function."""

from __future__ import annotations

import ast
import difflib
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smurfq.core.plain_values import native
from smurfq.errors import ParameterError, UnknownWorkflowError
from smurfq.workflows import parameter_types
from smurfq.workflows.decorator import is_workflow

_MARK = "workflow"


@dataclass(frozen=True)
class Parameter:
    """A parameter of a workflow; ``kind`` is its type, ``default`` is as the source has it."""

    name: str
    kind: Any
    required: bool
    default: Any = None

    def to_dict(self) -> dict[str, Any]:
        """The parameter as a JSON object."""
        described = {"name": self.name, "required": self.required, "allowed": parameter_types.allowed(self.kind)}
        return described if self.required else {**described, "default": native(self.default)}


@dataclass(frozen=True)
class Definition:
    """A workflow. ``function`` is the name of its function; None for a file that is run from top to bottom.

    ``source`` is what was read, and so what is run.
    """

    name: str
    path: str
    summary: str
    function: str | None
    parameters: tuple[Parameter, ...] = ()
    source: bytes = field(default=b"", repr=False)

    def check(self, params: Mapping[str, Any] | None) -> dict[str, Any]:
        """The parameters that were given, as the function takes them.

        Raises
        ------
        ParameterError
            One is unknown, missing or ill-typed.
        """
        given = dict(params or {})
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known) or 'none'}"
                raise self._error(name, f"is not one of its parameters; {hint}")
        for name, parameter in known.items():
            if name in given:
                given[name] = self._checked(parameter, given[name])
            elif parameter.required:
                raise self._error(name, f"is missing; it must be {parameter_types.allowed(parameter.kind)}")
        return given

    def run(self, params: Mapping[str, Any]) -> Any:
        """What the workflow returns, run here and now.

        Raises
        ------
        ParameterError
            A parameter is not as it must be. Nothing was run.
        """
        checked = self.check(params)
        if self.function is None:
            self._execute("__main__")
            return None
        return self.load()(**checked)

    def load(self) -> Callable[..., Any]:
        """Its function.

        Raises
        ------
        UnknownWorkflowError
            The file does not give it when it is run.
        """
        found = self._execute(f"smurfq_workflow_{self.name}").get(self.function or "")
        if found is None or not is_workflow(found):
            raise UnknownWorkflowError(
                f"{self.path}: {self.function} is not marked by smurfq.workflows.workflow", path=self.path
            )
        function: Callable[..., Any] = found
        return function

    def _execute(self, name: str) -> dict[str, Any]:
        """The names that the source leaves, run as the module ``name``; modules beside its file can be imported."""
        module = types.ModuleType(name)
        module.__dict__.update(__file__=self.path, __cached__=None, __spec__=None)
        before = sys.modules.get(name)
        sys.modules[name] = module
        if (folder := str(Path(self.path).parent)) not in sys.path:
            sys.path.insert(0, folder)
        try:
            exec(compile(self.source, self.path, "exec", dont_inherit=True), module.__dict__)
        finally:
            if before is not None:
                sys.modules[name] = before
        return module.__dict__

    def _checked(self, parameter: Parameter, value: Any) -> Any:
        try:
            return parameter_types.check(parameter.kind, native(value))
        except ValueError as cause:
            must = parameter_types.allowed(parameter.kind)
            raise self._error(parameter.name, f"must be {must}; got {value!r}") from cause

    def _error(self, name: str, why: str) -> ParameterError:
        return ParameterError(f"workflow {self.name}: parameter {name} {why}", operation=self.name, parameter=name)


def read(path: Path, source: bytes) -> Definition:
    """The workflow of a file with this source, which is not run for it.

    Raises
    ------
    UnknownWorkflowError
        It is not Python, marks several functions, or gives a parameter a type that is not allowed.
    """
    try:
        tree = ast.parse(source, str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as cause:
        raise UnknownWorkflowError(f"workflow {path} cannot be read as Python: {cause}", path=str(path)) from cause
    marked = [node for node in tree.body if isinstance(node, ast.FunctionDef) and _is_marked(node)]
    if len(marked) > 1:
        names = ", ".join(node.name for node in marked)
        raise UnknownWorkflowError(f"{path} marks {names} with @workflow; one file is one workflow", path=str(path))
    if not marked:
        return Definition(path.stem, str(path), _first_line(ast.get_docstring(tree)), None, source=source)
    function = marked[0]
    summary = _first_line(ast.get_docstring(function))
    return Definition(path.stem, str(path), summary, function.name, _parameters(function, path), source)


def _is_marked(function: ast.FunctionDef) -> bool:
    """Whether it is decorated with ``workflow`` or ``….workflow``."""
    return any(
        (isinstance(mark, ast.Name) and mark.id == _MARK) or (isinstance(mark, ast.Attribute) and mark.attr == _MARK)
        for mark in function.decorator_list
    )


def _parameters(function: ast.FunctionDef, path: Path) -> tuple[Parameter, ...]:
    given = function.args
    if given.vararg or given.kwarg or given.posonlyargs:
        raise UnknownWorkflowError(
            f"{path}: a workflow's parameters go by name, so {function.name} may have neither *, ** nor / in them",
            path=str(path),
        )
    missing: list[ast.expr | None] = [None] * (len(given.args) - len(given.defaults))
    pairs = [
        *zip(given.args, [*missing, *given.defaults], strict=True),
        *zip(given.kwonlyargs, given.kw_defaults, strict=True),
    ]
    return tuple(_parameter(one, default, path) for one, default in pairs)


def _parameter(one: ast.arg, default: ast.expr | None, path: Path) -> Parameter:
    try:
        kind = parameter_types.read(one.annotation)
    except ValueError as cause:
        raise UnknownWorkflowError(
            f"{path}: parameter {one.arg} is of the type {cause}; allowed are float, int, str, bool, dict, list[…], "
            "tuple[…] and … | None",
            path=str(path),
        ) from cause
    return Parameter(one.arg, kind, default is None, _value(default))


def _value(default: ast.expr | None) -> Any:
    try:
        return None if default is None else ast.literal_eval(default)
    except ValueError:
        return ast.unparse(default) if default is not None else None


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
