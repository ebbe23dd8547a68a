"""Max, sum and average pooling, NCHW (architecture §2: average pooling is a sum and one requantization)."""

from collections.abc import Iterator

import numpy as np

from ._validate import Int64Array, IntArray, int_array, integers
from .requantize import rescale, scale_to_mult_shift

__all__ = ["average_pool2d", "global_average_pool", "max_pool2d", "pool_counts", "sum_pool2d"]


class _Geometry:
    """Validated window parameters of one pooling layer and the output size they give."""

    def __init__(
        self,
        size: tuple[int, int],
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int, int, int],
        dilation: tuple[int, int],
        ceil_mode: bool,
    ) -> None:
        self.size = size
        self.kernel = integers("kernel", kernel, 2, 1)
        self.stride = integers("stride", stride, 2, 1)
        pads = integers("padding", padding, 4, 0)
        self.begin, self.end = pads[:2], pads[2:]
        self.dilation = integers("dilation", dilation, 2, 1)
        self.out = tuple(self._output_size(axis, ceil_mode) for axis in (0, 1))
        for axis in (0, 1):
            if self.count(axis, include_pad=False).min() == 0:
                raise ValueError(f"padding must leave an input position in every window, not {padding!r}")

    def _output_size(self, axis: int, ceil_mode: bool) -> int:
        extent = self.dilation[axis] * (self.kernel[axis] - 1) + 1
        padded = self.size[axis] + self.begin[axis] + self.end[axis]
        if extent > padded:
            raise ValueError(f"dilated kernel must be at most the padded input of {padded}, not {extent}")
        step = self.stride[axis]
        positions = (padded - extent + (step - 1 if ceil_mode else 0)) // step + 1
        if ceil_mode and (positions - 1) * step >= self.size[axis] + self.begin[axis]:
            positions -= 1  # the last window must start before the far padding
        return positions

    def taps(self, axis: int) -> Int64Array:
        """Return the input position of every (output position, tap), shape (out, kernel)."""
        starts = np.arange(self.out[axis]) * self.stride[axis] - self.begin[axis]
        taps: Int64Array = starts[:, None] + np.arange(self.kernel[axis]) * self.dilation[axis]
        return taps

    def count(self, axis: int, include_pad: bool) -> Int64Array:
        """Return how many taps of each output position fall on the input (and padding), shape (out,)."""
        taps = self.taps(axis)
        low = -self.begin[axis] if include_pad else 0
        high = self.size[axis] + (self.end[axis] if include_pad else 0)
        return np.asarray(((taps >= low) & (taps < high)).sum(axis=1))

    def counts(self, include_pad: bool) -> Int64Array:
        """Return the divisor of every output position, shape (OH, OW)."""
        return np.outer(self.count(0, include_pad), self.count(1, include_pad))

    def sums(self, x: IntArray) -> Int64Array:
        """Return the sum of every window, padding counting as zero, shape (N, C, OH, OW)."""
        out = np.zeros(x.shape[:2] + self.out, np.int64)
        for values in self.windows(x, 0):
            out += values
        return out

    def windows(self, x: IntArray, fill: int) -> Iterator[Int64Array]:
        """Yield, tap by tap, the input value each output position sees, shape (N, C, OH, OW)."""
        rows, columns = self.taps(0), self.taps(1)
        near = (max(0, -int(rows.min())), max(0, -int(columns.min())))
        far = (max(0, int(rows.max()) + 1 - self.size[0]), max(0, int(columns.max()) + 1 - self.size[1]))
        pads = ((0, 0), (0, 0), (near[0], far[0]), (near[1], far[1]))
        padded = np.pad(x.astype(np.int64), pads, constant_values=fill)
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                top, left = int(rows[0, i]) + near[0], int(columns[0, j]) + near[1]
                bottom = top + (self.out[0] - 1) * self.stride[0] + 1
                right = left + (self.out[1] - 1) * self.stride[1] + 1
                yield padded[:, :, top : bottom : self.stride[0], left : right : self.stride[1]]


