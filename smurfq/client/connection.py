"""A client's connection to one site: its settings and its store, connected on first use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError

from smurfq.config import FILE_VARIABLE, Settings, load, names_no_site
from smurfq.core import identity
from smurfq.core.identity import whoami
from smurfq.core.redis_url import without_password
from smurfq.errors import StoreUnavailableError
from smurfq.store import best_effort
from smurfq.store.connection import Client
from smurfq.store.locks import Locks
from smurfq.store.queues import Queues
from smurfq.store.redis_errors import AWAY, explain
from smurfq.store.site_identity import SiteIdentity, require_same_site
from smurfq.store.site_store import SiteStore, StoreAccess

__all__ = ["Connection", "connection_of", "whoami"]

if TYPE_CHECKING:
    from smurfq.app import SmurfqApp


class Connection(StoreAccess):
    """The parts of a site that a client uses. Threads can share it; a forked process must not use it."""

    site: SiteIdentity | None = None  # the site that answered, if it was compared

    def __init__(
        self, settings: Settings, *, environment: bool = False, named_by: Mapping[str, str] | None = None
    ) -> None:
        self.settings = settings
        self._environment = environment
        self._named_by = named_by

    @cached_property
    def site_store(self) -> SiteStore:
        """The site's store.

        Raises
        ------
        ConfigError
            Redis serves another site than the environment names. ``named_by`` lists the variables that name the site.
        """
        made = SiteStore(self.settings)
        if self.settings.site or (self._named_by is not None and names_no_site(self._named_by)):
            named_by = {FILE_VARIABLE: "the settings"} if self._named_by is None else self._named_by
            with best_effort("the site is not compared", NoPermissionError):  # the next call raises it
                self.site = require_same_site(made.redis, self.settings, named_by)
        return made

    @property
    def redis(self) -> Client:
        """The client of the site's Redis."""
        return self.site_store.redis

    @property
    def locks(self) -> Locks:
        """The locks of slots."""
        return self.site_store.locks

    @property
    def queues(self) -> Queues:
        """The waiting messages."""
        return self.site_store.queues

    @property
    def owner(self) -> str:
        """The default owner of this process's requests."""
        return identity.owner(os.environ, self.settings.owner)

    @cached_property
    def app(self) -> SmurfqApp:
        """The Celery application that submits operations."""
        # Celery takes a third of a second to load, and reading a record does not need it.
        from smurfq.app import SmurfqApp, app  # noqa: PLC0415
        from smurfq.celery_app.settings import celery_settings  # noqa: PLC0415

        site_store = self.site_store
        if self._environment:
            return app
        made = SmurfqApp("smurfq", set_as_current=False)
        made.settings = self.settings
        made.site_store = site_store
        made.add_defaults(lambda: celery_settings(self.settings))
        return made

    def submit(self, operation: str, slot: str, params: Mapping[str, Any], **options: Any) -> str:
        """Queue an operation and return its id.

        Raises
        ------
        RequestError
            The operation, a parameter or the priority is rejected; nothing was queued.
        StoreUnavailableError
            Redis did not answer.
        """
        from kombu.exceptions import OperationalError  # noqa: PLC0415 - as slow to load as Celery

        with self.reached():
            try:
                return str(self.app.submit(operation, slot=slot, params=params, **options).id)
            except OperationalError as cause:
                raise RedisConnectionError(str(cause)) from cause

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Queue all submissions of the block when it ends, in one step: all of them or none.

        Raises
        ------
        SlotLockedError, DuplicateError
            One submission is rejected; nothing was queued.
        StoreUnavailableError
            Redis did not answer.
        """
        with self.reached(), self.app.batch():
            yield

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Run the block, and convert errors of Redis to ``StoreUnavailableError``.

        Raises
        ------
        StoreUnavailableError
            Redis did not answer.
        """
        try:
            yield
        except StoreUnavailableError:
            raise
        except (*AWAY, NoPermissionError) as cause:
            url = self.settings.redis_url
            raise StoreUnavailableError(explain(url, cause), url=without_password(url)) from cause


@cache
def _from_environment() -> Connection:
    return Connection(load(os.environ), environment=True, named_by=os.environ)


def connection_of(settings: Settings | None) -> Connection:
    """Return the connection for ``settings``; None means the settings of this process's environment."""
    return _from_environment() if settings is None else Connection(settings)
