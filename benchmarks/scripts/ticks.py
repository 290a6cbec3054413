"""Publish the time (ns since 1970), COUNT times, PAUSE seconds apart: ``ticks.py COUNT PAUSE``."""

import sys
import time

from pysmurf.client.util.pub import Publisher

publisher = Publisher("ticks")
for _ in range(int(sys.argv[1])):
    time.sleep(float(sys.argv[2]))
    publisher.publish(str(time.time_ns()), "session_log")
