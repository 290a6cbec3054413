"""Observe for a while, with bias steps before, between and after: a workflow to copy and change.

    smurfq workflow submit observe.py --param blocks=3 --param tag=cmb

The file must lie below one of the site's script folders (scripts.folders). Each step leaves out the slots on which an
earlier step failed; the report of that step names them, and gives the reason.
"""

from __future__ import annotations

from smurfq.workflows import bias_step, current, say, streaming, workflow


@workflow
def observe(blocks: int = 2, block_s: float = 1800.0, tag: str = "cmb") -> None:
    """Stream in blocks, with bias steps before, between and after them."""
    bias_step(tag=tag, deadline_s=900)
    for number in range(blocks):
        with streaming(tag=f"{tag},block{number}", subtype="cmb", deadline_s=180) as streams:
            streams.wait(block_s)
        report = bias_step(tag=tag, deadline_s=900)
        if not report:
            say(
                f"block {number}: bias steps failed on {', '.join(report.failed)}; these slots are left out from now on"
            )
    night = current()
    if night is not None and night.dropped:
        say(f"to be looked at in the morning: {night.dropped}")
