"""A client's way to one site: its settings, and the parts of the store, connected on first use."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError

from smurfq.config import Settings, load
from smurfq.errors import StoreUnavailableError
from smurfq.store import Records, connect
from smurfq.store.connection import AWAY, Client, without_password
from smurfq.store.fence import Fence
from smurfq.store.holds import Holds
from smurfq.store.queues import Queues
from smurfq.store.verbs import Verbs

if TYPE_CHECKING:
    from smurfq.app import SmurfqApp

DAY_S = 86_400.0


class Connection:
    """The parts of a site that a client uses. Safe to share between threads, not to take over a fork."""

    def __init__(self, settings: Settings, *, environment: bool = False) -> None:
        self.settings = settings
        self._environment = environment

    @cached_property
    def redis(self) -> Client:
        """The client of the site's Redis."""
        return connect(self.settings.redis_url)

    @cached_property
    def records(self) -> Records:
        """The session records."""
        return Records(self.redis, self._expires_s)

    @cached_property
    def fence(self) -> Fence:
        """What runs where, and who serves which queue."""
        return Fence(self.redis, self._expires_s)

    @cached_property
    def holds(self) -> Holds:
        """The held queues."""
        return Holds(self.redis)

    @cached_property
    def queues(self) -> Queues:
        """What waits."""
        return Queues(self.redis)

    @cached_property
    def verbs(self) -> Verbs:
        """The requests to running operations."""
        return Verbs(self.redis)

    @cached_property
    def app(self) -> SmurfqApp:
        """The Celery application, through which everything is submitted."""
        # Celery takes a third of a second to load, and reading a record does not need it.
        from smurfq.app import SmurfqApp, app  # noqa: PLC0415
        from smurfq.celery_settings import celery_settings  # noqa: PLC0415

        if self._environment:
            return app
        made = SmurfqApp("smurfq", set_as_current=False)
        made.settings = self.settings
        made.add_defaults(lambda: celery_settings(self.settings))
        return made

    def submit(self, operation: str, slot: str, params: Mapping[str, Any], **options: Any) -> str:
        """The id of an operation, now queued.

        Raises
        ------
        RequestError
            The operation, a parameter or the priority is refused; nothing was queued.
        StoreUnavailableError
            Redis did not answer.
        """
        from kombu.exceptions import OperationalError  # noqa: PLC0415 - as slow to load as Celery

        with self.reached():
            try:
                return str(self.app.submit(operation, slot=slot, params=params, **options).id)
            except OperationalError as cause:
                raise RedisConnectionError(str(cause)) from cause

    @property
    def _expires_s(self) -> float:
        return self.settings.redis.result_expires_days * DAY_S

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Run the block; that Redis does not answer in it is told as what it is.

        Raises
        ------
        StoreUnavailableError
            Redis did not answer.
        """
        try:
            yield
        except StoreUnavailableError:
            raise
        except AuthenticationError as cause:
            url = without_password(self.settings.redis_url)
            raise StoreUnavailableError(
                f"Redis at {url} refuses us ({cause}); its user and password stand in SMURFQ_REDIS_URL or in "
                "redis.url of the site file, as redis://user:password@host:port/0",
                url=url,
            ) from cause
        except AWAY as cause:
            url = without_password(self.settings.redis_url)
            raise StoreUnavailableError(
                f"Redis at {url} does not answer ({cause}); `smurfq doctor` tells more, "
                "SMURFQ_REDIS_URL or redis.url of the site file says where it is",
                url=url,
            ) from cause


@cache
def _from_environment() -> Connection:
    return Connection(load(os.environ), environment=True)


def connection_of(settings: Settings | None) -> Connection:
    """The connection for ``settings``; for None the one that this process's environment describes."""
    return _from_environment() if settings is None else Connection(settings)


def whoami() -> str:
    """Who asks, as ``user@host``, for those who read a record later."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's numeric user has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
