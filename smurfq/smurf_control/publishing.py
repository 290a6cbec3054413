"""Reuses the number of a message that pysmurf's Publisher could not send, so that it does not count as lost.

The Publisher takes a number before it encodes the message as JSON. If the encoding raises (int64, set, bytes, datetime,
Path), no message is sent. Without this module, the bridge would not see the number and count the message as lost.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from typing import Any, Final

from smurfq.smurf_control.session_protocol import SessionProtocol

_MODULE: Final = "pysmurf.client.util.pub"
_TOO_LARGE: Final = "backend_error"  # the type of the message that the Publisher sends instead of one that is too large


def number_only_what_is_sent(session: SessionProtocol) -> None:
    """Make all Publishers of this process, and of its forks, use no numbers for messages that they do not send.

    The record reports messages that could not be sent. This applies only if the worker has loaded pysmurf, since not
    every script uses it.
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
            publisher.seq_no -= 1  # the number of the message that is too large
        number = publisher.seq_no
        now.published = publisher, number
        try:
            return publish(publisher, data, msgtype)
        except Exception as error:
            if publisher.seq_no == number + 1:  # otherwise another thread has used later numbers
                publisher.seq_no = number
                unsent.tell(error)
            raise
        finally:
            now.published = outer

    module.Publisher.publish = publish_and_number


class _Unsent:
    """Reports messages that were not sent: the first, the tenth, the hundredth."""

    def __init__(self, session: SessionProtocol) -> None:
        self._session = session
        self._operation = self._pid = os.getpid()
        self._count, self._next = 0, 1

    def tell(self, error: Exception) -> None:
        """Count one more message. A fork counts from zero."""
        if os.getpid() != self._pid:
            self._pid, self._count, self._next = os.getpid(), 0, 1
        self._count += 1
        if self._count < self._next:
            return
        self._next *= 10
        what = "a message was" if self._count == 1 else f"{self._count} messages were"
        hint = "; pass only numbers, strings, lists and dicts to publish()" if isinstance(error, TypeError) else ""
        text = f"{what} not sent: {type(error).__name__}: {error}{hint}"
        if self._pid == self._operation:
            self._session.add_message(text)
        else:  # a fork, which must not report for the operation
            print(text, file=sys.stderr)
