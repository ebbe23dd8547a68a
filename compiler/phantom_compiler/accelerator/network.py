"""A network of layers as one job: every layer reads what those before it wrote, the host does nothing in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.accelerator.commands import CommandStream
from phantom_compiler.accelerator.concatenation import ConcatPlan, Places, emit_concat, find_places, plan_concat
from phantom_compiler.accelerator.emit import LayerEmitter
from phantom_compiler.accelerator.expected import expected_cycles
from phantom_compiler.accelerator.image import MemoryImage
from phantom_compiler.accelerator.job import Job
from phantom_compiler.accelerator.memory_map import Lifetime, MemoryMap, choose, joined, lifetimes, place
from phantom_compiler.accelerator.plan import LayerPlan, plan_layer
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.accelerator.vector import emit_vector
from phantom_compiler.accelerator.vector_layers import Concat, VectorLayer
from phantom_compiler.accelerator.vector_plan import VectorPlan, plan_vector
from phantom_compiler.balance import Balance
from phantom_compiler.fully_connected import FullyConnected
from phantom_compiler.layer import LayerError
from phantom_compiler.quantized import QuantizedLayer

__all__ = ["INPUT", "Node", "golden_values", "network_job"]

INPUT = -1
"""Number of the network's input among what a node reads."""
Plan: TypeAlias = LayerPlan | VectorPlan | ConcatPlan


@dataclass(frozen=True, eq=False)
class Node:
    """A layer of a network.

    Parameters
    ----------
    operation : QuantizedLayer or VectorLayer
        On images; a fully connected layer is given as the convolution that it is.
    inputs : tuple of int
        Numbers of the nodes whose outputs it reads, or ``INPUT``.
    signed : bool
        Whether its output uses the signed range.
    density : float, or float array of shape (channels,)
        Share of nonzero activations expected in its input.
    seen : bool array, shape (images, channels, rows, columns), optional
        Nonzeros of its input in a calibration. Only for compiling: a program does not keep it.
    """

    operation: QuantizedLayer | VectorLayer
    inputs: tuple[int, ...]
    signed: bool
    density: float | NDArray[np.float64] = 0.5
    seen: NDArray[np.bool_] | None = None

    @property
    def name(self) -> str:
        """Of the layer."""
        return self.operation.layer.name if isinstance(self.operation, QuantizedLayer) else self.operation.name

    def golden(self, *inputs: NDArray[Any]) -> NDArray[np.int64]:
        """The output by the golden model."""
        if isinstance(self.operation, QuantizedLayer):
            return self.operation.requantize(self.operation.layer.golden(inputs[0]))
        return self.operation.golden(*inputs)


def golden_values(nodes: Sequence[Node], activations: NDArray[Any]) -> list[NDArray[np.int64]]:
    """The outputs of all nodes by the golden model."""
    values: list[NDArray[Any]] = []
    for node in nodes:
        values.append(node.golden(*(activations if number == INPUT else values[number] for number in node.inputs)))
    return values


def network_job(
    nodes: Sequence[Node], shape: tuple[int, int, int, int], signed: bool, config: PhantomConfig, base: int = 0, *,
    reuse: bool = False, outputs: Sequence[int] = (), memory_bytes: int | None = None, balance: Balance = Balance.BOTH,
    progress: Callable[[str], None] = lambda layer: None,
) -> Job:
    """A job of a whole network.

    External memory has tensors first, then the constant data, the commands last. Tensors that the host neither writes
    nor reads may lie in the memory on the chip. Inputs of a concatenation are parts of its output where what writes
    them can write slots of the same size.

    Parameters
    ----------
    nodes : sequence of Node
        Each behind those that it reads.
    shape : (images, channels, rows, columns)
        Of the network's input.
    signed : bool
        Whether the input uses the signed range.
    config : PhantomConfig
    base : int
        First address of the job's external memory; what is in front of it is the memory on the chip in any case.
    reuse : bool
        Tensors that are not needed at the same time may share memory. Otherwise all of them are there at the end.
    outputs : sequence of int
        Nodes whose outputs must be there at the end in any case; those that no node reads always are.
    memory_bytes : int, optional
        Size of the memory, from address 0 on; by default all that can be addressed.
    balance : Balance
        Levels of load balancing that are on.
    progress : callable
        Told the name of each layer, first when it is planned, then when its commands are written.

    Raises
    ------
    LayerError
        If a layer cannot be computed exactly, does not fit the configuration, or needs more memory than there is.
    """
    _check_inputs(nodes)
    places = find_places(nodes, shape, signed, config)
    forms = [_first(places, shape, signed, config)]
    plans: list[Plan] = []
    for number, node in enumerate(nodes):
        progress(node.name)
        plans.append(_plan(node, number, [forms[1 + source] for source in node.inputs], places, config,
                           balance))
        forms.append(plans[-1].output)
    readers = [[i for i, node in enumerate(nodes) if number in node.inputs] for number in range(INPUT, len(nodes))]
    for number in outputs:
        readers[1 + number].append(len(nodes))
    roots = [places.root(tensor) for tensor in range(len(forms))]
    lives = joined(lifetimes([form.bytes for form in forms], readers, len(nodes)), [root for root, _ in roots])
    base = max(base, config.on_chip_bytes)
    image, stream = MemoryImage(base), CommandStream(config)
    addresses = _on_chip(lives, forms, [root for root, _ in roots], readers, config, reuse)
    forms = [replace(form, compact=root in addresses) for form, (root, _) in zip(forms, roots, strict=True)]
    external = {root: life for root, life in lives.items() if root not in addresses}
    memory = place(list(external.values()), reuse)
    start = image.reserve(memory.size)
    addresses |= {root: start + offset for root, offset in zip(external, memory.offsets, strict=True)}
    forms = [form.at(addresses[root] + channel * form.channel_pitch)
             for form, (root, channel) in zip(forms, roots, strict=True)]
    emitters = {number: LayerEmitter(replace(plan, input=forms[1 + nodes[number].inputs[0]]), forms[1 + number], image,
                                     stream) for number, plan in enumerate(plans) if isinstance(plan, LayerPlan)}
    starts, ends, ahead = [], [], [(0, 0)] * len(nodes)
    for number, (node, plan) in enumerate(zip(nodes, plans, strict=True)):
        progress(node.name)
        starts.append(len(stream.instructions))
        inputs, held = tuple(forms[1 + source] for source in node.inputs), None
        if isinstance(plan, LayerPlan):
            held = emitters[number].run()
        elif isinstance(plan, ConcatPlan):
            emit_concat(plan, inputs, forms[1 + number], image, stream)
        else:
            emit_vector(replace(plan, inputs=inputs), forms[1 + number], image, stream)
        ends.append(image.size)
        following = next((other for other in emitters if other > number), None)
        if held is not None and following is not None:
            first = len(stream.instructions)
            emitters[following].load_ahead(held, program=following == number + 1)
            ahead[following] = first, len(stream.instructions)
    stream.fence()
    address = image.add(stream.to_bytes())
    most = min(memory_bytes or 1 << config.address_width, 1 << config.address_width)
    _check_size(nodes, memory, ends, base, base + image.size, most)
    return Job(config, image, address, len(stream.instructions) + 1, forms[0], forms[1:],
               ["vector unit" if isinstance(plan, VectorPlan) else str(plan) for plan in plans], starts, memory.size,
               ahead, [expected_cycles(plan) for plan in plans])


