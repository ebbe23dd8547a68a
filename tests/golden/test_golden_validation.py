"""Every illegal argument is refused in one line that shows the value."""

import numpy as np
import phantom_golden as golden
import pytest

X = np.ones((1, 4, 5, 5), np.int8)
W = np.ones((6, 4, 3, 3), np.int8)
WT = np.ones((4, 6, 3, 3), np.int8)
SPARSE = golden.encode(np.array([[1, 0, 2, 300]]), 2)

CASES = {
    "float input": (lambda: golden.conv2d(X.astype(float), W), "float64"),
    "boolean input": (lambda: golden.relu(X > 0), "bool"),
    "rank": (lambda: golden.conv2d(X[0], W), r"\(4, 5, 5\)"),
    "empty": (lambda: golden.conv2d(X[:0], W), "empty"),
    "huge uint64": (lambda: golden.relu(np.array([2**64 - 1], np.uint64)), "18446744073709551615"),
    "stride zero": (lambda: golden.conv2d(X, W, stride=(0, 1)), r"\(0, 1\)"),
    "stride scalar": (lambda: golden.conv2d(X, W, stride=1), "2 integers"),
    "stride float": (lambda: golden.conv2d(X, W, stride=(1.0, 1)), r"\(1.0, 1\)"),
    "negative padding": (lambda: golden.conv2d(X, W, padding=(0, 0, -1, 0)), "-1"),
    "padding of two": (lambda: golden.conv2d(X, W, padding=(1, 1)), "4 integers"),
    "kernel too large": (lambda: golden.conv2d(X, W, dilation=(3, 1)), "at most the padded input of 5, not 7"),
    "groups": (lambda: golden.conv2d(X, W, groups=3), "groups must divide"),
    "group channels": (lambda: golden.conv2d(X, W, groups=2), "2 channels"),
    "conv sums": (lambda: golden.conv2d(X.astype(np.int64) * 2**40, W.astype(np.int64) * 2**40), r"2\^63"),
    "conv1d rank": (lambda: golden.conv1d(X, W), "3 dimensions"),
    "transposed channels": (lambda: golden.transposed_conv2d(X[:, :2], WT), "2 input channels"),
    "transposed groups": (lambda: golden.transposed_conv2d(X, WT, groups=3), "divide the input channels 4"),
    "output padding": (lambda: golden.transposed_conv2d(X, WT, output_padding=(1, 0)), "not 1"),
    "all cut off": (lambda: golden.transposed_conv2d(X, WT, padding=(4, 0, 3, 0)), "leave a part of the 7x7"),
    "stuffing cut off": (lambda: golden.zero_stuff(X, (1, 1), (-5, 0, 0, 0)), "leave a part of the 5x5"),
    "matmul shapes": (lambda: golden.matmul(X[0, 0], X[0, 0, :4]), r"\(5, 5\) and \(4, 5\)"),
    "matmul batch": (lambda: golden.matmul(np.ones((2, 1, 1), int), np.ones((3, 1, 1), int)), "broadcast"),
    "fc shapes": (lambda: golden.fully_connected(X[0, 0], X[0, 0, :, :4]), "5 columns"),
    "mult": (lambda: golden.requantize(X, 2**24, 0, lo=0, hi=1), "16777216"),
    "shift": (lambda: golden.requantize(X, 1, 64, lo=0, hi=1), r"0\.\.63, not 64"),
    "bias": (lambda: golden.requantize(X, 1, 1, bias=2**31, lo=0, hi=1), "2147483648"),
    "bias shape": (lambda: golden.requantize(X, 1, 1, bias=np.zeros(3, int), lo=0, hi=1), r"\(4,\)"),
    "float mult": (lambda: golden.requantize(X, 0.5, 1, lo=0, hi=1), "float64"),
    "lo above hi": (lambda: golden.requantize(X, 1, 1, lo=2, hi=1), "lo=2, hi=1"),
    "axis": (lambda: golden.requantize(X, 1, 1, lo=0, hi=1, axis=4), "axis"),
    "sum of 41 bits": (lambda: golden.requantize(np.array([2**39]), 1, 1, lo=0, hi=1), "549755813888"),
    "sum of 64 bits": (lambda: golden.requantize(np.array([2**63 - 1]), 1, 1, lo=0, hi=1), "9223372036854775807"),
    "scale zero": (lambda: golden.scale_to_mult_shift(0.0), "0.0"),
    "scale negative": (lambda: golden.scale_to_mult_shift([1.0, -0.5]), "-0.5"),
    "scale nan": (lambda: golden.scale_to_mult_shift(np.nan), "nan"),
    "scale large": (lambda: golden.scale_to_mult_shift(2.0**24), "16777216.0"),
    "requantize scale": (lambda: golden.requantize_scale(1.0, np.array([1.0, 0.0]), 1.0), "weight_scale"),
    "add shapes": (lambda: golden.quantized_add(X, X[:, :2], 1, 1, 1, lo=0, hi=1), "same shape"),
    "add values": (lambda: golden.quantized_add(X, X + np.int64(2**40), 1, 1, 1, lo=0, hi=1), "values of b"),
    "add mult": (lambda: golden.quantized_add(X, X, 1, -1, 1, lo=0, hi=1), "mult_b"),
    "add shift": (lambda: golden.quantized_add(X, X, 1, 1, True, lo=0, hi=1), "shift"),
    "add scale": (lambda: golden.add_multipliers(1.0, 0.0, 1.0), "scale_b"),
    "add ratio": (lambda: golden.add_multipliers(1.0, 2.0**30, 1.0), r"2\^24"),
    "clamp": (lambda: golden.clamp(X, 1, 0), "lo=1, hi=0"),
    "pool kernel": (lambda: golden.max_pool2d(X, (6, 1)), "at most the padded input of 5, not 6"),
    "pool in padding": (lambda: golden.max_pool2d(X, (2, 2), padding=(2, 0, 0, 0)), "every window"),
    "pool size": (lambda: golden.pool_counts((0, 5), (1, 1)), r"\(0, 5\)"),
    "average scale": (lambda: golden.average_pool2d(X, (2, 2), scale=0.0, lo=0, hi=1), "0.0"),
    "upsample factor": (lambda: golden.upsample_nearest(X, (0, 2)), r"\(0, 2\)"),
    "concat nothing": (lambda: golden.concat([]), "at least 1 array"),
    "concat shapes": (lambda: golden.concat([X, X[:, :, :4]]), "equal shapes"),
    "concat ranks": (lambda: golden.concat([X, X[0]]), "equal shapes"),
    "concat axis": (lambda: golden.concat([X], 4), "axis"),
    "concat scales": (lambda: golden.quantized_concat([X], [1.0, 1.0], 1.0, lo=0, hi=1), "one value per tensor"),
    "concat scale out": (lambda: golden.quantized_concat([X], [1.0], 0.0, lo=0, hi=1), "scale_out"),
    "width": (lambda: golden.integer_range(5), "4, 8, 16, not 5"),
    "quantize nan": (lambda: golden.quantize(np.array([np.nan]), 1.0, 8), "nan"),
    "quantize scale": (lambda: golden.quantize(np.ones(3), -1.0, 8), "-1.0"),
    "quantize axis": (lambda: golden.quantize(np.ones((2, 3)), np.ones(3), 8, axis=0), r"\(2,\), not \(3,\)"),
    "quantize no axis": (lambda: golden.quantize(np.ones((2, 3)), np.ones(3), 8), "without an axis"),
    "dequantize": (lambda: golden.dequantize(np.ones(3), 1.0), "float64"),
    "activation range": (lambda: golden.activation_scale(1.0, 0.0, 8, signed=True), "1.0 and 0.0"),
    "unsigned range": (lambda: golden.activation_scale(-1.0, 0.0, 8, signed=False), "-1.0"),
    "weights of strings": (lambda: golden.weight_scales(["a"], 8), "<U1"),
    "weights scalar": (lambda: golden.weight_scales(1.0, 8), r"\(\)"),
    "density": (lambda: golden.magnitude_prune(np.ones(3), 1.5), "1.5"),
    "prune nan": (lambda: golden.magnitude_prune(np.array([np.nan]), 0.5), "nan"),
    "act_lo": (lambda: golden.accumulator_bounds(W, 1, 2), "act_lo"),
    "acc_width": (lambda: golden.check_accumulator("c", W, 0, 1, acc_width=64), "64"),
    "chunk": (lambda: golden.encode(X, 0), "chunk"),
    "slice": (lambda: SPARSE.slice(3, 3), "stop"),
    "slice rows": (lambda: SPARSE.slice_rows(1, 2), "start"),
    "value width": (lambda: golden.to_bytes(SPARSE, 12), "4, 8, 16, 32, not 12"),
    "value range": (lambda: golden.to_bytes(SPARSE, 8), "300"),
    "align": (lambda: golden.slot_bytes(8, 8, 0), "align"),
    "data size": (lambda: golden.from_bytes(np.zeros(5, np.uint8), (1, 4), 4, 8, align=2), "6 uint8, not 5"),
    "data shape": (lambda: golden.from_bytes(np.zeros(5, np.uint8), (), 4, 8), "1 dimension"),
    "mask shape": (lambda: golden.SparseTensor((4,), 2, SPARSE.masks[:, :1], SPARSE.values), "masks"),
    "value count": (lambda: golden.SparseTensor((1, 4), 2, SPARSE.masks, SPARSE.values[:2]), r"\(3,\)"),
    "no shape": (lambda: golden.SparseTensor((), 2, SPARSE.masks, SPARSE.values), "shape"),
}


@pytest.mark.parametrize("call, reason", CASES.values(), ids=CASES.keys())
def test_illegal_argument_is_refused(call, reason):
    with pytest.raises(ValueError, match=reason) as error:
        call()
    assert "\n" not in str(error.value)
