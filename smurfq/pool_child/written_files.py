"""Lists the files of a run by their names on disk: those that were registered, and the g3 files that it streamed.

pysmurf registers a tune by the name that it gave to ``np.save``, which adds ``.npy``. Nobody registers a g3 file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_ADDED_BY_NUMPY = (".npy", ".npz")
_DAY_DIGITS = 5  # of a session id, which begins the name of the folder of some 28 hours


def changes(registered: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the changes of each registered path: its true ``path``, or that it is ``missing`` on this host.

    A relative path is left as it is: its folder is not known.
    """
    for path in dict.fromkeys(registered):
        if Path(path).is_absolute() and not Path(path).exists():
            named = next((path + suffix for suffix in _ADDED_BY_NUMPY if Path(path + suffix).exists()), None)
            yield path, {"missing": True} if named is None else {"path": named}


def g3_files(timestreams: Path, stream_id: str, since: float, until: float) -> Iterator[Path]:
    """Return the files of the g3 sessions that a stream began between two times, in their order.

    A session's id is the second in which it began. A file that was finished before ``since`` is of an earlier session
    of the same second.
    """
    for day in sorted({str(int(since))[:_DAY_DIGITS], str(int(until))[:_DAY_DIGITS]}):
        for path in sorted((timestreams / day / stream_id).glob("*_*.g3")):
            began = path.name.partition("_")[0]
            if began.isdecimal() and int(since) <= int(began) <= until and path.stat().st_mtime >= since:
                yield path
