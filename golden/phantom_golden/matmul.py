"""Exact integer matrix product and fully connected layer (architecture §2)."""

import numpy as np

from ._validate import Int64Array, IntArray, int_array
from .exact import exact_dtype, product_bound

__all__ = ["fully_connected", "matmul"]


def matmul(a: IntArray, b: IntArray) -> Int64Array:
    """Multiply integer matrices exactly, with the broadcasting of `numpy.matmul`.

    Parameters
    ----------
    a : integer array, shape (..., M, I)
    b : integer array, shape (..., I, N)

    Returns
    -------
    int64 array, shape (..., M, N)
        Raw accumulators.

    Raises
    ------
    ValueError
        If the shapes do not match, a dtype is not an integer type, or a sum may not fit int64.
    """
    a = int_array("a", a)
    b = int_array("b", b)
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"a and b must have shapes (..., M, I) and (..., I, N), not {a.shape} and {b.shape}")
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(f"a and b must have leading axes that broadcast, not {a.shape} and {b.shape}") from None
    columns = np.swapaxes(b, -1, -2).reshape(-1, b.shape[-2])
    dtype = exact_dtype(product_bound(a, columns))
    product: Int64Array = np.matmul(a.astype(dtype), b.astype(dtype)).astype(np.int64)
    return product


def fully_connected(x: IntArray, weights: IntArray) -> Int64Array:
    """Apply a fully connected layer: ``x @ weights.T`` exactly.

    Parameters
    ----------
    x : integer array, shape (N, I)
    weights : integer array, shape (K, I)
        One row per neuron, as in ONNX Gemm with ``transB=1``.

    Returns
    -------
    int64 array, shape (N, K)
        Raw accumulators.

    Raises
    ------
    ValueError
        If the shapes do not match, a dtype is not an integer type, or a sum may not fit int64.
    """
    x = int_array("x", x, 2)
    weights = int_array("weights", weights, 2)
    if x.shape[1] != weights.shape[1]:
        raise ValueError(f"weights must have {x.shape[1]} columns, one per input, not shape {weights.shape}")
    return matmul(x, weights.T)
