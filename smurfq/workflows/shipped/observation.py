"""An observation: data for science, between two calibrations."""

from __future__ import annotations

from smurfq.workflows import bias_step, streaming, workflow


@workflow
def observation(
    duration_s: float = 3600.0,
    tag: str | None = None,
    subtype: str = "cmb",
    rfrac_range: tuple[float, float] = (0.2, 0.9),
    bias_step_kwargs: dict[str, object] | None = None,
) -> None:
    """Take bias steps, stream for a while on all slots together, take bias steps again."""
    bias_step(tag=tag, kwargs=bias_step_kwargs, rfrac_range=rfrac_range)
    with streaming(tag=tag, subtype=subtype) as streams:
        streams.wait(duration_s)
    bias_step(tag=tag, kwargs=bias_step_kwargs, rfrac_range=rfrac_range)
