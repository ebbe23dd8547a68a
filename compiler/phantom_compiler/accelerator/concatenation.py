"""Concatenation by addressing: which tensors lie in which others, and with which slots, so that nothing is copied."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from phantom_hw.config import PhantomConfig

from phantom_compiler.accelerator.commands import CommandStream
from phantom_compiler.accelerator.image import MemoryImage
from phantom_compiler.accelerator.plan import channels_of_set, slots_of
from phantom_compiler.accelerator.source import layer_activity, layer_input
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.accelerator.vector import emit_vector
from phantom_compiler.accelerator.vector_layers import Concat, MaxPool2d
from phantom_compiler.accelerator.vector_plan import VectorPlan, most_positions, natural_slots, plan_vector
from phantom_compiler.quantized import QuantizedLayer
from phantom_compiler.tiling import Array, Sharing, tilings

if TYPE_CHECKING:
    from phantom_compiler.accelerator.network import Node

__all__ = ["ConcatPlan", "Places", "emit_concat", "find_places", "plan_concat", "tensor_shapes"]

Shape = tuple[int, int, int, int]
Slots = tuple[int, int]


@dataclass(frozen=True, eq=False)
class ConcatPlan:
    """What is left to do for a concatenation.

    Parameters
    ----------
    output : TensorFormat
        Without its address.
    count : int
        Inputs.
    copies : list of (input, first channel, VectorPlan)
        Inputs that are not written into their places by the layers that compute them.
    """

    output: TensorFormat
    count: int
    copies: list[tuple[int, int, VectorPlan]]

    def __str__(self) -> str:
        return f"{len(self.copies)} of {self.count} inputs copied" if self.copies else "in place"


@dataclass
class Places:
    """Which tensors are parts of others; the network's input is tensor 0, the output of node n is tensor n + 1.

    Parameters
    ----------
    parts : dict of int to (int, int)
        The tensor in which one lies, and its first channel there.
    slots : dict of int to (width, height)
        Of all tensors of concatenations.
    copied : set of (int, int, int)
        What a concatenation has copied: to which tensor and first channel, which tensor.
    """

    parts: dict[int, tuple[int, int]] = field(default_factory=dict)
    slots: dict[int, Slots] = field(default_factory=dict)
    copied: set[tuple[int, int, int]] = field(default_factory=set)

    def root(self, tensor: int) -> tuple[int, int]:
        """The tensor that holds one and is no part itself, and the first channel therein."""
        first = 0
        while tensor in self.parts:
            tensor, more = self.parts[tensor]
            first += more
        return tensor, first

    def release(self, tensor: int) -> None:
        """Let a tensor lie for itself."""
        del self.parts[tensor], self.slots[tensor]


def tensor_shapes(nodes: Sequence[Node], shape: Shape) -> list[Shape]:
    """Shapes of the network's input and of all outputs.

    Raises
    ------
    LayerError
        If the inputs of a layer do not fit.
    """
    shapes = [shape]
    for node in nodes:
        inputs, operation = [shapes[1 + number] for number in node.inputs], node.operation
        if isinstance(operation, Concat):
            if len({(one[0], *one[2:]) for one in inputs}) != 1:
                raise operation.error(f"all inputs must have the same images, rows and columns, not {inputs}")
            shapes.append((inputs[0][0], sum(one[1] for one in inputs), *inputs[0][2:]))
        elif isinstance(operation, QuantizedLayer):
            problem = layer_input(operation.layer, inputs[0]).problem
            shapes.append((inputs[0][0], len(problem.stationary), *problem.out_size))
        else:
            shapes.append((*inputs[0][:2], *operation.size(inputs[0][2:])))
    return shapes


def find_places(nodes: Sequence[Node], shape: Shape, signed: bool, config: PhantomConfig) -> Places:
    """Decide which tensors lie in others.

    The largest concatenation goes first. One whose inputs follow each other in another one, as in a dense network, is
    a part of that.

    Parameters
    ----------
    nodes : sequence of Node
    shape : (images, channels, rows, columns)
        Of the network's input.
    signed : bool
        Whether that uses the signed range.
    config : PhantomConfig

    Raises
    ------
    LayerError
        If the inputs of a concatenation do not fit.
    """
    places = Places()
    concats = [1 + number for number, node in enumerate(nodes) if isinstance(node.operation, Concat)]
    if not concats:
        return places
    shapes, ranges = tensor_shapes(nodes, shape), [signed, *(node.signed for node in nodes)]
    for tensor in sorted(concats, key=lambda one: (-shapes[one][1], one)):
        inputs, first, offsets = [1 + number for number in nodes[tensor - 1].inputs], 0, []
        for one in inputs:
            if ranges[one] != ranges[tensor]:
                raise nodes[tensor - 1].operation.error("all inputs must be signed as the output is")  # type: ignore
            offsets.append(first)
            first += shapes[one][1]
        base = places.parts.get(inputs[0])
        if base is not None and tensor not in places.parts and all(
                places.parts.get(one) == (base[0], base[1] + offset)
                for one, offset in zip(inputs, offsets, strict=True)):
            places.parts[tensor] = base
            continue
        for one, offset in zip(inputs, offsets, strict=True):
            places.parts.setdefault(one, (tensor, offset))
    groups = defaultdict(list)
    for tensor in {*concats, *places.parts}:
        groups[places.root(tensor)[0]].append(tensor)
    for members in groups.values():
        slots = _common_slots(nodes, shapes, sorted(members), config)
        places.slots.update((tensor, slots) for tensor in members)
    return places


def _common_slots(nodes: Sequence[Node], shapes: Sequence[Shape], members: list[int], config: PhantomConfig) -> Slots:
    """The slots with which the convolutions among those that write a tensor take the least time, copies included."""
    size = shapes[members[0]][2:]
    fastest: list[dict[Slots, float]] = []
    penalty: list[float] = []
    for tensor in members:
        node = nodes[tensor - 1] if tensor else None
        if node is None or not isinstance(node.operation, QuantizedLayer):
            continue
        found: dict[Slots, float] = {}
        problem = layer_input(node.operation.layer, shapes[1 + node.inputs[0]]).problem
        activity = layer_activity(node.operation.layer, problem, node.density, node.seen)
        for tiling in tilings(problem, config, Array.accelerator(config), activity):
            slots = slots_of(tiling)
            if (tiling.sharing is not Sharing.FILTERS and channels_of_set(config, tiling) <= config.lane_channels
                    and slots[0] * slots[1] <= most_positions(config)):
                found[slots] = min(tiling.cycles, found.get(slots, tiling.cycles))
        copied = 2 * shapes[tensor][0] * shapes[tensor][1] * size[0] * size[1]  # loaded and streamed
        fastest.append(found)
        penalty.append(min(found.values(), default=0.0) + copied / (config.moving_link * config.mesh_rows))
    choices = {slots for found in fastest for slots in found} or {natural_slots(config, size)}
    return min(sorted(choices, reverse=True), key=lambda slots: sum(
        min(found.get(slots, most), most) for found, most in zip(fastest, penalty, strict=True)))


def plan_concat(
    node: Node, number: int, forms: Sequence[TensorFormat], places: Places, config: PhantomConfig, shape: Shape,
) -> ConcatPlan:
    """Plan what is left of a concatenation, all of whose inputs are planned.

    Parameters
    ----------
    node : Node
    number : int
        Of the node.
    forms : sequence of TensorFormat
        Of the inputs.
    places : Places
        Learns what is copied.
    config : PhantomConfig
    shape : (images, channels, rows, columns)
        Of the output.

    Raises
    ------
    LayerError
        If an input must be copied and cannot be.
    """
    assert isinstance(node.operation, Concat)
    slots, (root, start), first, copies = places.slots[number + 1], places.root(number + 1), 0, []
    for place, (source, form) in enumerate(zip(node.inputs, forms, strict=True)):
        target = root, start + first
        if places.root(source + 1) != target and (*target, source + 1) not in places.copied:
            copy = MaxPool2d(f"{node.name}.copy{place}")
            copies.append((place, first, plan_vector(copy, (form,), config, node.signed, slots)))
            places.copied.add((*target, source + 1))
        first += form.shape[1]
    return ConcatPlan(TensorFormat(config, shape, node.signed, *slots), len(forms), copies)


def emit_concat(
    plan: ConcatPlan, inputs: Sequence[TensorFormat], output: TensorFormat, image: MemoryImage, stream: CommandStream
) -> None:
    """Write the commands of a plan, behind all that was done before; all tensors have their addresses."""
    stream.fence()
    for place, first, copy in plan.copies:
        part = output.part(first, inputs[place].shape[1])
        emit_vector(replace(copy, inputs=(inputs[place],)), part, image, stream)
