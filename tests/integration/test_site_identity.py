"""A command uses the right site, or says which site it uses."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from smurfq.app import app
from smurfq.cli import main, options
from smurfq.client import Slot
from smurfq.client.connection import Connection
from smurfq.config import load
from smurfq.core import keys
from smurfq.errors import ConfigError
from smurfq.pool_child.context import WorkerContext
from smurfq.site.doctor import workers
from smurfq.site.doctor.finding import Examined
from smurfq.store.connection import Client
from smurfq.store.site_identity import SiteIdentity, identity_text, join_site, read_identity, reject_guess
from tests.site.commands import python
from tests.site.process_group import environ_without_site
from tests.site.producer import bind

SLOT = "crate1slot2"
SATP1 = SiteIdentity("satp1", "/etc/smurfq/satp1.toml", "smurf-srv1", simulated=False)
NAMELESS = SiteIdentity(None, None, "a-laptop", simulated=True)
Cli = Callable[..., Result]


@pytest.fixture
def cli(valkey: Client, valkey_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """The command in a terminal that names no site; at the default address listens the tests' Valkey."""
    for name in [name for name in os.environ if name.startswith("SMURFQ_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(options, "load", lambda environ: load({"SMURFQ_REDIS_URL": valkey_url, **environ}))
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, **environ: CliRunner().invoke(main, arguments, env=environ)


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("history",), ("submit", "test"), ("hold", "-s", SLOT), ("workflow", "list"), ("queue", "list")],
)
def test_the_default_address_is_rejected_if_a_site_with_a_file_answers(
    cli: Cli, valkey: Client, arguments: tuple[str, ...]
) -> None:
    valkey.set(keys.SITE, identity_text(SATP1))
    done = cli(*arguments)
    assert done.exit_code == 2
    assert "serves site 'satp1' (/etc/smurfq/satp1.toml on smurf-srv1)" in done.stderr
    assert "SMURFQ_CONFIG=/etc/smurfq/satp1.toml" in done.stderr
    assert valkey.keys("*") == [keys.SITE], "nothing was written"


def test_a_command_says_which_site_answers_at_the_default_address(cli: Cli, valkey: Client) -> None:
    valkey.set(keys.SITE, identity_text(NAMELESS))
    done = cli("history", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout or "[]") == []
    assert "SMURFQ_CONFIG is not set" in done.stderr
    assert "a site without a name (on a-laptop), SIMULATED" in done.stderr


def test_an_address_that_was_given_is_trusted(cli: Cli, valkey: Client, valkey_url: str) -> None:
    valkey.set(keys.SITE, identity_text(SATP1))
    done = cli("history", SMURFQ_REDIS_URL=valkey_url)
    assert (done.exit_code, done.stderr) == (0, "")


def test_a_name_that_was_given_must_be_the_sites(cli: Cli, valkey: Client, valkey_url: str) -> None:
    valkey.set(keys.SITE, identity_text(SATP1))
    assert cli("history", SMURFQ_SITE="satp1", SMURFQ_REDIS_URL=valkey_url).exit_code == 0
    done = cli("history", SMURFQ_SITE="satp2", SMURFQ_REDIS_URL=valkey_url)
    assert done.exit_code == 2
    assert "serves site 'satp1'" in done.stderr
    assert "for site 'satp2'" in done.stderr


