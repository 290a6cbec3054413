"""The register table: types, sizes, limits."""

from __future__ import annotations

import numpy as np
import pytest

from smurfq.errors import RegisterValueError
from smurfq.sim import registers as r

TABLE = r.register_table(1, 2)


@pytest.mark.parametrize("register", TABLE.values(), ids=lambda register: register.name)
def test_every_register_holds_its_own_first_value(register: r.Register) -> None:
    first = register.first()
    again = register.value_of(first)
    if isinstance(first, np.ndarray):
        assert first.shape == (register.size,)
        assert np.array_equal(first, np.asarray(again))
    else:
        assert register.size == 1
        assert first == again
    assert isinstance(first, {"int": int, "float": float, "text": str}[register.kind]) or register.size > 1


def test_the_table_says_which_slot_it_is() -> None:
    table = r.register_table(3, 7)
    assert (table[r.CRATE_ID].first(), table[r.SLOT_NUMBER].first()) == (3, 7)


def test_a_short_array_is_padded() -> None:
    mask = TABLE[r.MASK].value_of([5, 9])
    assert isinstance(mask, np.ndarray)
    assert mask.dtype == np.int32
    assert mask[:3].tolist() == [5, 9, 0]
    assert mask.size == r.MASK_SIZE


def test_a_text_ends_at_its_first_zero_and_at_its_size() -> None:
    tag = TABLE[r.STREAM + "stream_tag"]
    assert tag.value_of("oper,iv\0\0junk") == "oper,iv"
    assert len(str(tag.value_of("x" * 1000))) == r.TEXT_SIZE - 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (r.dac_register(1), 2**19),
        (r.dac_register(1), -(2**19) - 1),
        (r.OPEN_STREAM, 2),
        (r.MASK, np.arange(r.MASK_SIZE + 1)),
        (r.MASK, []),
        (r.MASK, [r.MASK_SIZE]),
        (r.INTERNAL_FACTOR, 0),
        (r.RAMP_MAX_COUNT, "many"),
    ],
)
def test_a_value_that_does_not_fit_a_register_is_rejected_by_name(name: str, value: object) -> None:
    with pytest.raises(RegisterValueError, match=r"register AMCc:.* takes"):
        TABLE[name].value_of(value)


def test_numbers_are_cut_towards_zero_as_channel_access_does() -> None:
    assert TABLE[r.dac_register(1)].value_of(-3.9) == -3
    assert TABLE[r.CARD_WRITE].value_of(0x80200000) == 0x80200000


def test_sub_bands_are_a_permutation_in_steps_of_1_2_mhz() -> None:
    assert sorted(r.sub_band_of(channel) for channel in range(512)) == list(range(512))
    tones = TABLE[r.band_register(0, "toneFrequencyOffsetMHz")].first()
    assert isinstance(tones, np.ndarray)
    assert np.allclose(np.diff(np.sort(tones)), 1.2)
    assert r.sub_band_mhz(1) == 0.0 + 1.2  # bits 000000001 reversed: 256, the first above the centre


def test_an_unknown_register_stores() -> None:
    assert r.unknown_register("AMCc:Something").first() == 0
    array = r.unknown_register("AMCc:SomethingArray").first()
    assert isinstance(array, np.ndarray)
    assert array.shape == (512,)
