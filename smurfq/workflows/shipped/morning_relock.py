"""The same resonators again, after a night or a fridge cycle."""

from __future__ import annotations

from smurfq.workflows import bias_dets, iv_curve, say, take_noise, uxm_relock, wait, workflow, zero_biases


@workflow
def morning_relock(
    bands: list[int] | None = None,
    rfrac: float | None = None,
    noise_s: float = 30.0,
    tag: str | None = None,
    cool_s: float = 120.0,
    settle_s: float = 180.0,
    relock_kwargs: dict[str, object] | None = None,
    iv_kwargs: dict[str, object] | None = None,
    noise_kwargs: dict[str, object] | None = None,
) -> None:
    """Relock to the tune and measure the noise; then take an IV, bias into the transition, measure the noise again."""
    zero_biases()
    say(f"waits {cool_s:g} s until the detectors have cooled")
    wait(cool_s)
    uxm_relock(bands=bands, kwargs=relock_kwargs, retries=1)
    take_noise(tag=_with("res_check", tag), duration=noise_s, kwargs=noise_kwargs)
    iv_curve(tag=tag, iv_kwargs=iv_kwargs)
    bias_dets(rfrac)
    say(f"waits {settle_s:g} s until the detectors have settled at their biases")
    wait(settle_s)
    take_noise(tag=_with("bias_check", tag), duration=noise_s, kwargs=noise_kwargs)


def _with(check: str, tag: str | None) -> str:
    """Return the tag that the sites give this noise, after the workflow's own."""
    return check if tag is None else f"{tag},{check}"
