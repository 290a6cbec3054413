"""Reads the definition of a workflow from its file without running the file, and loads its function."""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, create_model
from pydantic.fields import FieldInfo

from smurfq.errors import UnknownWorkflowError
from smurfq.operations.checks import validate
from smurfq.operations.model import ParameterModel
from smurfq.operations.operation import Parameter, parameters_of
from smurfq.workflows import parameter_types
from smurfq.workflows.decorator import is_workflow

_MARK = "workflow"


@dataclass(frozen=True)
class Definition:
    """A workflow. ``function`` is the name of its function; None for a file that is run from top to bottom.

    ``source`` is the text that was read; the same text is run. In ``model``, names have a prefix, because any name is
    allowed for a workflow's parameter; the aliases have no prefix.
    """

    name: str
    path: str
    summary: str
    function: str | None
    model: type[ParameterModel] = ParameterModel
    source: bytes = field(default=b"", repr=False)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return its parameters, with the defaults that the source gives."""
        return parameters_of(self.model)

    def check(self, params: Mapping[str, Any] | None) -> dict[str, Any]:
        """Check the given parameters, and return them as arguments for the function.

        Raises
        ------
        ParameterError
            A parameter is unknown, missing or has the wrong type.
        """
        checked = validate(self.model, params or {}, self.name, f"workflow {self.name}")
        fields = type(checked).model_fields.items()
        return {str(field.alias): getattr(checked, name) for name, field in fields if name in checked.model_fields_set}

    def run(self, params: Mapping[str, Any]) -> Any:
        """Run the workflow in this process, and return its result.

        Raises
        ------
        ParameterError
            A parameter is not valid. Nothing was run.
        """
        checked = self.check(params)
        if self.function is None:
            self._execute("__main__")
            return None
        return self.load()(**checked)

    def load(self) -> Callable[..., Any]:
        """Load the file, and return the workflow's function.

        Raises
        ------
        UnknownWorkflowError
            The file, when it is run, does not define the function.
        """
        found = self._execute(f"smurfq_workflow_{self.name}").get(self.function or "")
        if found is None or not is_workflow(found):
            raise UnknownWorkflowError(
                f"{self.path}: {self.function} is not marked by smurfq.workflows.workflow", path=self.path
            )
        function: Callable[..., Any] = found
        return function

    def _execute(self, name: str) -> dict[str, Any]:
        """Run the source as the module ``name``, and return its globals; it can import modules of its folder."""
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


def read(path: Path, source: bytes) -> Definition:
    """Return the workflow that this source defines, without running it.

    Raises
    ------
    UnknownWorkflowError
        The source is not Python, marks several functions, or gives a parameter a type that is not allowed.
    """
    try:
        tree = ast.parse(source, str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as cause:
        raise UnknownWorkflowError(f"workflow {path} cannot be read as Python: {cause}", path=str(path)) from cause
    marked = [node for node in tree.body if isinstance(node, ast.FunctionDef) and _is_marked(node)]
    if len(marked) > 1:
        names = ", ".join(node.name for node in marked)
        raise UnknownWorkflowError(f"{path} marks {names} with @workflow; mark only one function", path=str(path))
    if not marked:
        return Definition(path.stem, str(path), _first_line(ast.get_docstring(tree)), None, source=source)
    function = marked[0]
    summary = _first_line(ast.get_docstring(function))
    return Definition(path.stem, str(path), summary, function.name, _model(function, path), source)


def _is_marked(function: ast.FunctionDef) -> bool:
    """Return whether the function is decorated with ``workflow`` or ``….workflow``."""
    return any(
        (isinstance(mark, ast.Name) and mark.id == _MARK) or (isinstance(mark, ast.Attribute) and mark.attr == _MARK)
        for mark in function.decorator_list
    )


def _model(function: ast.FunctionDef, path: Path) -> type[ParameterModel]:
    given = function.args
    if given.vararg or given.kwarg or given.posonlyargs:
        raise UnknownWorkflowError(
            f"{path}: parameters are passed by name, so {function.name} may have neither *, ** nor / in them",
            path=str(path),
        )
    missing: list[ast.expr | None] = [None] * (len(given.args) - len(given.defaults))
    pairs = [
        *zip(given.args, [*missing, *given.defaults], strict=True),
        *zip(given.kwonlyargs, given.kw_defaults, strict=True),
    ]
    fields: dict[str, Any] = {f"parameter_{one.arg}": _field(one, default, path) for one, default in pairs}
    return create_model(function.name, __base__=ParameterModel, **fields)


def _field(one: ast.arg, default: ast.expr | None, path: Path) -> tuple[Any, FieldInfo]:
    try:
        kind = parameter_types.read(one.annotation)
    except ValueError as cause:
        raise UnknownWorkflowError(
            f"{path}: parameter {one.arg} is of the type {cause}; allowed are float, int, str, bool, dict, list[…], "
            "tuple[…] and … | None",
            path=str(path),
        ) from cause
    return kind, Field(alias=one.arg) if default is None else Field(_value(default), alias=one.arg)


def _value(default: ast.expr) -> Any:
    try:
        return ast.literal_eval(default)
    except ValueError:
        return ast.unparse(default)


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
