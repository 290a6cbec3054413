"""Identifies the site of a Redis: the site's workers write it there, and clients compare it with their settings."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from smurfq.config import FILE_VARIABLE, Settings, names_no_site
from smurfq.core import keys
from smurfq.core.jsonsafe import dumps, loads
from smurfq.core.redis_url import without_password
from smurfq.errors import ConfigError
from smurfq.store.connection import Client, connect
from smurfq.store.outage import best_effort


@dataclass(frozen=True)
class SiteIdentity:
    """A site: its name and site file (if any), the host of its worker, and whether it is simulated."""

    name: str | None
    site_file: str | None
    host: str
    simulated: bool

    def __str__(self) -> str:
        name = f"site {self.name!r}" if self.name else "a site without a name"
        file = f" ({self.site_file} on {self.host})" if self.site_file else f" (on {self.host})"
        return name + file + (", SIMULATED" if self.simulated else "")


def identity_of(settings: Settings, environ: Mapping[str, str]) -> SiteIdentity:
    """Return the site to which a worker with these settings belongs."""
    file = environ.get(FILE_VARIABLE)
    return SiteIdentity(
        settings.site, str(Path(file).absolute()) if file else None, socket.gethostname(), settings.simulated
    )


def identity_text(identity: SiteIdentity) -> str:
    """Return the text of the identity that ``keys.SITE`` stores."""
    return dumps(asdict(identity))


def read_identity(client: Client) -> SiteIdentity | None:
    """Return the site of a Redis; None if no worker has served it yet.

    Fields that a worker of another version has added are ignored.
    """
    text = client.get(keys.SITE)
    if not text:
        return None
    values = loads(str(text))
    return SiteIdentity(**{field.name: values.get(field.name) for field in fields(SiteIdentity)})


def require_same_site(client: Client, settings: Settings, environ: Mapping[str, str]) -> SiteIdentity | None:
    """Return the site of a Redis, after a check that ``environ`` does not name another one.

    If ``environ`` names no site, only a site without a name and without a site file is accepted.

    Raises
    ------
    ConfigError
        Redis serves a site of another name, or ``environ`` names no site and Redis serves one that has a site file.
    """
    found = read_identity(client)
    if found is None:
        return None
    where = f"Redis at {without_password(settings.redis_url)} serves {found}"
    if settings.site and found.name and settings.site != found.name:
        raise ConfigError(
            f"{where}; these settings are for site {settings.site!r}. Correct redis.url or site", key="site"
        )
    if names_no_site(environ) and (found.name or found.site_file):
        file = found.site_file or "its site file"
        todo = f"Set {FILE_VARIABLE}={file}, or SMURFQ_REDIS_URL"
        raise ConfigError(f"{where}; the environment names no site. {todo}", key="site")
    return found


def join_site(settings: Settings, environ: Mapping[str, str]) -> None:
    """Make this process, a worker or a bridge, part of the site of its Redis. If Redis has no site yet, it is this one.

    Two sites on one Redis would take each other's runs. Processes of the same site on different hosts need a name in
    common, because without one nothing tells them from two sites.

    Raises
    ------
    ConfigError
        The Redis belongs to another site, or ``environ`` names no site, see ``reject_guess``.
    """
    reject_guess(settings, environ)
    own = identity_of(settings, environ)
    with connect(settings.redis_url) as client:
        client.set(keys.SITE, identity_text(own), nx=True)
        found = read_identity(client) or own
    if found.name != own.name or (own.name is None and found.host != own.host):
        named = f"site {own.name!r}" if own.name else f"a site without a name on {own.host}"
        raise ConfigError(
            f"Redis at {without_password(settings.redis_url)} serves {found}; this process belongs to {named}. Two "
            "sites cannot share a Redis: correct redis.url. If both are one site, give it the same name on all hosts "
            "(site, SMURFQ_SITE). If it was renamed or moved, stop all its processes and run: "
            f"redis-cli DEL {keys.SITE}",
            key="site",
        )


def reject_guess(settings: Settings, environ: Mapping[str, str]) -> None:
    """Check that the default address is a safe choice, if ``environ`` names no site.

    Raises
    ------
    ConfigError
        The Redis at the default address serves a site that has a name or a site file.
    """
    if names_no_site(environ):
        with connect(settings.redis_url, retries=0) as client, best_effort("the site is not compared"):
            require_same_site(client, settings, environ)
