"""Checks the parameters of a Celery signature when it is made, before it is submitted."""

from __future__ import annotations

from typing import Any

from celery import Task

from smurfq import operations
from smurfq.celery_app.site_app import SiteApp


class CheckedSignature(Task):  # type: ignore[misc]
    """The part of an operation's task that a producer uses."""

    abstract = True
    app: SiteApp

    def signature(self, args: Any = None, *starargs: Any, **starkwargs: Any) -> Any:
        """Return a signature of the operation, after a check of the parameters that are known already.

        Raises
        ------
        RequestError
            A parameter or the slot is unknown or has the wrong type.
        """
        kwargs = starkwargs.get("kwargs") or (starargs[0] if starargs else None) or {}
        params = {name: value for name, value in kwargs.items() if name != "slot"}
        operations.check(self.name, params, partial=True)
        if "slot" in kwargs:
            self.app.slot_names.place(kwargs["slot"])
        return super().signature(args, *starargs, **starkwargs)

    def s(self, *args: Any, **kwargs: Any) -> Any:
        """Return ``.signature(args, kwargs)``."""
        return self.signature(args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Any:
        """Return ``.signature(args, kwargs, immutable=True)``."""
        return self.signature(args, kwargs, immutable=True)
