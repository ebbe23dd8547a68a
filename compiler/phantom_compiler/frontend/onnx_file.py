"""ONNX files: opened and made ready to be read node by node, their constants computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

__all__ = ["OnnxError", "attributes", "compute", "load", "refuse"]


class OnnxError(ValueError):
    """A file that cannot be read as a network: one line that names the node and what is not supported."""


def refuse(node: onnx.NodeProto, text: str) -> OnnxError:
    """An error that names a node."""
    return OnnxError(f"node {node.name or node.output[0]!r} ({node.op_type}): {text}")


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of a node as Python values."""
    values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return {name: numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else v for name, v in values.items()}


def load(path: str | Path) -> onnx.ModelProto:
    """Open a file.

    Raises
    ------
    OnnxError
        If it cannot be opened or is no ONNX file.
    """
    try:
        model = onnx.load(str(path))
    except OSError as error:
        raise OnnxError(f"cannot read {str(path)!r}: {error.strerror}") from None
    except Exception as error:  # protobuf's own class differs from version to version
        if type(error).__name__ != "DecodeError":
            raise
        raise OnnxError(f"{str(path)!r} is not an ONNX file") from None
    if not model.graph.node:
        raise OnnxError(f"{str(path)!r} is not an ONNX file")
    return model


def compute(model: onnx.ModelProto, node: onnx.NodeProto, inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """The outputs of a node all of whose inputs are known.

    Raises
    ------
    OnnxError
        If the operator is not known or its inputs do not fit.
    """
    from onnx.reference import ReferenceEvaluator

    graph = onnx.helper.make_graph(
        [node], "constants",
        [onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), None)
         for name, value in inputs.items()],
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UNDEFINED, None) for name in node.output if name])
    small = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    try:
        return [np.asarray(value) for value in ReferenceEvaluator(small).run(None, inputs)]
    except Exception as error:  # whatever an operator raises: the reference has no class of its own for it
        raise refuse(node, f"cannot be computed: {' '.join(str(error).split())}") from None
