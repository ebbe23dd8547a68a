"""Matrix products against ONNX Runtime MatMulInteger, and exactness against Python integers."""

import numpy as np
import phantom_golden as golden
from hypothesis import given
from hypothesis import strategies as st
from onnx_reference import S8, U8, node, random_integers, run

SIZES = st.integers(1, 40)


def mat_mul_integer(a, b):
    """Weights as uint8 with zero-point 128: exact on every CPU (see onnx_reference.unsigned)."""
    return run(
        [node("MatMulInteger", "a b az bz", "y")],
        np.int32,
        a=a,
        b=(b.astype(np.int16) + 128).astype(np.uint8),
        az=np.zeros((), a.dtype),
        bz=np.array(128, np.uint8),
    )


@given(SIZES, SIZES, SIZES, st.sampled_from([(), (2,), (2, 3)]), st.sampled_from([U8, S8]), st.integers(0, 2**32))
def test_matmul_equals_mat_mul_integer(m, i, n, batch, dtype, seed):
    rng = np.random.default_rng(seed)
    a = random_integers(rng, (*batch, m, i), dtype)
    b = random_integers(rng, (i, n), S8)
    np.testing.assert_array_equal(golden.matmul(a, b), mat_mul_integer(a, b))


@given(SIZES, st.integers(1, 300), SIZES, st.sampled_from([U8, S8]), st.integers(0, 2**32))
def test_fully_connected_equals_mat_mul_integer(n, i, k, dtype, seed):
    rng = np.random.default_rng(seed)
    x = random_integers(rng, (n, i), dtype)
    weights = random_integers(rng, (k, i), S8)
    np.testing.assert_array_equal(golden.fully_connected(x, weights), mat_mul_integer(x, weights.T))


@given(st.sampled_from([np.int8, np.int16, np.int32]), st.integers(1, 8), st.integers(0, 2**32))
def test_matmul_is_exact_at_every_width(dtype, i, seed):
    rng = np.random.default_rng(seed)
    a, b = random_integers(rng, (3, i), dtype), random_integers(rng, (i, 2), dtype) // 16
    exact = [[sum(int(p) * int(q) for p, q in zip(row, col, strict=True)) for col in b.T] for row in a]
    assert golden.matmul(a, b).tolist() == exact
