"""Starts the registrar: ``python -m smurfq.archive`` or ``smurfq archive``."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from redis.exceptions import ResponseError

from smurfq import config
from smurfq.archive.checksum import StoppedError
from smurfq.archive.database import ArchiveDatabase
from smurfq.archive.duty import Duty
from smurfq.archive.registrar import Registrar
from smurfq.config import Settings
from smurfq.errors import ArchiveUnavailableError, ConfigError, SmurfqError
from smurfq.host.stop_signals import event_of_stop_signals
from smurfq.store.archive_list import ArchiveList
from smurfq.store.connection import connect, require_access
from smurfq.store.outage import Outage
from smurfq.store.redis_errors import AWAY, takes_no_writes
from smurfq.store.site_identity import join_site

LOOK_EVERY_S: Final = 0.5
RETRY_DATABASE_S: Final = 2.0
RETRY_SET_ASIDE_S: Final = 60.0
log = logging.getLogger("smurfq.archive")


def run(settings: Settings, stop: threading.Event, *, new_database: bool = False) -> None:
    """Register files until ``stop`` is set.

    Raises
    ------
    ConfigError
        The site has no archive.
    StartError
        socs is not installed.
    """
    path = settings.archive.database
    if path is None:
        raise ConfigError("archive.database is not set; set it to the path of the SupRsync database", key="archive")
    archive = ArchiveList(connect(settings.redis_url, retries=0), settings.bridge_name)
    database = ArchiveDatabase(path, _may_create(archive, str(path.absolute()), new=new_database))
    duty = Duty(settings, database.path)
    duty.start()
    try:
        _Loop(settings, archive, Registrar(archive, database, settings.smurf.smurf_data_dir, stop), duty, stop).run()
    finally:
        duty.finish()
        database.close()
    log.info("stopped")


class _Loop:
    """The registrar's loop, which waits out an outage of Redis or of the database."""

    def __init__(
        self, settings: Settings, archive: ArchiveList, registrar: Registrar, duty: Duty, stop: threading.Event
    ) -> None:
        self._kept_s = settings.redis.result_expires_s
        self._archive = archive
        self._registrar = registrar
        self._duty = duty
        self._stop = stop
        self._outage = Outage(settings.redis_url, "files are registered when it is back", log)
        self._retry_set_aside_at = 0.0

    def run(self) -> None:
        """Register files until told to stop."""
        while not self._stop.is_set():
            if not self._duty.held:
                self._await_duty()
                continue
            try:
                more = self._step()
            except StoppedError:
                return
            except ArchiveUnavailableError as cause:
                self._show(str(cause))
                self._stop.wait(RETRY_DATABASE_S)
            except (*AWAY, ResponseError) as cause:
                if not isinstance(cause, AWAY) and not takes_no_writes(cause):
                    self._failed()
                else:
                    self._outage.away(cause)
                    self._stop.wait(LOOK_EVERY_S)
            except Exception:  # noqa: BLE001 the loop's rim: the messages stay in the list
                self._failed()
            else:
                self._outage.back()
                self._show(None)
                if not more:
                    self._stop.wait(LOOK_EVERY_S)

    def _step(self) -> bool:
        more = self._registrar.register_waiting()
        if time.monotonic() >= self._retry_set_aside_at:
            self._registrar.register_set_aside()
            if forgotten := self._archive.forget_set_aside(time.time() - self._kept_s):
                log.error("%d files that were set aside long ago are forgotten, and not in the archive", forgotten)
            self._retry_set_aside_at = time.monotonic() + RETRY_SET_ASIDE_S
        return more

    def _await_duty(self) -> None:
        """Return once this process has the lease, or was told to stop."""
        said = False
        while not self._duty.held and not self._stop.wait(LOOK_EVERY_S):
            if self._duty.cause is not None:
                self._outage.away(self._duty.cause)
                continue
            if self._duty.other and not said:
                log.warning("stands by: the registrar %s has the lease", self._duty.other)
                said = True
        if self._duty.held:
            self._outage.back()
            log.info("ready: registers files in %s", self._duty.database)

    def _show(self, problem: str | None) -> None:
        if problem and problem != self._duty.problem:
            log.error("%s; no message is lost, and files are registered when it can be written", problem)
        elif not problem and self._duty.problem:
            log.warning("files are registered again")
        self._duty.problem = problem

    def _failed(self) -> None:
        log.exception("the registrar failed; this is a bug in smurfq; please report it")
        self._duty.problem = "the registrar failed; its log shows a bug in smurfq"
        self._stop.wait(RETRY_DATABASE_S)


def _may_create(archive: ArchiveList, path: str, *, new: bool) -> Callable[[], bool]:
    """Return whether a missing database may be created: once if asked for, or if no file was registered in it yet."""
    asked = [new]

    def may_create() -> bool:
        return (asked.pop() if asked else False) or archive.database() != path

    return may_create


def main(*, new_database: bool = False) -> int:
    """Run the registrar. Return 0 after SIGTERM or SIGINT, 1 if it could not start."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    stop = event_of_stop_signals()
    try:
        settings = config.load(os.environ)
        require_access(settings.redis_url)
        join_site(settings, os.environ)
        run(settings, stop, new_database=new_database)
    except SmurfqError as cause:
        log.error("%s", cause)
        return 1
    return 0
