"""From ONNX files to graphs of float layers."""

from phantom_compiler.frontend.graph import Addition, AveragePool, Convolution, FloatNetwork, FloatNode, MaxPool
from phantom_compiler.frontend.onnx_file import OnnxError
from phantom_compiler.frontend.reader import read_model, read_onnx

__all__ = [
    "Addition",
    "AveragePool",
    "Convolution",
    "FloatNetwork",
    "FloatNode",
    "MaxPool",
    "OnnxError",
    "read_model",
    "read_onnx",
]
