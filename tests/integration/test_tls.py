"""Redis over TLS, verified by all of smurfq's connections, and Redis behind a Unix socket."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from celery import Celery
from flower.utils.broker import Broker

from smurfq import config
from smurfq.app import app
from smurfq.celery_app.settings import celery_settings
from smurfq.client import Slot
from smurfq.errors import StoreUnavailableError
from smurfq.store.connection import connect, require_access
from smurfq.store.redis_errors import AWAY, explain
from tests.site.bridge import BRIDGE_KEY, Wire
from tests.site.commands import smurfq
from tests.site.eventually import eventually
from tests.site.live import LiveSite, stream_id
from tests.site.process_group import environ_without_site
from tests.site.valkey import Valkey
from tests.tls_proxy import Certificates, TlsProxy

HOST = "127.0.0.1"
SLOT = "crate1slot1"
WITHIN_S = 120.0
SCRIPT = "print('it ran', flush=True)"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A site's CA."""
    return Certificates(tmp_path_factory.mktemp("ca") / "site")


@pytest.fixture(scope="module")
def unix_socket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("socket") / "redis.sock"


@pytest.fixture(scope="module")
def valkey(unix_socket: Path) -> Iterator[Valkey]:
    """A Valkey that also listens on a Unix socket."""
    with Valkey(unix_socket.parent / "valkey", unixsocket=str(unix_socket)) as server:
        yield server


@contextmanager
def tls_server(valkey: Valkey, pair: tuple[Path, Path], ca_file: Path | None, **more: Path) -> Iterator[dict[str, str]]:
    """The variables of a site whose Redis shows a certificate; ``client_ca``: and asks for one."""
    with closing(TlsProxy(valkey.port, *pair, **more)) as proxy:
        variables = {"SMURFQ_REDIS_URL": f"rediss://{HOST}:{proxy.port}/0"}
        yield variables if ca_file is None else {**variables, "SMURFQ_REDIS_CA_FILE": str(ca_file)}


def celery_app(environ: dict[str, str]) -> Celery:
    found = Celery("test", set_as_current=False)
    found.conf.update(celery_settings(config.load(environ)))
    return found


@pytest.mark.parametrize("by", ["tls", "unix"])
def test_a_site_runs_an_operation(
    by: str, valkey: Valkey, unix_socket: Path, certificates: Certificates, tmp_path: Path
) -> None:
    with tls_server(valkey, certificates.issue(HOST), certificates.ca_file) as tls:
        reached = tls if by == "tls" else {"SMURFQ_REDIS_URL": f"unix://{unix_socket}?db=0"}
        with LiveSite(tmp_path / "site", **reached) as site:
            site.start_bridge()
            site.start_worker(SLOT)
            run = Slot(SLOT, config.load(site.environ)).submit("run", script=site.script("one.py", SCRIPT))
            record = run.wait(WITHIN_S)
            assert (record.outcome, record.log) == ("succeeded", "it ran\n")
            assert app.submit("test", slot=SLOT).get(timeout=WITHIN_S)["success"], "Celery's own result backend"
            assert app.control.ping(timeout=10.0), "remote control"
            with closing(Wire((app.settings.bridge.host, app.settings.bridge.port), stream_id(SLOT))) as wire:
                wire.say("hello")
            eventually(lambda: int(app.store.hget(BRIDGE_KEY, "received") or 0), what="the bridge counts it")
            status = smurfq(environ_without_site(**site.environ), "status", "--slot", SLOT)
            assert status.returncode == 0, status.stderr
            assert "alive" in status.stdout


def wrong(name: str, certificates: Certificates, folder: Path) -> tuple[tuple[Path, Path], Path | None]:
    """A server's certificate that must be rejected, and the CA that the site trusts."""
    if name == "unknown CA":
        return certificates.issue(HOST), None
    if name == "another CA":
        return Certificates(folder / "other").issue(HOST), certificates.ca_file
    if name == "another host":
        return certificates.issue("redis.example"), certificates.ca_file
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    return certificates.issue(HOST, expires=yesterday), certificates.ca_file


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("unknown CA", "set redis.ca_file (SMURFQ_REDIS_CA_FILE) to the CA that signed it"),
        ("another CA", "set redis.ca_file (SMURFQ_REDIS_CA_FILE) to the CA that signed it"),
        ("another host", "redis.url (SMURFQ_REDIS_URL) must name the server as its certificate does"),
        ("expired", "certificate has expired; renew it on the server"),
    ],
)
def test_a_wrong_certificate_is_rejected(
    name: str, told: str, valkey: Valkey, certificates: Certificates, tmp_path: Path
) -> None:
    pair, ca_file = wrong(name, certificates, tmp_path)
    with tls_server(valkey, pair, ca_file) as environ:
        url = config.load(environ).redis_url
        with pytest.raises(StoreUnavailableError, match="its certificate is rejected") as caught:
            require_access(url)
        assert told in str(caught.value)
        celery = celery_app(environ)
        with celery.connection_for_write() as connection, pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            connection.ensure_connection(max_retries=1, timeout=5)
        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            celery.backend.client.ping()
        for command in (["status"], ["doctor"], ["submit", "test", "--slot", "crate1slot2"]):
            ended = smurfq(environ_without_site(**environ, SMURFQ_STATE_DIR=str(tmp_path / "state")), *command)
            text = " ".join((ended.stdout + ended.stderr).split())
            assert ended.returncode != 0, command
            assert told in text, command
            assert "bug in smurfq" not in text
            assert "start it" not in text
            assert "Traceback" not in text


def test_a_server_may_ask_for_a_certificate(valkey: Valkey, certificates: Certificates) -> None:
    with tls_server(valkey, certificates.issue(HOST), certificates.ca_file, client_ca=certificates.ca_file) as environ:
        with pytest.raises(StoreUnavailableError, match=r"set redis\.cert_file and redis\.key_file"):
            require_access(config.load(environ).redis_url)
        certificate, key = certificates.issue("smurf-srv1")
        environ |= {"SMURFQ_REDIS_CERT_FILE": str(certificate), "SMURFQ_REDIS_KEY_FILE": str(key)}
        with connect(config.load(environ).redis_url) as client:
            assert client.ping()
        celery = celery_app(environ)
        assert celery.backend.client.ping()
        with celery.connection_for_write() as connection:
            assert connection.default_channel.client.ping()


def test_flower_verifies_too(valkey: Valkey, certificates: Certificates) -> None:
    """Its page of the broker makes a connection of its own from Celery's settings."""
    with tls_server(valkey, certificates.issue(HOST), certificates.ca_file) as environ:
        conf = celery_app(environ).conf
        broker = Broker(conf.broker_url, broker_use_ssl=conf.broker_use_ssl, broker_options={})
        made = broker.redis.connection_pool.make_connection()
    assert (made.cert_reqs.name, made.check_hostname) == ("CERT_REQUIRED", True)
    assert made.ca_certs == str(certificates.ca_file)


def test_an_error_says_that_a_server_does_not_speak_tls(valkey: Valkey) -> None:
    url = f"rediss://{HOST}:{valkey.port}/0"
    with connect(url, retries=0) as client, pytest.raises(AWAY) as caught:
        client.ping()
    assert "is that its TLS port?" in explain(url, caught.value)
