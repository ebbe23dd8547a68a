"""Transposed convolution against ONNX Runtime ConvTranspose, and its lowering against itself."""

import numpy as np
import phantom_golden as golden
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx_reference import S8, U8, node, random_integers, run, windows


def draw_case(data, drawn, rank, beyond_stride=False):
    """Return x, weights, output padding; the padding may cut off more than the kernel reaches.

    ONNX Runtime refuses an output padding that reaches the stride, even one below the dilation.
    """
    rng = np.random.default_rng(drawn.seed)
    x = random_integers(rng, (drawn.images, drawn.channels, *drawn.size), data.draw(st.sampled_from([U8, S8])))
    weights = random_integers(rng, (drawn.channels, drawn.group_filters, *drawn.kernel), S8)
    limits = [max(s, d if beyond_stride else 1) for s, d in zip(drawn.stride, drawn.dilation, strict=True)]
    extra = tuple(data.draw(st.integers(0, limit - 1)) for limit in limits)
    for i in range(rank):
        full = drawn.stride[i] * (drawn.size[i] - 1) + drawn.dilation[i] * (drawn.kernel[i] - 1) + 1
        assume(full + extra[i] > drawn.padding[i] + drawn.padding[rank + i])
    return x, weights, extra


def conv_transpose(x, weights, extra, drawn):
    """Float32 holds the sums exactly: below 2^24 for these sizes."""
    assert 255 * np.abs(weights.astype(np.int64)).sum() // drawn.group_filters < 2**24
    attributes = {"group": drawn.groups, "output_padding": extra, **drawn.attributes}
    return run(
        [node("ConvTranspose", "x w", "y", **attributes)],
        np.float32,
        x=x.astype(np.float32),
        w=weights.astype(np.float32),
    )


def geometry(drawn, extra):
    return {
        "stride": drawn.stride,
        "padding": drawn.padding,
        "output_padding": extra,
        "dilation": drawn.dilation,
    }


@given(st.data(), windows())
def test_transposed_conv2d_equals_conv_transpose(data, drawn):
    x, weights, extra = draw_case(data, drawn, 2)
    acc = golden.transposed_conv2d(x, weights, **geometry(drawn, extra), groups=drawn.groups)
    assert acc.dtype == np.int64
    np.testing.assert_array_equal(acc, conv_transpose(x, weights, extra, drawn))


@given(st.data(), windows())
def test_lowering_equals_the_scatter(data, drawn):
    x, weights, extra = draw_case(data, drawn, 2, beyond_stride=True)
    settings = geometry(drawn, extra)
    acc = golden.transposed_conv2d(x, weights, **settings, groups=drawn.groups)
    stuffed = golden.zero_stuff(x, drawn.stride, golden.transposed_padding(drawn.kernel, **settings))
    flipped = golden.flip_weights(weights, drawn.groups)
    lowered = golden.conv2d(stuffed, flipped, dilation=drawn.dilation, groups=drawn.groups)
    np.testing.assert_array_equal(lowered, acc)


@given(st.data(), windows(rank=1))
def test_transposed_conv1d_equals_conv_transpose(data, drawn):
    x, weights, extra = draw_case(data, drawn, 1)
    acc = golden.transposed_conv1d(
        x,
        weights,
        stride=drawn.stride[0],
        padding=drawn.padding,
        output_padding=extra[0],
        dilation=drawn.dilation[0],
        groups=drawn.groups,
    )
    np.testing.assert_array_equal(acc, conv_transpose(x, weights, extra, drawn))


def test_zero_stuff_places_values():
    x = np.array([[[[1, 2], [3, 4]]]])
    assert golden.zero_stuff(x, (2, 3)).tolist() == [[[[1, 0, 0, 2], [0, 0, 0, 0], [3, 0, 0, 4]]]]
    assert golden.zero_stuff(x, (2, 1), (-1, 1, 1, -1)).tolist() == [[[[0, 0], [0, 3], [0, 0]]]]


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_flip_weights_twice_is_identity(groups):
    weights = np.arange(4 * 3 * 2 * 5).reshape(4, 3, 2, 5)
    flipped = golden.flip_weights(weights, groups)
    assert flipped.shape == (3 * groups, 4 // groups, 2, 5)
    np.testing.assert_array_equal(golden.flip_weights(flipped, groups), weights)
