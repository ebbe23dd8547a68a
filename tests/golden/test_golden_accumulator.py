"""Accumulator bounds against every possible input of small layers, and the error they lead to."""

import itertools

import numpy as np
import phantom_golden as golden
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx_reference import S8, random_integers


@given(
    st.lists(st.lists(st.integers(-9, 9), min_size=3, max_size=3), min_size=1, max_size=4),
    st.integers(-3, 0),
    st.integers(0, 3),
    st.integers(-20, 20),
)
def test_bounds_are_attained_and_never_passed(rows, lo, hi, bias):
    weights = np.array(rows)
    minimum, maximum = golden.accumulator_bounds(weights, lo, hi, bias)
    inputs = np.array(list(itertools.product(range(lo, hi + 1), repeat=3)))
    sums = golden.fully_connected(inputs, weights) + bias
    np.testing.assert_array_equal(minimum, sums.min(axis=0))
    np.testing.assert_array_equal(maximum, sums.max(axis=0))


@given(st.integers(0, 2**32))
def test_convolution_stays_within_its_bounds(seed):
    rng = np.random.default_rng(seed)
    x, weights = random_integers(rng, (1, 4, 7, 7), S8), random_integers(rng, (6, 2, 3, 3), S8)
    acc = golden.conv2d(x, weights, padding=(1, 1, 1, 1), groups=2)
    minimum, maximum = golden.accumulator_bounds(weights, -128, 127)
    assert np.all(acc.min(axis=(0, 2, 3)) >= minimum)
    assert np.all(acc.max(axis=(0, 2, 3)) <= maximum)


def test_check_names_layer_bound_and_width():
    weights = np.zeros((3, 258, 1, 1), np.int8)
    golden.check_accumulator("conv1", weights, 0, 255, acc_width=16)
    weights[1, :2] = 64
    golden.check_accumulator("conv1", weights, 0, 255, acc_width=16)  # 32640 of 32767
    golden.check_accumulator("conv1", weights, 0, 255, np.array([0, 127, 0]), acc_width=16)
    with pytest.raises(golden.AccumulatorOverflowError) as error:
        golden.check_accumulator("conv1", weights, 0, 255, np.array([0, 128, 0]), acc_width=16)
    message = str(error.value)
    assert "'conv1'" in message and "32768" in message and "16-bit" in message and "channel 1" in message
    assert "\n" not in message
    assert isinstance(error.value, ValueError) and isinstance(error.value, OverflowError)


def test_bias_cannot_hide_an_overflow_of_the_products():
    weights = np.full((1, 2), -128, np.int8)
    bias = np.array([2**15])
    with pytest.raises(golden.AccumulatorOverflowError, match="products of output channel 0 can reach -65280"):
        golden.check_accumulator("fc", weights, 0, 255, bias, acc_width=16)


def test_bounds_of_wide_weights_do_not_wrap():
    weights = np.full((1, 4), -(2**31), np.int32)
    minimum, maximum = golden.accumulator_bounds(weights, 0, 65535)
    assert (minimum.item(), maximum.item()) == (-(2**31) * 4 * 65535, 0)
    with pytest.raises(ValueError, match=r"below 2\^63"):
        golden.accumulator_bounds(weights, -(2**31), 2**31 - 1)
