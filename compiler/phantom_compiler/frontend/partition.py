"""Host partitions: what the accelerator cannot do at the edges of a network, as ONNX models of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from phantom_compiler.frontend.builder import Tensor

__all__ = ["after_model", "before_model", "host_engine", "host_nodes", "run_host"]


def _submodel(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], constants: Mapping[str, NDArray[Any]],
    inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto],
) -> bytes:
    """A model of some nodes, with the constants that they and the outputs need."""
    made = {name for node in nodes for name in node.output} | {value.name for value in inputs}
    read = {name for node in nodes for name in node.input} | {value.name for value in outputs}
    held = [numpy_helper.from_array(np.asarray(constants[name]), name) for name in sorted(read - made)
            if name in constants]
    graph = helper.make_graph(list(nodes), "host", list(inputs), list(outputs), held)
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version).SerializeToString()


def before_model(
    model: onnx.ModelProto, constants: Mapping[str, NDArray[Any]], given: onnx.ValueInfoProto, wanted: Tensor,
) -> bytes:
    """From the file's input to the images that the first layers read."""
    made = {name: node for node in model.graph.node for name in node.output}
    needed, waiting = set(), [wanted.origin]
    while waiting:
        name = waiting.pop()
        node = made.get(name)
        if node is None or name in constants or name in needed:
            continue
        needed.add(name)
        waiting += node.input
    nodes = [node for node in model.graph.node if needed & set(node.output)]
    out = helper.make_tensor_value_info(wanted.origin, TensorProto.FLOAT, None)
    if len(wanted.dims) != 4:
        shape = np.array([0, *wanted.shape[1:]], np.int64)
        constants = {**constants, "phantom.images": shape}
        nodes.append(helper.make_node("Reshape", [wanted.origin, "phantom.images"], ["phantom.input"],
                                      name="phantom.to_images"))
        out = helper.make_tensor_value_info("phantom.input", TensorProto.FLOAT, None)
    return _submodel(model, nodes, constants, [given], [out])


def after_model(
    model: onnx.ModelProto, constants: Mapping[str, NDArray[Any]], tensors: Mapping[str, Tensor],
    nodes: Sequence[onnx.NodeProto],
) -> bytes:
    """From the outputs of layers, ``tensors`` by their names in the file, to those of the file."""
    layout, inputs = [], []
    constants = dict(constants)
    for number, (name, tensor) in enumerate(tensors.items()):
        axes = [axis for group in tensor.view[1:] for axis in group]
        perm = [0, *axes, *(axis for axis in (1, 2, 3) if axis not in axes)]
        source, turned, shape = f"phantom.output{number}", f"phantom.turned{number}", f"phantom.shape{number}"
        inputs.append(helper.make_tensor_value_info(source, TensorProto.FLOAT, ["images", *tensor.shape[1:]]))
        layout.append(helper.make_node("Transpose", [source], [turned], name=f"phantom.transpose{number}", perm=perm))
        constants[shape] = np.array([0, *tensor.dims[1:]], np.int64)
        layout.append(helper.make_node("Reshape", [turned, shape], [name], name=f"phantom.reshape{number}"))
    outputs = [helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type or TensorProto.FLOAT, None)
               for value in model.graph.output]
    return _submodel(model, [*layout, *nodes], constants, inputs, outputs)


def host_nodes(model: bytes | None) -> list[str]:
    """Names of the nodes of a host partition, with their operators, without those that only turn and reshape."""
    if model is None:
        return []
    return [f"{node.name or node.output[0]} ({node.op_type})" for node in onnx.load_from_string(model).graph.node
            if not node.name.startswith("phantom.")]


def host_engine() -> str:
    """What runs host partitions: ONNX Runtime, or without it the reference operators of ONNX."""
    try:
        import onnxruntime
    except ImportError:
        return f"the reference operators of ONNX {onnx.__version__}"
    return f"ONNX Runtime {onnxruntime.__version__}"


def run_host(model: bytes, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
    """Run a host partition, in ONNX Runtime if it is installed, else by the reference operators of ONNX."""
    names = [value.name for value in onnx.load_from_string(model).graph.input]
    feeds = dict(zip(names, inputs, strict=True))
    try:
        import onnxruntime
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        return [np.asarray(value) for value in ReferenceEvaluator(onnx.load_from_string(model)).run(None, feeds)]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return [np.asarray(value) for value in session.run(None, feeds)]
