"""Publish many messages as fast as the bridge writes them: ``million.py COUNT SIZE``."""

import os
import sys
import time

from pysmurf.client.util.pub import Publisher

from smurfq.config import load
from smurfq.store import connect
from smurfq.store.bridge import BridgeBoard

_EVERY = 5_000
_MOST_WAITING = 50_000


def main(count: int, size: int) -> None:
    """Publish, and say what it took."""
    settings = load(os.environ)
    board = BridgeBoard(connect(settings.redis_url), settings.bridge_name)
    publisher = Publisher("million")
    text = "x" * size
    started = time.perf_counter()
    for number in range(count):
        if number % _EVERY == 0:
            while (health := board.health()) is not None and health.counters.buffered > _MOST_WAITING:
                time.sleep(0.2)
        if number % 20 == 0 and (ahead := number / 20_000 - (time.perf_counter() - started)) > 0:
            time.sleep(ahead)
        publisher.publish(f"{number} {text}", "session_log")
    print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