def max_pool2d(
    x: IntArray,
    kernel: tuple[int, int],
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    ceil_mode: bool = False,
) -> Int64Array:
    """Return the largest input value of every window; padding never wins.

    Parameters
    ----------
    x : integer array, shape (N, C, H, W)
    kernel, stride, dilation : (vertical, horizontal), at least 1
    padding : (top, left, bottom, right), at least 0
    ceil_mode : bool
        Add a last, partial window where the stride does not divide (ONNX `ceil_mode`).

    Returns
    -------
    int64 array, shape (N, C, OH, OW)

    Raises
    ------
    ValueError
        If a shape, dtype or parameter is illegal or a window lies in the padding only.
    """
    x = int_array("x", x, 4)
    geometry = _Geometry(x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    out = np.full(x.shape[:2] + geometry.out, np.iinfo(np.int64).min, np.int64)
    for values in geometry.windows(x, np.iinfo(np.int64).min):
        np.maximum(out, values, out=out)
    return out


def sum_pool2d(
    x: IntArray,
    kernel: tuple[int, int],
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    ceil_mode: bool = False,
) -> Int64Array:
    """Return the sum of every window; padding counts as zero. Parameters as of `max_pool2d`.

    Returns
    -------
    int64 array, shape (N, C, OH, OW)

    Raises
    ------
    ValueError
        If a shape, dtype or parameter is illegal or a window lies in the padding only.
    """
    x = int_array("x", x, 4)
    geometry = _Geometry(x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    return geometry.sums(x)


def pool_counts(
    size: tuple[int, int],
    kernel: tuple[int, int],
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> Int64Array:
    """Return the divisor of every output position of an average pooling.

    Parameters
    ----------
    size : (H, W)
    kernel, stride, padding, dilation, ceil_mode
        As of `max_pool2d`.
    count_include_pad : bool
        Count the positions in the padding; what `ceil_mode` reaches beyond it never counts.

    Returns
    -------
    int64 array, shape (OH, OW)

    Raises
    ------
    ValueError
        If a parameter is illegal or a window lies in the padding only.
    """
    height, width = integers("size", size, 2, 1)
    geometry = _Geometry((height, width), kernel, stride, padding, dilation, ceil_mode)
    return geometry.counts(count_include_pad)


def average_pool2d(
    x: IntArray,
    kernel: tuple[int, int],
    *,
    scale: float,
    lo: int,
    hi: int,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> Int64Array:
    """Return ``clamp(rne(sum * s), lo, hi)`` with ``s = float32(float32(scale) / count)`` of every window.

    Parameters
    ----------
    x : integer array, shape (N, C, H, W)
    kernel, stride, padding, dilation, ceil_mode
        As of `max_pool2d`.
    scale : float, positive
        Input step / output step.
    lo, hi : int
        Legal range of the result, ``lo <= hi``.
    count_include_pad : bool
        See `pool_counts`.

    Returns
    -------
    int64 array, shape (N, C, OH, OW)

    Raises
    ------
    ValueError
        If a shape, dtype or parameter is illegal or a window lies in the padding only.
    """
    x = int_array("x", x, 4)
    geometry = _Geometry(x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    sums = geometry.sums(x)
    counts = geometry.counts(count_include_pad)
    mult, shift = scale_to_mult_shift(np.float32(scale) / counts.astype(np.float32))
    return rescale(sums, mult, shift, lo, hi)


def global_average_pool(x: IntArray, *, scale: float, lo: int, hi: int) -> Int64Array:
    """Average each channel: `average_pool2d` with one window over the whole input.

    Returns
    -------
    int64 array, shape (N, C, 1, 1)

    Raises
    ------
    ValueError
        If a shape, dtype or parameter is illegal.
    """
    x = int_array("x", x, 4)
    return average_pool2d(x, x.shape[2:], scale=scale, lo=lo, hi=hi)