def _on_chip(lives: Mapping[int, Lifetime], forms: Sequence[TensorFormat], roots: Sequence[int],
             readers: Sequence[Sequence[int]], config: PhantomConfig, reuse: bool) -> dict[int, int]:
    """Addresses of the tensors that lie in the memory on the chip: neither the input nor an output is among them."""
    end = len(forms) - 1  # as a reader
    of_host = {roots[0], *(root for root, those in zip(roots, readers, strict=True) if not those or end in those)}
    inner = {root: replace(life, size=replace(forms[root], compact=True).bytes) for root, life in lives.items()
             if root not in of_host}
    # each part is written once, and read by each of its readers once at least
    worth = {root: sum(forms[number].bytes * (1 + len(readers[number])) for number, one in enumerate(roots)
                       if one == root) for root in inner}
    chosen = choose(inner, worth, config.on_chip_bytes, reuse)
    return dict(zip(chosen, place([inner[root] for root in chosen], reuse).offsets, strict=True))


def _check_inputs(nodes: Sequence[Node]) -> None:
    for i, node in enumerate(nodes):
        wrong = [number for number in node.inputs if not INPUT <= number < i]
        if wrong:
            raise LayerError(f"layer {node.name!r}: inputs must be layers before it, {INPUT}..{i - 1}, not {wrong[0]}")


def _first(places: Places, shape: tuple[int, int, int, int], signed: bool, config: PhantomConfig) -> TensorFormat:
    """The format of the network's input."""
    natural = TensorFormat.natural(config, shape, signed)
    width, height = places.slots.get(0, (natural.width, natural.height))
    return replace(natural, width=width, height=height)


def _plan(
    node: Node, number: int, inputs: list[TensorFormat], places: Places, config: PhantomConfig, balance: Balance
) -> Plan:
    if isinstance(node.operation, Concat):
        channels = sum(form.shape[1] for form in inputs)
        return plan_concat(node, number, inputs, places, config, (inputs[0].shape[0], channels, *inputs[0].shape[2:]))
    slots = places.slots.get(number + 1)
    if slots is not None:
        try:
            return _plan_layer(node, inputs, config, slots, balance)
        except LayerError:
            places.release(number + 1)  # it is copied
    return _plan_layer(node, inputs, config, None, balance)


def _plan_layer(
    node: Node, inputs: list[TensorFormat], config: PhantomConfig, slots: tuple[int, int] | None, balance: Balance
) -> LayerPlan | VectorPlan:
    operation = node.operation
    if isinstance(operation, QuantizedLayer):
        if isinstance(operation.layer, FullyConnected):
            raise operation.layer.error("must be given as a convolution")
        return plan_layer(operation, inputs[0], inputs[0].shape, config, node.density, node.signed, slots,
                          balance, node.seen)
    return plan_vector(operation, tuple(inputs), config, node.signed, slots)


def _check_size(nodes: Sequence[Node], memory: MemoryMap, ends: list[int], base: int, end: int, most: int) -> None:
    """Name the layer at which memory is full."""
    if end <= most:
        return
    full = next((i for i, size in enumerate(ends) if base + size > most), len(nodes) - 1)
    if base + memory.size > most:
        full = min(memory.crowded, len(nodes) - 1)
    raise LayerError(f"layer {nodes[full].name!r}: here the memory of {most:,} bytes is full; the network needs "
                     f"{end - most:,} bytes more")
