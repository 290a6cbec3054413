"""Shows the stages of an operation that pysmurf and sodetlib announce only in their log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from smurfq.smurf_control.session_protocol import SessionProtocol

IV: Final[Mapping[str, str]] = {
    r"Driving .* in high current mode": "overbias",
    r"Waiting (?P<wait_s>[\d.]+) seconds to cool": "cool_wait",
    r"Starting TES Bias Ramp": "sweep",
}
"""The beginnings of the lines of an IV, and the stages that they announce (pysmurf 10.3.4, sodetlib 0.6.8)."""


def show_stages(control: Any, session: SessionProtocol, lines: Mapping[str, str]) -> None:
    """Make ``control`` record a stage when it logs one of ``lines``, and say for how long a stage waits."""
    write = control.log.write  # for each line, also of those that the level leaves out

    def write_and_show(text: Any, *args: Any, **kwargs: Any) -> Any:
        for line, stage in lines.items():
            if (found := re.match(line, str(text))) is not None:
                session.stage(stage)
                if (wait_s := found.groupdict().get("wait_s")) is not None:
                    session.add_message(f"{stage}: waits {float(wait_s):g} s")
        return write(text, *args, **kwargs)

    control.log.write = write_and_show
