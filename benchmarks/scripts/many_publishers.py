"""Publish from several slots at once with the real Publisher: ``many_publishers.py COUNT SLOT …``, at full speed.

pysmurf is loaded once and each slot's publisher forked from there. Says how many seconds it took.
"""

import os
import sys
import time

from pysmurf.client.util.pub import Publisher


def publish(slot: str, count: int) -> None:
    """Publish under a slot's id."""
    os.environ["SMURFPUB_ID"] = slot
    publisher = Publisher("many")
    for number in range(count):
        publisher.publish(f"{number} of {slot}", "session_log")


def main(count: int, *slots: str) -> None:
    """Publish from all slots, and say what it took."""
    started = time.perf_counter()
    children = []
    for slot in slots:
        pid = os.fork()
        if pid == 0:
            publish(slot, count)
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
