"""All parts of the store for one site, for the Celery application and for clients."""

from __future__ import annotations

import weakref
from functools import cached_property

from smurfq.config import Settings
from smurfq.config.slot_names import SlotNames
from smurfq.store.admission import Admission
from smurfq.store.connection import Client, connect
from smurfq.store.control_requests import ControlRequests
from smurfq.store.fence import Fence
from smurfq.store.holds import Holds
from smurfq.store.locks import Locks
from smurfq.store.queues import Queues
from smurfq.store.records import Records
from smurfq.store.snapshot import Snapshots
from smurfq.store.stream_ids import StreamIds


class SiteStore:
    """The parts of a site's store, connected on first use. Threads can share it; a forked process must not use it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def redis(self) -> Client:
        """The client of the site's Redis."""
        client = connect(self._settings.redis_url)
        weakref.finalize(self, client.close)  # otherwise the garbage collector closes its sockets in any order
        return client

    @cached_property
    def records(self) -> Records:
        """The session records."""
        return Records(self.redis, self._settings.redis.result_expires_s)

    @cached_property
    def snapshots(self) -> Snapshots:
        """The copies of live records in Celery's metadata."""
        return Snapshots(self.redis, self.records)

    @cached_property
    def fence(self) -> Fence:
        """Claims, leases, and the runs in progress."""
        return Fence(self.redis, self._settings.redis.result_expires_s)

    @cached_property
    def holds(self) -> Holds:
        """The holds of slots."""
        return Holds(self.redis)

    @cached_property
    def locks(self) -> Locks:
        """The locks of slots."""
        return Locks(self.redis)

    @cached_property
    def admission(self) -> Admission:
        """Admits submissions to the queues."""
        return Admission(self.redis, self.locks, self._settings.redis.result_expires_s)

    @cached_property
    def queues(self) -> Queues:
        """The waiting messages."""
        return Queues(self.redis)

    @cached_property
    def control_requests(self) -> ControlRequests:
        """The requests to running operations."""
        return ControlRequests(self.redis)


class StoreAccess:
    """The parts of the store that the Celery application and a client have; a subclass makes ``site_store``."""

    @cached_property
    def settings(self) -> Settings:
        """The settings of the site."""
        raise NotImplementedError

    @cached_property
    def site_store(self) -> SiteStore:
        """The site's store."""
        raise NotImplementedError

    @property
    def records(self) -> Records:
        """The session records."""
        return self.site_store.records

    @property
    def fence(self) -> Fence:
        """Claims, leases, and the runs in progress."""
        return self.site_store.fence

    @property
    def holds(self) -> Holds:
        """The holds of slots."""
        return self.site_store.holds

    @property
    def control_requests(self) -> ControlRequests:
        """The requests to running operations."""
        return self.site_store.control_requests

    @cached_property
    def slot_names(self) -> SlotNames:
        """The places and stream ids of the slots. Redis is connected when a stream id is looked up."""
        return SlotNames(self.settings, lambda: StreamIds(self.site_store.redis).read())
