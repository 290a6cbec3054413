"""The end of a night: streams closed, detectors unbiased, cards off; whatever fails, the rest is done."""

from __future__ import annotations

from smurfq.workflows import forgive, shutdown, stop_streams, workflow, zero_biases


@workflow
def safe_shutdown(cards_off: bool = True) -> None:
    """Close the streams that are on, set the biases to zero, turn tones and amplifiers off."""
    stop_streams()
    zero_biases(min_survivors=0, max_failures=None, retries=1)
    forgive()  # a slot whose biases could not be set is to be turned off all the more
    if cards_off:
        shutdown(max_failures=None, retries=1)
