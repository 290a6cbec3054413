"""Fixtures and hooks of all tests: their order, a real Valkey, free ports, and a check for processes left behind."""

from __future__ import annotations

import gc
import os
import signal
import warnings
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import psutil
import pytest

from smurfq.store import connect
from smurfq.store.connection import Client
from tests.site.ports import free_port
from tests.site.process_group import described, lives, site_processes
from tests.site.valkey import Valkey

# The same examples in each run, however slow the machine is; `--hypothesis-profile=search` looks for new ones.
hypothesis.settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("search", hypothesis.settings.get_profile("steady"), derandomize=False)
hypothesis.settings.load_profile("steady")

_OF_WHOLE_SITES = ("integration", "system")

_MODULES_THAT_MAY_SKIP = {"test_sorunlib.py"}  # an extra that `make test` does not install
_FOLDERS = ("system", "integration/sim", "integration", "")  # from the longest files to the shortest


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start: pytest-xdist's and a shell's background processes are deaf to it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # which exec passes on, unlike a handler
        signal.signal(signal.SIGINT, lambda *_: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first: where several processes share the files, none is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    here = Path(__file__).parent

    def rank(item: pytest.Item) -> tuple[bool, int]:
        path = item.path.relative_to(here).as_posix()
        return item.path not in slow, next(place for place, folder in enumerate(_FOLDERS) if path.startswith(folder))

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that is skipped fails, unless it is marked ``may_skip``: nobody looks for what was not tested."""
    report = yield
    if not item.get_closest_marker("may_skip"):
        _fail_if_skipped_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole module; its ``pytestmark`` is not known yet, so one that may be skipped is listed."""
    report = yield
    if collector.path.name not in _MODULES_THAT_MAY_SKIP:
        _fail_if_skipped_in_ci(report)
    return report


def _fail_if_skipped_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"a skipped test fails in CI: {report.longrepr}"


@pytest.fixture(scope="module", autouse=True)
def forget_sites_that_are_gone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect the clients of a module's sites with it, and not in the midst of a test of another module.

    A client that nobody needs any more closes its connections as it is collected; where it is part of a cycle, its
    socket may be finalised before it, and warns.
    """
    yield
    if request.path.relative_to(Path(__file__).parent).parts[0] in _OF_WHOLE_SITES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


@pytest.fixture(scope="session", autouse=True)
def leave_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail where a test has left a process behind, be it a child or one that has detached itself."""
    yield
    found = {*psutil.Process().children(recursive=True), *site_processes(tmp_path_factory.getbasetemp())}
    left = [one for one in found if lives(one.pid)]
    told = [described(one) for one in left]
    for one in left:
        one.kill()
    assert not told, f"left behind, and killed now: {told}"


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A real Valkey for the whole session, with an append-only file as a site has it."""
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session")
def valkey_url(valkey_server: Valkey) -> str:
    """Where the session's Valkey is."""
    return valkey_server.url


@pytest.fixture
def valkey(valkey_url: str) -> Iterator[Client]:
    """A client of the session's Valkey, which is empty."""
    client = connect(valkey_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def free_udp_port() -> int:
    """A UDP port of loopback on which nothing listens."""
    return free_port()
