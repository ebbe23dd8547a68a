"""Measure how often the exact requantization differs from ONNX Runtime's (architecture §2).

    python bench/requant_mismatch.py [--outputs 4000000] [--seed 0]

The golden model rounds the exact product half to even; ONNX Runtime rounds the product to float32 first. The last
column counts the mismatches that are left when the golden accumulators are requantized in float32 instead: where it
is 0, that one rounding is all of the difference. Graph optimizations are off. Weights have seven bits, so that no
CPU's kernel saturates.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnxruntime
import phantom_golden as golden
from onnx import helper

Case = tuple[np.ndarray, np.ndarray, np.ndarray]  # golden values, float32 values, ONNX Runtime's values


def run(nodes: list[Any], dtype: Any, **feeds: Any) -> np.ndarray:
    """Run nodes whose last output is `y` in ONNX Runtime."""
    arrays = {name: np.asarray(value) for name, value in feeds.items()}
    inputs = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), None) for n, a in arrays.items()
    ]
    output = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), None)
    graph = helper.make_graph(nodes, "mismatch", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return session.run(None, arrays)[0]


def activations(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Half-sparse integers over the full range of `dtype`."""
    limits = np.iinfo(dtype)
    values = rng.integers(limits.min, limits.max, shape, np.int64, endpoint=True)
    return np.where(rng.random(shape) < 0.5, values, 0).astype(dtype)


