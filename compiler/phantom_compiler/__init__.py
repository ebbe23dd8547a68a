"""From quantized layers to what the accelerator's links carry."""

from phantom_compiler.balance import Balance
from phantom_compiler.convolution import Conv1d, Conv2d
from phantom_compiler.fully_connected import FullyConnected
from phantom_compiler.layer import Layer, LayerError
from phantom_compiler.lowering import lower
from phantom_compiler.packing import pack, payload_words, unpack
from phantom_compiler.problem import Selection
from phantom_compiler.program import CoreProgram
from phantom_compiler.search import find_tiling
from phantom_compiler.tiling import Sharing, Tiling
from phantom_compiler.transposed import TransposedConv2d

__all__ = [
    "Balance",
    "Conv1d",
    "Conv2d",
    "CoreProgram",
    "FullyConnected",
    "Layer",
    "LayerError",
    "Selection",
    "Sharing",
    "Tiling",
    "TransposedConv2d",
    "find_tiling",
    "lower",
    "pack",
    "payload_words",
    "unpack",
]
