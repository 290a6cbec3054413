"""Runs Flower with a login, on loopback by default, and without the requests that would break guarantees."""

from __future__ import annotations

import atexit
import os
import secrets
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

from smurfq.config import Settings
from smurfq.core import identity
from smurfq.core.private_files import make_folder
from smurfq.errors import StartError
from smurfq.store.site_identity import reject_guess

_PASSWORD_BYTES = 18
_DATABASE = "flower.db"
_TASKS_KEPT = 10_000  # each takes 8 kB, and 30 us to show; Flower's default of 100,000 takes 800 MB and three seconds


def password_path(settings: Settings) -> Path:
    """Return the file of the generated password."""
    return settings.state_dir.absolute() / "flower-password"


def password(settings: Settings) -> str:
    """Return the login's password: the setting, or one that is generated once and kept in a file for its owner."""
    if settings.flower.password is not None:
        return settings.flower.password
    path = password_path(settings)
    make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        kept = path.read_text().strip()
        if not kept:
            raise StartError(
                f"Flower's password file {path} is empty; remove it, and smurfq generates a new one"
            ) from None
        return kept
    with os.fdopen(descriptor, "w") as file:
        made = secrets.token_urlsafe(_PASSWORD_BYTES)
        file.write(made + "\n")
    return made


def login_words(settings: Settings) -> str:
    """Describe where to find the login, without showing the password."""
    if settings.flower.password is not None:
        return f"login {settings.flower.user}, password from the setting flower.password"
    return f"login {settings.flower.user}, password in {password_path(settings)}"


def run(settings: Settings, *, persistent: bool = False) -> None:
    """Serve Flower until SIGTERM or SIGINT.

    Flower's own ``FLOWER_*`` variables (TLS, OAuth, ``FLOWER_READ_ONLY``, …) apply, and override the settings made
    here.

    Raises
    ------
    StartError
        Flower is not installed, or its port is in use.
    ConfigError
        The environment names no site, but Redis serves a site that has a name or a site file.
    """
    reject_guess(settings, os.environ)
    try:
        from flower import command  # noqa: PLC0415 - an optional dependency
        from flower.app import Flower  # noqa: PLC0415
        from flower.options import options  # noqa: PLC0415
        from flower.urls import settings as tornado_settings  # noqa: PLC0415
    except ImportError as cause:
        raise StartError("`smurfq flower` needs the package flower: pip install 'smurfq[flower]'") from cause
    from smurfq.app import app  # noqa: PLC0415 - celery is slow to import, and only needed here
    from smurfq.site import flower_handlers  # noqa: PLC0415 - imports Flower

    # A user of the page is not the user who started Flower, so the latter's locks must not apply.
    os.environ.setdefault(identity.VARIABLE, f"flower@{socket.gethostname()}")
    options.address = settings.flower.host
    options.port = settings.flower.port
    options.basic_auth = [f"{settings.flower.user}:{password(settings)}"]
    options.persistent = persistent
    options.db = str(settings.state_dir.absolute() / _DATABASE)
    options.purge_offline_workers = 3600
    options.max_tasks = _TASKS_KEPT
    command.apply_env_options()
    command.extract_settings()
    command.setup_logging()
    app.set_current()
    page = Flower(capp=app, options=options, **tornado_settings)
    flower_handlers.add_to(page, options.url_prefix)
    atexit.register(page.stop)
    signal.signal(signal.SIGTERM, _end)
    try:
        port = page.start_http_server()
    except OSError as cause:
        raise StartError(
            f"Flower cannot listen on {options.address}:{options.port}: {cause.strerror}; "
            "end what is there, or set SMURFQ_FLOWER_PORT",
            port=options.port,
        ) from cause
    print(f"Flower is on http://{options.address}:{port} ({login_words(settings)})", flush=True)
    try:
        page.start()
    except (KeyboardInterrupt, SystemExit):
        page.stop()


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
