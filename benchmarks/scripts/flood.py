"""Publish many messages with the real Publisher: ``flood.py KIND COUNT RATE SIZE``; RATE 0 is full speed.

Says ``ready``, begins when a line comes or its input ends, and says how many seconds it took and when it ended.
"""

import sys
import time

from pysmurf.client.util.pub import Publisher


def main(kind: str, count: int, rate: float, size: int) -> None:
    """Publish, and say what it took."""
    publisher = Publisher("bench")
    text = "x" * size
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    for number in range(count):
        # From 5000/s on every 20 messages: a finer schedule is lost in the clock's own cost.
        if rate and (rate < 5000 or number % 20 == 0):
            ahead = number / rate - (time.perf_counter() - started)
            if ahead > 0:
                time.sleep(ahead)
        publisher.publish({f"k{number}": text} if kind == "session_data" else f"{number} {text}", kind)
    print(time.perf_counter() - started, time.time(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
