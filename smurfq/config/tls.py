"""Checks the certificate files of ``redis`` before anything connects with them."""

from __future__ import annotations

import ssl

from smurfq.config.sections import Redis
from smurfq.config.settings import Settings
from smurfq.core.redis_url import is_tls
from smurfq.errors import ConfigError

_FILES = ("ca_file", "cert_file", "key_file")


def check_tls(settings: Settings, origin: str) -> None:
    """Check that the certificate files of ``redis`` can be read and belong to a ``rediss://`` URL.

    ``origin`` names the source of the settings, for messages.

    Raises
    ------
    ConfigError
        A file cannot be read, or the URL is not a ``rediss://`` URL. The message names the key.
    """
    redis = settings.redis
    given = [name for name in _FILES if getattr(redis, name)]
    if not given:
        return
    if not is_tls(redis.url or ""):
        raise ConfigError(
            f"redis.{given[0]} is set in {origin}, but redis.url does not start with rediss://: the connection would "
            "not be encrypted; change the URL, or remove the file (TLS with sentinels is not supported)",
            key=f"redis.{given[0]}",
        )
    if bool(redis.cert_file) != bool(redis.key_file):
        raise ConfigError(
            f"redis.cert_file and redis.key_file belong together; set both or none in {origin}", key="redis.key_file"
        )
    for name in given:
        try:
            _load(redis, name)
        except (OSError, ValueError) as cause:
            raise ConfigError(
                f"redis.{name} ({getattr(redis, name)}) in {origin} cannot be used: {cause}; "
                "it must be a readable PEM file",
                key=f"redis.{name}",
            ) from cause


def _load(redis: Redis, name: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if name == "ca_file":
        context.load_verify_locations(redis.ca_file)
    elif name == "key_file" and redis.cert_file:
        context.load_cert_chain(redis.cert_file, redis.key_file, password="")
