"""Slots of a tensor lie in as few words of the bus as they can, wherever the tensor has them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_hw.config import PhantomConfig
from phantom_hw.results.layouts import SLOT_UNIT

TINY = PhantomConfig.preset("tiny")


@pytest.mark.parametrize("bus_width", [64, 128, 256, 512])
@pytest.mark.parametrize("act_width", [4, 8, 16])
@given(chunk=st.integers(4, 64), width=st.integers(1, 64))
def test_no_slot_straddles_words(bus_width, act_width, chunk, width):
    config = replace(TINY, bus_width=bus_width, act_width=act_width, chunk=chunk, acc_width=40)
    width = min(width, chunk)
    form, word = TensorFormat(config, (1, 1, 8, 3 * width), False, width), bus_width // 8
    used = -(-chunk // 8) + -(-width * act_width // 8)
    assert form.slot_pitch >= used and form.slot_pitch % SLOT_UNIT == 0
    for slot in range(8 * form.slots):
        first = slot * form.slot_pitch
        assert (first + used - 1) // word - first // word == -(-used // word) - 1
    assert form.slot_words == -(-used // word)
