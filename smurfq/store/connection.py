"""Connects to the Redis of a site."""

from __future__ import annotations

from typing import Any, Final

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from smurfq.core import keys
from smurfq.core.redis_url import SentinelUrl, is_sentinel, is_tls, is_unix, parse_sentinel, without_password
from smurfq.errors import StoreUnavailableError
from smurfq.store.outermost_retry import OutermostRetry
from smurfq.store.primary import PrimaryConnection
from smurfq.store.redis_errors import AWAY, explain, name_refusals
from smurfq.store.tls_failure import tls_failure

__all__ = ["Client", "connect", "require_access", "require_writes"]

Client = redis.Redis

SOCKET_TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 5.0
_SENTINEL_TIMEOUT_S = 1.0


def connect(url: str, *, retries: int = 2) -> Client:
    """Return a client of the Redis at ``url``, which decodes answers to text and retries if a connection is lost.

    Use ``retries=0`` for writers that must know whether a write may already have been done. With a ``sentinel://``
    URL each connection goes to the present primary, and to another server when that one becomes the primary.
    """
    name_refusals()
    options: dict[str, Any] = {
        "decode_responses": True,
        "encoding_errors": "surrogateescape",  # a message in a queue may contain bytes that are not text
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_keepalive": True,
        "health_check_interval": 25,
        "retry": OutermostRetry(ExponentialBackoff(base=0.05, cap=0.2), retries),
    }
    if is_unix(url):
        del options["socket_keepalive"]
    if is_tls(url):
        options |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    if not is_sentinel(url):
        return redis.Redis.from_url(url, retry_on_error=[RedisConnectionError], **options)
    address = parse_sentinel(url)
    sentinel = Sentinel(list(address.sentinels), sentinel_kwargs=sentinel_options(address))  # type: ignore[no-untyped-call]
    client: Client = sentinel.master_for(  # type: ignore[no-untyped-call]
        address.master_name,
        db=address.db,
        username=address.username,
        password=address.password,
        connection_class=PrimaryConnection,
        retry_on_error=[RedisConnectionError],
        **options,
    )
    return client


def sentinel_options(address: SentinelUrl) -> dict[str, Any]:
    """Return the options of connections to sentinels: short timeouts, since another sentinel may know the primary."""
    options: dict[str, Any] = {
        "socket_timeout": _SENTINEL_TIMEOUT_S,
        "socket_connect_timeout": _SENTINEL_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
    }
    if address.sentinel_password:
        options["password"] = address.sentinel_password
    return options


def replicas_to_wait_for(client: Client) -> int:
    """Return how many replicas must confirm a claim or a lease: one if sentinels may promote a replica, else none."""
    return int(isinstance(client.connection_pool, SentinelConnectionPool))


def require_access(url: str) -> None:
    """Check that the Redis at ``url`` accepts smurfq's user and certificate. If Redis does not answer, return.

    Raises
    ------
    StoreUnavailableError
        Redis rejected the user or password, or TLS failed: waiting would not help.
    """
    with connect(url, retries=0) as client:
        try:
            client.ping()
        except (AuthenticationError, NoPermissionError) as cause:
            raise StoreUnavailableError(explain(url, cause), url=without_password(url)) from cause
        except AWAY as cause:
            if tls_failure(cause) is not None:
                raise StoreUnavailableError(explain(url, cause), url=without_password(url)) from cause


def require_writes(client: Client) -> None:
    """Check that Redis accepts writes now; raise one of ``AWAY`` if not."""
    client.setrange(keys.WRITE_PROBE, 0, "")  # creates no key, and is rejected like any other write