def both(acc: np.ndarray, scale: np.ndarray, bias: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Requantize exactly, and as ONNX Runtime does: one float32 product, then rounded."""
    limits = np.iinfo(dtype)
    mult, shift = golden.scale_to_mult_shift(scale)
    exact = golden.requantize(acc, mult, shift, bias=bias, lo=limits.min, hi=limits.max)
    shape = [1, -1, *[1] * (acc.ndim - 2)]
    total = (acc + bias.reshape(shape)).astype(np.float32)
    single = np.clip(np.rint(total * scale.astype(np.float32).reshape(shape)), limits.min, limits.max)
    return exact, single.astype(np.int64)


def convolution(rng: np.random.Generator, dtype: Any, *, qdq: bool) -> Case:
    """One layer of 32 filters, 16 × 3 × 3, on a 56 × 56 map; scales drawn per channel."""
    x = activations(rng, (1, 16, 56, 56), dtype)
    w = rng.integers(-63, 64, (32, 16, 3, 3), np.int8)
    bias = rng.integers(-(2**11), 2**11, 32, np.int32)
    x_scale = np.float32(rng.uniform(0.01, 0.1))
    w_scale = rng.uniform(0.001, 0.01, 32).astype(np.float32)
    acc = golden.conv2d(x, w, padding=(1, 1, 1, 1))
    spread = float(np.std(acc * w_scale.reshape(-1, 1, 1))) * float(x_scale)
    y_scale = np.float32(3 * spread / np.iinfo(dtype).max)  # the range ends at three standard deviations
    exact, single = both(acc, golden.requantize_scale(x_scale, w_scale, y_scale), bias, dtype)
    zero = np.zeros((), dtype)
    if qdq:
        nodes = [
            helper.make_node("DequantizeLinear", ["x", "xs"], ["xf"]),
            helper.make_node("DequantizeLinear", ["w", "ws"], ["wf"], axis=0),
            helper.make_node("DequantizeLinear", ["b", "bs"], ["bf"], axis=0),
            helper.make_node("Conv", ["xf", "wf", "bf"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("QuantizeLinear", ["c", "ys", "yz"], ["y"]),
        ]
        feeds = {"x": x, "xs": x_scale, "w": w, "ws": w_scale, "b": bias, "bs": x_scale * w_scale}
        return exact, single, run(nodes, dtype, **feeds, ys=y_scale, yz=zero)
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"]
    values = [x, x_scale, zero, w, w_scale, np.zeros(32, np.int8), y_scale, zero, bias]
    layer = helper.make_node("QLinearConv", names, ["y"], pads=[1, 1, 1, 1])
    return exact, single, run([layer], dtype, **dict(zip(names, values, strict=True)))


def product(rng: np.random.Generator, dtype: Any) -> Case:
    """A matrix product, 400 × 256 × 256."""
    a = activations(rng, (400, 256), dtype)
    b = rng.integers(-63, 64, (256, 256), np.int8)
    a_scale, b_scale = rng.uniform(0.001, 0.1, 2).astype(np.float32)
    acc = golden.matmul(a, b)
    y_scale = np.float32(3 * float(np.std(acc)) * float(a_scale) * float(b_scale) / np.iinfo(dtype).max)
    scale = golden.requantize_scale(a_scale, b_scale, y_scale)
    exact, single = both(acc, scale, np.zeros(1, np.int64), dtype)
    zero = np.zeros((), dtype)
    names = ["a", "as", "az", "b", "bs", "bz", "ys", "yz"]
    values = [a, a_scale, zero, b, b_scale, np.zeros((), np.int8), y_scale, zero]
    layer = helper.make_node("QLinearMatMul", names, ["y"])
    return exact, single, run([layer], dtype, **dict(zip(names, values, strict=True)))


def addition(rng: np.random.Generator, dtype: Any) -> Case:
    """An elementwise add of two tensors with scales of their own."""
    a, b = activations(rng, (100_000,), dtype), activations(rng, (100_000,), dtype)
    a_scale, b_scale = rng.uniform(0.01, 0.1, 2).astype(np.float32)
    y_scale = np.float32(rng.uniform(0.7, 1.0) * (a_scale + b_scale))
    limits = np.iinfo(dtype)
    multipliers = golden.add_multipliers(a_scale, b_scale, y_scale)
    exact = golden.quantized_add(a, b, *multipliers, lo=limits.min, hi=limits.max)
    real = a.astype(np.float32) * a_scale + b.astype(np.float32) * b_scale
    single = np.clip(np.rint(real / y_scale), limits.min, limits.max).astype(np.int64)
    nodes = [
        helper.make_node("DequantizeLinear", ["a", "as"], ["af"]),
        helper.make_node("DequantizeLinear", ["b", "bs"], ["bf"]),
        helper.make_node("Add", ["af", "bf"], ["s"]),
        helper.make_node("QuantizeLinear", ["s", "ys", "yz"], ["y"]),
    ]
    feeds = {"a": a, "as": a_scale, "b": b, "bs": b_scale, "ys": y_scale, "yz": np.zeros((), dtype)}
    return exact, single, run(nodes, dtype, **feeds)


def average(rng: np.random.Generator, dtype: Any, kernel: int, *, same_scale: bool) -> Case:
    """An average pool; with one scale on both sides an even window has exact ties."""
    x = activations(rng, (1, 16, 80, 80), dtype)
    x_scale, y_scale = rng.uniform(0.01, 0.02, 2).astype(np.float32)
    if same_scale:
        y_scale = x_scale
    limits = np.iinfo(dtype)
    settings = {"scale": x_scale / y_scale, "lo": limits.min, "hi": limits.max}
    exact = golden.average_pool2d(x, (kernel, kernel), **settings)
    sums = golden.sum_pool2d(x, (kernel, kernel)).astype(np.float32)
    real = sums * x_scale / np.float32(kernel * kernel)
    single = np.clip(np.rint(real / y_scale), limits.min, limits.max).astype(np.int64)
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "xs"], ["xf"]),
        helper.make_node("AveragePool", ["xf"], ["a"], kernel_shape=[kernel, kernel]),
        helper.make_node("QuantizeLinear", ["a", "ys", "yz"], ["y"]),
    ]
    return exact, single, run(nodes, dtype, x=x, xs=x_scale, ys=y_scale, yz=np.zeros((), dtype))


CASES: dict[str, Callable[[np.random.Generator], Case]] = {
    "QLinearConv u8": lambda rng: convolution(rng, np.uint8, qdq=False),
    "QLinearConv s8": lambda rng: convolution(rng, np.int8, qdq=False),
    "QLinearMatMul u8": lambda rng: product(rng, np.uint8),
    "QLinearMatMul s8": lambda rng: product(rng, np.int8),
    "QDQ float Conv u8": lambda rng: convolution(rng, np.uint8, qdq=True),
    "QDQ float Conv s8": lambda rng: convolution(rng, np.int8, qdq=True),
    "QDQ Add u8": lambda rng: addition(rng, np.uint8),
    "QDQ Add s8": lambda rng: addition(rng, np.int8),
    "QDQ AveragePool 3x3 s8": lambda rng: average(rng, np.int8, 3, same_scale=False),
    "QDQ AveragePool 2x2 s8, one scale": lambda rng: average(rng, np.int8, 2, same_scale=True),
    "QDQ AveragePool 6x6 s8, one scale": lambda rng: average(rng, np.int8, 6, same_scale=True),
}


def measure(case: Callable[[np.random.Generator], Case], outputs: int, seed: int) -> tuple[int, int, int, int]:
    """Return outputs compared, mismatches, the largest difference, mismatches of the float32 rule."""
    rng = np.random.default_rng(seed)
    compared = mismatches = largest = float_mismatches = 0
    while compared < outputs:
        exact, single, reference = case(rng)
        difference = np.abs(exact - reference.astype(np.int64))
        compared += difference.size
        mismatches += int(np.count_nonzero(difference))
        largest = max(largest, int(difference.max()))
        float_mismatches += int(np.count_nonzero(single != reference))
    return compared, mismatches, largest, float_mismatches


def table(outputs: int, seed: int) -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"{'operator':<34}{'outputs':>10}{'mismatches':>12}{'rate':>10}{'max LSB':>9}{'float32 rule':>14}"
    for name, case in CASES.items():
        compared, mismatches, largest, rest = measure(case, outputs, seed)
        yield f"{name:<34}{compared:>10}{mismatches:>12}{mismatches / compared:>10.1e}{largest:>9}{rest:>14}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outputs", type=int, default=4_000_000, help="outputs per operator, at least 1")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.outputs < 1:
        parser.error(f"--outputs must be at least 1, not {arguments.outputs}")
    for line in table(arguments.outputs, arguments.seed):
        print(line, flush=True)


if __name__ == "__main__":
    main()
