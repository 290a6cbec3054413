"""What the two OCS agents, PysmurfController and PysmurfMonitor, were measured to do, on another day."""

from __future__ import annotations

MEASURED_ON = "Python 3.11.7, ocs 0.12.1, socs 0.6.4, crossbar 26.10.1, two shared cores, load 1 to 4, ±30 %"
COLD_START = "p50 13.8 s, p95 18.6"
TEST = "p50 4.48 s, p95 5.14"
TRIVIAL_TASK = "p50 7.8 ms, p95 10.5 (HTTP); 3.1, 4.1 (websocket); in the agent's own process"
RUN_EMPTY = "p50 1.033 s, p95 1.048"
PUBLISH_TO_SEEN = "p50 2.2 ms, p95 2.7 (the feed); 7.0, 18.9 (tight polling of the session)"
BURST_DATA = "722 to 2,432 of 10,000"
BURST_LOG = "265 to 327 of 1,000"
STEADY = "5,873 to 10,000 of 10,000, at 5,000/s; none over 8,192 bytes"
CPU_A_MESSAGE = "830 µs at 1,000/s: monitor 230, crossbar 430, controller 170"
MEMORY_ONE = "RSS 775 MB: crossbar 141+141, controller 399, monitor 94"
ABORT_DEAD = "p50 8.4 ms, p95 12.6 (SIGKILL; the script's children live on)"
ABORT_DONE = "p50 1.012 s, p95 1.017"
ROUTER_AWAY = "crossbar away for 20 s: the monitor exits, most messages are lost"
MONITOR_RESTART = "a monitor's restart: messages of 2.5 to 4.4 s are lost without a notice"
BAD_DATAGRAMS = "a traceback for each: 4.4 MB of log"

# By fault of `make soak`, what the agents make of the like of it.
FAULTS = {
    "kill -9 an operation": "a function's: never again, its lock is held for ever",
    "kill -9 a worker": "the script lives on, and a second is let in beside it",
    "SIGTERM to a worker": "no end within 15 s",
    "kill -9 the bridge": MONITOR_RESTART,
    "SIGTERM to the bridge, away for a while": MONITOR_RESTART,
    "Redis stopped, away, started": ROUTER_AWAY,
}
