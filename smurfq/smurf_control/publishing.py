"""Gives back the number of a message that pysmurf's Publisher could not send, so that it does not count as lost.

The Publisher takes a number before it encodes the message as JSON. If that raises (int64, set, bytes, datetime, Path),
nothing is sent; without this the bridge would miss the number and count the message as lost.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from typing import Any, Final

from smurfq.smurf_control.session_protocol import SessionProtocol

_MODULE: Final = "pysmurf.client.util.pub"
_TOO_LARGE: Final = "backend_error"  # the type of what the Publisher sends in place of a message that is too large


def number_only_what_is_sent(session: SessionProtocol) -> None:
    """Have all Publishers of this process, and of its forks, use no number for what they do not send.

    The record tells what could not be sent. Only where the worker has loaded pysmurf: not every script uses it.
    """
    module = sys.modules.get(_MODULE)
    if module is None or hasattr(module.Publisher.publish, "__wrapped__"):
        return
    publish = module.Publisher.publish
    unsent, now = _Unsent(session), threading.local()

    @functools.wraps(publish)
    def publish_and_number(publisher: Any, data: Any, msgtype: str = "general") -> Any:
        outer: tuple[Any, int] | None = getattr(now, "published", None)
        if msgtype == _TOO_LARGE and outer == (publisher, publisher.seq_no - 1):
            publisher.seq_no -= 1  # of the one that is too large
        number = publisher.seq_no
        now.published = publisher, number
        try:
            return publish(publisher, data, msgtype)
        except Exception as error:
            if publisher.seq_no == number + 1:  # else another thread has gone on from it
                publisher.seq_no = number
                unsent.tell(error)
            raise
        finally:
            now.published = outer

    module.Publisher.publish = publish_and_number


class _Unsent:
    """Tells of messages that were not sent: of the first, the tenth, the hundredth."""

    def __init__(self, session: SessionProtocol) -> None:
        self._session = session
        self._operation = self._pid = os.getpid()
        self._count, self._next = 0, 1

    def tell(self, error: Exception) -> None:
        """Count one more; a fork counts from the beginning."""
        if os.getpid() != self._pid:
            self._pid, self._count, self._next = os.getpid(), 0, 1
        self._count += 1
        if self._count < self._next:
            return
        self._next *= 10
        what = "a message was" if self._count == 1 else f"{self._count} messages were"
        hint = "; give publish() numbers, texts, lists and dicts only" if isinstance(error, TypeError) else ""
        text = f"{what} not sent: {type(error).__name__}: {error}{hint}"
        if self._pid == self._operation:
            self._session.add_message(text)
        else:  # a fork, which must not speak for the operation
            print(text, file=sys.stderr)
