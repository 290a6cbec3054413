"""The same resonators again, after a night or a fridge cycle."""

from __future__ import annotations

from smurfq.workflows import bias_dets, iv_curve, take_noise, uxm_relock, workflow, zero_biases


@workflow
def morning_relock(
    bands: list[int] | None = None,
    rfrac: float | None = None,
    noise_s: float = 30.0,
    tag: str = "morning_relock",
    relock_kwargs: dict[str, object] | None = None,
    iv_kwargs: dict[str, object] | None = None,
    noise_kwargs: dict[str, object] | None = None,
) -> None:
    """Lock on the resonators of the tune again, take an IV, bias into the transition, measure the noise."""
    zero_biases()
    uxm_relock(bands=bands, kwargs=relock_kwargs, retries=1)
    iv_curve(tag=tag, iv_kwargs=iv_kwargs)
    bias_dets(rfrac)
    take_noise(tag=tag, duration=noise_s, kwargs=noise_kwargs)
