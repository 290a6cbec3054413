"""An installation with which no card can be driven is rejected by name."""

from __future__ import annotations

from importlib import metadata

import pytest

from smurfq.errors import StartError
from smurfq.smurf_control import known_versions


def install(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    """Have these versions installed, and nothing else."""

    def version(name: str) -> str:
        found = versions.get(name.replace("-", "_"))
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(metadata, "version", version)


@pytest.mark.parametrize("version", ["11.0.0", "11.0.0rc1", "12.3"])
@pytest.mark.parametrize("name", known_versions.PYSMURF)
def test_a_pysmurf_without_channel_access_is_rejected(monkeypatch: pytest.MonkeyPatch, name: str, version: str) -> None:
    install(monkeypatch, **{name.replace("-", "_"): version})
    with pytest.raises(StartError, match=rf"^{name} {version} is installed: from version 11 on, .* not by Channel"):
        known_versions.require_channel_access()


@pytest.mark.parametrize(
    "versions", [{}, {"pysmurf_slac": "10.3.4"}, {"pysmurf_slac": "10.4.0.dev1"}, {"pysmurf": "10.3.4"}]
)
def test_other_installations_may_start(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]) -> None:
    install(monkeypatch, **versions)
    known_versions.require_channel_access()


@pytest.mark.parametrize(("numpy", "works"), [("1.26.4", True), ("2.2.6", True), ("2.3.0", False), ("2.10.1", False)])
def test_a_numpy_without_tostring_is_named(monkeypatch: pytest.MonkeyPatch, numpy: str, works: bool) -> None:
    install(monkeypatch, pysmurf_slac="10.3.4", numpy=numpy)
    assert (known_versions.numpy_problem() == "") is works
    install(monkeypatch, numpy=numpy)
    assert known_versions.numpy_problem() == "", "a machine without pysmurf needs no tostring"
