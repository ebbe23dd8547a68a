"""From ONNX files to graphs of float layers."""

from phantom_compiler.frontend.graph import (
    Addition,
    AveragePool,
    Concatenation,
    Convolution,
    FloatNetwork,
    FloatNode,
    MaxPool,
    TransposedConvolution,
    Upsampling,
)
from phantom_compiler.frontend.onnx_file import OnnxError
from phantom_compiler.frontend.reader import read_model, read_onnx

__all__ = [
    "Addition",
    "AveragePool",
    "Concatenation",
    "Convolution",
    "FloatNetwork",
    "FloatNode",
    "MaxPool",
    "OnnxError",
    "TransposedConvolution",
    "Upsampling",
    "read_model",
    "read_onnx",
]
