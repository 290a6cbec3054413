"""No output of the command line contains the password of Redis."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from smurfq.cli import main
from tests.site.ports import free_port

SECRET = "hunter2-and-more"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SMURFQ_")]:
        monkeypatch.delenv(name)


def said(arguments: tuple[str, ...], url: str, folder: Path) -> str:
    """All that a command says, and the error that it ends with."""
    given = '{"operation": "test"}\n'
    variables = {"SMURFQ_REDIS_URL": url, "SMURFQ_SLOTS": "crate1slot2", "SMURFQ_STATE_DIR": str(folder)}
    result = CliRunner(env=variables).invoke(main, list(arguments), input=given)
    return f"{result.output} {result.exception!r}"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("status",),
        ("--debug", "status"),
        ("submit", "test"),
        ("--debug", "submit", "test"),
        ("batch", "-"),
        ("watch", "--once"),
        ("lock",),
        ("workflow", "list"),
        ("doctor",),
    ],
)
def test_an_outage_of_redis_is_not_in_the_log(arguments: tuple[str, ...], tmp_path: Path) -> None:
    url = f"redis://ann:{SECRET}@127.0.0.1:{free_port()}/0"
    assert SECRET not in said(arguments, url, tmp_path)


@pytest.mark.parametrize("url", [f"http://x:{SECRET}@h", f"redis://:{SECRET}@[h", f"redis://:{SECRET}@h:port/0"])
def test_a_url_that_is_wrong_is_not_shown(url: str, tmp_path: Path) -> None:
    assert SECRET not in said(("status",), url, tmp_path)
