"""Celery's result backend on sentinels, with a configurable class of connections."""

from __future__ import annotations

from typing import Any, ClassVar

from celery.backends.redis import SentinelBackend


class SentinelBackendOn(SentinelBackend):  # type: ignore[misc]
    """A sentinel backend whose pool uses ``pool_connection_class`` for connections; Celery has no setting for it."""

    pool_connection_class: ClassVar[type[Any]]

    def _get_pool(self, **params: Any) -> Any:
        return super()._get_pool(**{**params, "connection_class": self.pool_connection_class})
