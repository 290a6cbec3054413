"""Parses the URL of Redis: one server over TCP, TLS or a Unix socket, or sentinels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

SCHEMES = ("redis://", "rediss://", "unix://", "sentinel://")
SENTINEL_PORT = 26379
_SENTINEL = "sentinel://"
_TLS = "rediss://"
_UNIX = "unix://"
_OPTIONS = ("master_name", "sentinel_password")
_PASSWORD = re.compile(
    r"((?:^|;)(?:\w+://)?[^/@;:]*):[^;]*(?=@)"
)  # greedy: it is better to hide a host than to show a password
_TLS_FILES = re.compile(r"[?&]ssl_(?:ca_certs|certfile|keyfile)=[^&]*")
_PASSWORD_OPTION = re.compile(r"(?<=[?&])((?:sentinel_)?password)=[^&;]*")


@dataclass(frozen=True, repr=False)
class SentinelUrl:
    """The sentinels, the name that they use for the primary, and the logins.

    ``username`` and ``password`` are for the Redis servers, ``sentinel_password`` for the sentinels.
    """

    sentinels: tuple[tuple[str, int], ...]
    master_name: str
    db: int = 0
    username: str | None = None
    password: str | None = None
    sentinel_password: str | None = None

    def for_kombu(self) -> str:
        """Return the address in the form of kombu and Celery, which parse each part separately."""
        login = f"{quote(self.username or '', safe='')}:{quote(self.password, safe='')}@" if self.password else ""
        return ";".join(f"{_SENTINEL}{login}{_host(host)}:{port}/{self.db}" for host, port in self.sentinels)


def is_sentinel(url: str) -> bool:
    """Return whether a URL names sentinels."""
    return url.startswith(_SENTINEL)


def is_tls(url: str) -> bool:
    """Return whether a URL names a server that is reached over TLS."""
    return url.startswith(_TLS)


def is_unix(url: str) -> bool:
    """Return whether a URL names a Unix socket."""
    return url.startswith(_UNIX)


def check_options(url: str) -> None:
    """Check that a server's URL has only options that smurfq passes to all of its connections.

    Raises
    ------
    ValueError
        The URL has another option, or does not name a socket. The message does not show the password.
    """
    parts = urlsplit(url)
    names = {name for name, _ in parse_qsl(parts.query)}
    if is_unix(url):
        if parts.hostname or not parts.path.strip("/") or names - {"db"}:
            raise ValueError("of the form unix:///path/of/redis.sock or unix://user:password@/path/of/redis.sock?db=0")
    elif any(name.startswith("ssl") for name in names):
        raise ValueError(
            "without options for TLS: certificates are always verified with rediss://, and redis.ca_file "
            "(SMURFQ_REDIS_CA_FILE) names the CA of a server whose CA this machine does not know"
        )


def with_tls_files(url: str, *, ca_file: str | None, cert_file: str | None, key_file: str | None) -> str:
    """Add the certificate files to a ``rediss://`` URL, as options that redis-py reads."""
    files = {"ssl_ca_certs": ca_file, "ssl_certfile": cert_file, "ssl_keyfile": key_file}
    given = {name: path for name, path in files.items() if path}
    return f"{url}{'&' if '?' in url else '?'}{urlencode(given)}" if given else url


def tls_files(url: str) -> dict[str, str]:
    """Return the files that ``with_tls_files`` added to a URL, by redis-py's names."""
    return {name: path for name, path in parse_qsl(urlsplit(url).query) if name.startswith("ssl_")}


def without_tls_files(url: str) -> str:
    """Return ``url`` without the options that ``with_tls_files`` added."""
    return _TLS_FILES.sub("", url)


def unix_for_kombu(url: str) -> str:
    """Return the URL of a Unix socket in the form of kombu, Celery and Flower."""
    parts = urlsplit(url)
    db = dict(parse_qsl(parts.query)).get("db", "0")
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return f"redis+socket://{login}{parts.path}?virtual_host={db}"


def parse_sentinel(url: str) -> SentinelUrl:
    """Parse ``sentinel://[user:password@]host[:port];…[/db]?master_name=NAME``.

    Only the first sentinel needs the scheme. Any one of the sentinels may carry the login, database and options.

    Raises
    ------
    ValueError
        The URL does not have this form, or two parts contradict each other. The message does not show the password.
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
    """Return ``url`` with each password replaced by ``***``, and without the certificate files."""
    return _PASSWORD_OPTION.sub(r"\1=***", _PASSWORD.sub(r"\1:***", without_tls_files(url)))


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
