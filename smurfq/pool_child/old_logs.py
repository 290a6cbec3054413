"""Removes the log files of operations whose records have expired, from one folder for each day."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

from celery.utils.log import get_logger

logger = get_logger(__name__)

_DAY_S = 86_400.0
_A_DAY = re.compile(r"\d{8}")


def remove_old_logs(folder: Path, before: float) -> list[Path]:
    """Remove the folders of days that ended before ``before`` (s since 1970), and return those that are gone.

    A folder with another name and a link are not the runner's and stay. A folder that cannot be removed is logged.
    """
    last = time.strftime("%Y%m%d", time.gmtime(before - _DAY_S))
    found = folder.iterdir() if folder.is_dir() else ()
    old = sorted(day for day in found if _A_DAY.fullmatch(day.name) and day.name <= last and not day.is_symlink())
    for day in old:
        shutil.rmtree(day, onerror=_tell)
    removed = [day for day in old if not day.exists()]
    if removed:
        logger.info("removed the logs of %d days until %s below %s", len(removed), last, folder)
    return removed


def _tell(_function: object, path: str, what: tuple[type, BaseException, object]) -> None:
    logger.warning("cannot remove the old log %s: %s", path, what[1])
