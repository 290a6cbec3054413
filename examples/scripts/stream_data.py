"""A control script: streams for some seconds and publishes its progress and results.

This is the script of the PysmurfController's documentation, changed so that it needs no card: a stand-in replaces
the SmurfControl ``S``. Use it to try a new installation. It publishes through the real pysmurf Publisher, as
``S.pub`` does.

    smurfq run examples/scripts/stream_data.py --slot crate1slot2 -- --duration 5
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from pysmurf.client.util.pub import Publisher

CHANNELS = [0, 1, 2, 3, 4]


class NoCard:
    """The part of SmurfControl that this script uses, without a card. It takes no samples."""

    def __init__(self, data_dir: Path) -> None:
        self.pub = Publisher("stream_data", env_root="SMURFPUB_")
        self._data_dir = data_dir

    def which_on(self, band: int) -> list[int]:
        """The channels of a band that are on."""
        return CHANNELS if band == 0 else []

    def take_stream_data(self, duration_s: float) -> str:
        """Wait for ``duration_s``, and return the path of a placeholder for the data file."""
        began = int(time.time())
        path = self._data_dir / time.strftime("%Y%m%d") / str(began) / "outputs" / f"{began}.dat"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("no card, no samples\n")
        end = time.monotonic() + duration_s
        while (left_s := end - time.monotonic()) > 0:
            self.pub.publish(f"{duration_s - left_s:.0f} of {duration_s:.0f} s streamed", msgtype="session_log")
            time.sleep(min(1.0, left_s))
        self.pub.register_file(str(path), "data", format="dat")
        return str(path)


def main() -> None:
    """Stream, and publish the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--duration", type=float, default=5.0, metavar="SECONDS")
    parser.add_argument("--data-dir", type=Path, default=Path("/data/smurf_data"))
    args = parser.parse_args()
    S = NoCard(args.data_dir)  # noqa: N806 - as pysmurf's users call it

    active_channels = S.which_on(0)
    S.pub.publish({"active_channels": active_channels}, msgtype="session_data")
    S.pub.publish("Starting data stream", msgtype="session_log")
    datafile = S.take_stream_data(args.duration)
    S.pub.publish("Data stream is closed", msgtype="session_log")
    S.pub.publish({"datafile": datafile}, msgtype="session_data")
    print(f"{len(active_channels)} channels streamed for {args.duration:g} s into {datafile}")


if __name__ == "__main__":
    main()