def test_a_client_in_python_is_rejected_as_a_command_is(valkey: Client, valkey_url: str) -> None:
    valkey.set(keys.SITE, identity_text(SATP1))
    settings = load({"SMURFQ_REDIS_URL": valkey_url})
    with pytest.raises(ConfigError, match="the environment names no site"):
        Slot(SLOT, connection=Connection(settings, named_by={})).submit("test")
    with pytest.raises(ConfigError, match="for site 'satp2'"):
        Slot(SLOT, load({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SITE": "satp2"})).history()
    Slot(SLOT, settings).submit("test")


def test_a_worker_writes_which_site_it_serves(
    valkey: Client, valkey_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SMURFQ_CONFIG", str(tmp_path / "site.toml"))
    bind({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SITE": "satp1", "SMURFQ_STATE_DIR": str(tmp_path)})
    context = WorkerContext(app, SLOT, "control", "token", {})
    for _ in range(2):
        context.say_alive()
        found = read_identity(valkey)
        assert found is not None
        assert (found.name, found.site_file) == ("satp1", str(tmp_path / "site.toml"))
        valkey.flushall()


def test_a_site_of_another_version_is_known_by_its_name(valkey: Client) -> None:
    valkey.set(keys.SITE, '{"name": "satp1", "crates": 2}')
    assert read_identity(valkey) == SiteIdentity("satp1", None, None, None)  # type: ignore[arg-type]


def test_a_worker_does_not_join_a_site_by_a_guess(
    valkey: Client, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("SMURFQ_")]:
        monkeypatch.delenv(name)
    settings = load({"SMURFQ_REDIS_URL": valkey_url})
    valkey.set(keys.SITE, identity_text(NAMELESS))
    reject_guess(settings, os.environ)
    valkey.set(keys.SITE, identity_text(SATP1))
    with pytest.raises(ConfigError, match="serves site 'satp1'"):
        reject_guess(settings, os.environ)
    monkeypatch.setenv("SMURFQ_REDIS_URL", valkey_url)
    reject_guess(settings, os.environ)


MOVED = SiteIdentity(None, None, "another-server", simulated=False)


@pytest.mark.parametrize(
    ("served", "own", "said"),
    [
        (None, {}, None),
        (SATP1, {"SMURFQ_SITE": "satp1"}, None),
        (SATP1, {"SMURFQ_SITE": "satp2"}, "this process belongs to site 'satp2'"),
        (SATP1, {}, "this process belongs to a site without a name on"),
        (MOVED, {}, "serves a site without a name .on another-server.; this process belongs to a site without a name"),
        (MOVED, {"SMURFQ_SITE": "satp1"}, "this process belongs to site 'satp1'"),
    ],
)
def test_two_sites_never_share_a_redis(
    valkey: Client, valkey_url: str, served: SiteIdentity | None, own: dict[str, str], said: str | None
) -> None:
    if served is not None:
        valkey.set(keys.SITE, identity_text(served))
    environ = {"SMURFQ_REDIS_URL": valkey_url, **own}
    before = valkey.get(keys.SITE)
    if said is None:
        join_site(load(environ), environ)
        join_site(load(environ), environ)
        assert read_identity(valkey) is not None
    else:
        with pytest.raises(ConfigError, match=said):
            join_site(load(environ), environ)
        assert valkey.get(keys.SITE) == before


_GUESSING = {
    "bridge": "from smurfq.udp_bridge import main; sys.exit(main())",
    "flower": "from smurfq.site.flower import run; run(config.load({}))",
    "producer": "from smurfq.tasks import test; test.delay(slot='crate1slot2')",
}


@pytest.mark.parametrize("program", _GUESSING)
def test_no_process_joins_a_site_by_a_guess(valkey: Client, valkey_url: str, program: str, tmp_path: Path) -> None:
    valkey.set(keys.SITE, identity_text(SATP1))
    beginning = (
        f"import sys; from smurfq import config; load = config.load; given = {{'SMURFQ_REDIS_URL': {valkey_url!r}}}"
    )
    lines = [beginning, "config.load = lambda environ: load({**given, **environ})", _GUESSING[program]]
    done = python(environ_without_site(), "-c", "\n".join(lines), cwd=tmp_path)
    assert done.returncode == 1
    assert "serves site 'satp1'" in done.stderr
    assert valkey.keys("*") == [keys.SITE], "nothing was written"


@pytest.mark.parametrize(("made", "told"), [(False, "no site was found"), (True, "no site is up in")])
def test_down_fails_where_no_site_is_up(cli: Cli, tmp_path: Path, made: bool, told: str) -> None:
    if made:
        (tmp_path / ".smurfq").mkdir()
    done = cli("down")
    assert done.exit_code == 9
    assert told in done.stderr
    assert done.stdout == ""


def test_doctor_says_which_site_answers(valkey: Client, valkey_url: str) -> None:
    valkey.set(keys.SITE, identity_text(SATP1))
    settings = load({"SMURFQ_REDIS_URL": valkey_url})
    for environ, level in (({"SMURFQ_REDIS_URL": valkey_url}, "ok"), ({}, "fail")):
        found = {finding.name: finding for finding in workers.check(Examined(settings, environ, redis_answers=True))}
        assert found["site"].level == level
        assert "site 'satp1'" in found["site"].found
