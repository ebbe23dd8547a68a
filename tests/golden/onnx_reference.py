"""One ONNX operator or a small graph through ONNX Runtime, graph optimizations off; and shared strategies."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from hypothesis import strategies as st
from onnx import helper

U8, S8 = np.dtype(np.uint8), np.dtype(np.int8)


def run_model(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Run a model on the CPU without any graph rewriting."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def run(nodes: list[onnx.NodeProto], dtype: Any, **feeds: np.ndarray) -> np.ndarray:
    """Run nodes whose last output is `y`, of element type `dtype`, on named inputs."""
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype), None)
        for name, value in feeds.items()
    ]
    output = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), None)
    graph = helper.make_graph(nodes, "reference", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return run_model(model, {name: np.asarray(value) for name, value in feeds.items()})[0]


def node(op: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    """Make a node; `inputs` are names separated by blanks."""
    return helper.make_node(op, inputs.split(), [output], **attributes)


def random_integers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw integers over the full range of `dtype`, some of them zero and some at the limits."""
    limits = np.iinfo(dtype)
    values = rng.integers(limits.min, limits.max, shape, np.int64, endpoint=True)
    kind = rng.integers(0, 10, shape)
    return np.select([kind < 2, kind == 2, kind == 3], [0, limits.min, limits.max], values).astype(dtype)


def unsigned(values: np.ndarray) -> tuple[np.ndarray, int]:
    """The same numbers as ``uint8`` with a zero point.

    ONNX Runtime's kernels for a signed operand saturate sums of two products at 16 bits on CPUs without VNNI; with two
    unsigned operands they are exact everywhere.
    """
    return (values, 0) if values.dtype == U8 else ((values.astype(np.int16) + 128).astype(np.uint8), 128)


@dataclass(frozen=True)
class Window:
    """A drawn window operator: sizes that always give an output."""

    images: int
    groups: int
    group_channels: int
    group_filters: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[int, ...]
    seed: int

    @property
    def channels(self) -> int:
        return self.groups * self.group_channels

    @property
    def filters(self) -> int:
        return self.groups * self.group_filters

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes shared by ONNX Conv, ConvInteger and the pools."""
        return {"strides": self.stride, "pads": self.padding, "dilations": self.dilation}


@st.composite
def windows(draw: Any, rank: int = 2, pad_within_kernel: bool = False) -> Window:
    """Draw a window operator of `rank` spatial axes."""
    kernel = tuple(draw(st.integers(1, 5)) for _ in range(rank))
    stride = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    dilation = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    limit = [k - 1 if pad_within_kernel else 3 for k in kernel]
    begin = [draw(st.integers(0, n)) for n in limit]
    end = [draw(st.integers(0, n)) for n in limit]
    size = []
    for k, d, b, e in zip(kernel, dilation, begin, end, strict=True):
        smallest = max(1, d * (k - 1) + 1 - b - e)
        size.append(draw(st.integers(smallest, smallest + 8)))
    return Window(
        images=draw(st.integers(1, 2)),
        groups=draw(st.integers(1, 4)),
        group_channels=draw(st.integers(1, 5)),
        group_filters=draw(st.integers(1, 4)),
        size=tuple(size),
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padding=(*begin, *end),
        seed=draw(st.integers(0, 2**32 - 1)),
    )
