"""Upsampling and concatenation against ONNX Runtime."""

import numpy as np
import phantom_golden as golden
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx_reference import S8, U8, node, random_integers, run


@pytest.mark.parametrize(
    "rule", [("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil")]
)
@given(
    st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([U8, S8]),
)
def test_upsample_equals_resize(rule, shape, vertical, horizontal, dtype):
    x = random_integers(np.random.default_rng(0), shape, dtype)
    scales = np.array([1, 1, vertical, horizontal], np.float32)
    resize = node("Resize", "x r s", "y", mode="nearest")
    resize.attribute.extend(
        node("Resize", "x", "y", coordinate_transformation_mode=rule[0], nearest_mode=rule[1]).attribute
    )
    expected = run([resize], dtype, x=x, r=np.zeros(0, np.float32), s=scales)
    np.testing.assert_array_equal(golden.upsample_nearest(x, (vertical, horizontal)), expected)


@given(st.integers(0, 3), st.lists(st.integers(1, 4), min_size=1, max_size=4), st.booleans(), st.integers(0, 2**32))
def test_concat_equals_concat(axis, sizes, negative, seed):
    rng = np.random.default_rng(seed)
    shapes = [tuple(size if i == axis else 3 for i in range(4)) for size in sizes]
    tensors = [random_integers(rng, shape, S8) for shape in shapes]
    axis -= 4 * negative
    feeds = {f"x{i}": tensor for i, tensor in enumerate(tensors)}
    expected = run([node("Concat", " ".join(feeds), "y", axis=axis)], np.int8, **feeds)
    np.testing.assert_array_equal(golden.concat(tensors, axis), expected)


@given(st.lists(st.floats(2.0**-8, 1, width=32), min_size=1, max_size=3), st.integers(0, 2**32))
def test_quantized_concat_equals_qdq_graph(scales, seed):
    rng = np.random.default_rng(seed)
    tensors = [random_integers(rng, (2, 3, 5, 4), S8) for _ in scales]
    scale_out = max(scales)
    feeds, nodes = {}, []
    for i, (tensor, scale) in enumerate(zip(tensors, scales, strict=True)):
        feeds |= {f"x{i}": tensor, f"s{i}": np.float32(scale)}
        nodes.append(node("DequantizeLinear", f"x{i} s{i}", f"f{i}"))
    nodes.append(node("Concat", " ".join(f"f{i}" for i in range(len(tensors))), "c", axis=1))
    nodes.append(node("QuantizeLinear", "c ys yz", "y"))
    expected = run(nodes, np.int8, **feeds, ys=np.float32(scale_out), yz=np.zeros((), np.int8))
    got = golden.quantized_concat(tensors, scales, scale_out, lo=-128, hi=127)
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 1
    unchanged = scales.index(scale_out)
    np.testing.assert_array_equal(got[:, 3 * unchanged : 3 * unchanged + 3], tensors[unchanged])
