"""Layers as plain values for JSON, with their arrays beside them, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phantom_compiler.accelerator.network import Node
from phantom_compiler.accelerator.vector_layers import (
    Add,
    AveragePool2d,
    Concat,
    MaxPool2d,
    Upsample2d,
    VectorLayer,
    Window,
)
from phantom_compiler.convolution import Conv1d, Conv2d
from phantom_compiler.layer import Layer
from phantom_compiler.quantized import QuantizedLayer
from phantom_compiler.transposed import TransposedConv2d

__all__ = ["node_from_record", "node_record"]

Arrays = dict[str, NDArray[Any]]
KINDS: dict[str, type[Layer | VectorLayer]] = {
    kind.__name__: kind for kind in (Conv1d, Conv2d, TransposedConv2d, Add, AveragePool2d, Concat, MaxPool2d,
                                     Upsample2d)}


def _small(array: NDArray[Any]) -> NDArray[Any]:
    """The same integers in as few bytes as they need."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for kind in (np.int8, np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return array.astype(kind)
    return array.astype(np.int64)


def node_record(node: Node) -> tuple[dict[str, Any], Arrays]:
    """A layer as plain values, and its arrays."""
    operation, arrays = node.operation, {}
    record: dict[str, Any] = {"inputs": list(node.inputs), "signed": node.signed}
    if isinstance(node.density, np.ndarray):
        arrays["density"] = node.density.astype(np.float64)
    else:
        record["density"] = float(node.density)
    described: Layer | VectorLayer
    if isinstance(operation, QuantizedLayer):
        described = operation.layer
        arrays |= {"weights": _small(described.weights), **{
            name: _small(np.asarray(getattr(operation, name))) for name in ("bias", "mult", "shift")}}
        record |= {"lo": int(operation.lo), "hi": int(operation.hi)}
    else:
        described = operation
    kind = type(described).__name__
    if KINDS.get(kind) is not type(described):
        raise described.error(f"a layer of kind {kind} cannot be written to a program")
    record |= {"kind": kind, "options": {
        one.name: _plain(getattr(described, one.name)) for one in fields(described)
        if one.init and one.name != "weights"}}
    return record, arrays


def node_from_record(record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Node:
    """The inverse of :func:`node_record`; what is missing or wrong gives a KeyError, TypeError or ValueError."""
    kind, options = KINDS[record["kind"]], {name: _tuples(value) for name, value in record["options"].items()}
    operation: QuantizedLayer | VectorLayer
    if issubclass(kind, Layer):
        bias, mult, shift = (arrays[name].astype(np.int64) for name in ("bias", "mult", "shift"))
        operation = QuantizedLayer(kind(arrays["weights"], **options), bias, mult, shift, record["lo"], record["hi"])
    else:
        if isinstance(options["window"], dict):
            options["window"] = Window(**{name: _tuples(value) for name, value in options["window"].items()})
        operation = kind(**options)
    density = arrays["density"] if "density" in arrays else record["density"]
    return Node(operation, tuple(record["inputs"]), record["signed"], density)


def _plain(value: Any) -> Any:
    if isinstance(value, Window):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
