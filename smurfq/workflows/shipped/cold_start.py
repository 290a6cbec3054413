"""From nothing to detectors in their transition."""

from __future__ import annotations

from smurfq.workflows import bias_dets, iv_curve, take_bgmap, take_noise, uxm_setup, workflow


@workflow
def cold_start(
    bands: list[int] | None = None,
    rfrac: float | None = None,
    noise_s: float = 30.0,
    tag: str = "cold_start",
    setup_kwargs: dict[str, object] | None = None,
    bgmap_kwargs: dict[str, object] | None = None,
    iv_kwargs: dict[str, object] | None = None,
    noise_kwargs: dict[str, object] | None = None,
) -> None:
    """Set the slots up, find their bias groups, take an IV, bias into the transition, measure the noise."""
    uxm_setup(bands=bands, kwargs=setup_kwargs, retries=1)
    take_bgmap(tag=tag, kwargs=bgmap_kwargs)
    iv_curve(tag=tag, iv_kwargs=iv_kwargs)
    bias_dets(rfrac)
    take_noise(tag=tag, duration=noise_s, kwargs=noise_kwargs)
