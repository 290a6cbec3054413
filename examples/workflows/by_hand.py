"""Calls workflow functions from your own Python: `python by_hand.py crate1slot2 crate1slot3`.

If this process dies, its operations continue, but its streams are closed.
"""

from __future__ import annotations

import sys

from smurfq.workflows import Workflow, bias_dets, iv_curve, streaming, take_noise


def main(slots: list[str]) -> int:
    """Run the steps, and return the number of slots that were dropped."""
    with Workflow(slots or None, min_survivors=1, max_failures=2) as night:
        print(iv_curve(tag="by_hand", concurrent=False, settling_time=30))
        print(bias_dets(0.5, deadline_s=300))
        print(take_noise(duration=30, retries=1))
        with streaming(tag="by_hand") as streams:
            print(streams.report)
            streams.wait(60)
        return len(night.dropped)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
