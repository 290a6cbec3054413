"""Where Redis is, as `redis.url` says it: one server, or the sentinels that know which server is the primary."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

SCHEMES = ("redis://", "rediss://", "sentinel://")
SENTINEL_PORT = 26379
_SENTINEL = "sentinel://"
_OPTIONS = ("master_name", "sentinel_password")
_PASSWORD = re.compile(
    r"((?:^|;)(?:\w+://)?[^/@;:]*):[^;]*(?=@)"
)  # whatever it holds: rather a host too many is hidden
_PASSWORD_OPTION = re.compile(r"(?<=[?&])((?:sentinel_)?password)=[^&;]*")


@dataclass(frozen=True, repr=False)
class SentinelUrl:
    """The sentinels, the name by which they know the primary, and how to log in.

    ``username`` and ``password`` are those of the Redis servers, ``sentinel_password`` that of the sentinels.
    """

    sentinels: tuple[tuple[str, int], ...]
    master_name: str
    db: int = 0
    username: str | None = None
    password: str | None = None
    sentinel_password: str | None = None

    def for_kombu(self) -> str:
        """The address in the form of kombu and Celery, which read each part by itself."""
        login = f"{quote(self.username or '', safe='')}:{quote(self.password, safe='')}@" if self.password else ""
        return ";".join(f"{_SENTINEL}{login}{_host(host)}:{port}/{self.db}" for host, port in self.sentinels)


def is_sentinel(url: str) -> bool:
    """Whether a URL names sentinels."""
    return url.startswith(_SENTINEL)


def parse_sentinel(url: str) -> SentinelUrl:
    """The sentinels that ``sentinel://[user:password@]host[:port];…[/db]?master_name=NAME`` names.

    The scheme may be left out from the second sentinel on; login, database and options may stand at any one of them.

    Raises
    ------
    ValueError
        It is not of that form, or two parts contradict each other. The message shows no password.
    """
    parts = [_split(part) for part in re.split("[;,]", url) if part.strip()]
    options: dict[str, str] = {}
    for part in parts:
        for name, value in parse_qsl(part.query):
            if name not in _OPTIONS:
                raise ValueError(f"with the options {' and '.join(_OPTIONS)} only, not {name!r}")
            options[name] = value
    if not options.get("master_name"):
        raise ValueError("a sentinel:// URL that ends in ?master_name=, the name by which the sentinels know Redis")
    login = {(part.username, part.password) for part in parts if part.password}
    databases = {part.path.strip("/") for part in parts if part.path.strip("/")}
    if len(login) > 1 or len(databases) > 1:
        raise ValueError("a sentinel:// URL with one login and one database for all of its parts")
    db = databases.pop() if databases else "0"
    if not db.isascii() or not db.isdigit():
        raise ValueError(f"a sentinel:// URL whose database is a number, as in /0, not {db!r}")
    username, password = login.pop() if login else (None, None)
    return SentinelUrl(
        sentinels=tuple((part.hostname or "", part.port or SENTINEL_PORT) for part in parts),
        master_name=options["master_name"],
        db=int(db),
        username=unquote(username) if username else None,
        password=unquote(password) if password else None,
        sentinel_password=options.get("sentinel_password"),
    )


def without_password(url: str) -> str:
    """``url`` fit to be shown: each password in it is ``***``."""
    return _PASSWORD_OPTION.sub(r"\1=***", _PASSWORD.sub(r"\1:***", url))


def _split(part: str) -> SplitResult:
    part = part.strip()
    split = urlsplit(part if "://" in part else _SENTINEL + part)
    try:
        port = split.port
    except ValueError:
        port = 0
    if split.scheme != "sentinel" or not split.hostname or port == 0:
        raise ValueError("of the form sentinel://host:port;sentinel://host:port/0?master_name=NAME")
    return split


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
