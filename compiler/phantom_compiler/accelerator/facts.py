"""What can be said of each layer of a job before it runs: sizes, work and traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from phantom_hw.moving.layouts import entry_bytes
from phantom_hw.results.layouts import PARAMETER_BYTES
from phantom_hw.soc.commands import CommandSet, Instruction

from phantom_compiler.accelerator.job import Job
from phantom_compiler.accelerator.network import INPUT, Node
from phantom_compiler.accelerator.source import layer_input
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.accelerator.vector_layers import Concat
from phantom_compiler.convolution import Conv2d
from phantom_compiler.quantized import QuantizedLayer

__all__ = ["COMMAND_BYTES", "LayerFacts", "layer_facts"]

COMMAND_BYTES = 64
STATIONARY_WORD = 16
UNKNOWN_DENSITY = 0.5
"""Of an output that no layer with a density of its own reads."""


@dataclass(frozen=True)
class LayerFacts:
    """A layer of a job.

    Attributes
    ----------
    name, kind : str
    inputs : tuple of int
        The layers whose outputs it reads, or ``INPUT``.
    shape : (images, channels, rows, columns)
        Of its output.
    tiling : str
    first_command, commands : int
        Where its commands begin, and how many there are, those that load the first data of the next layer included.
    weights, nonzero_weights : int
    dense_macs : int
        Products of a convolution without any skipping; 0 for other layers.
    expected_macs : float
        Effectual MACs by the weights and the densities that the compiler was told.
    expected_cycles : float
        By the estimates that tilings are chosen by; memory gives a bus word a cycle, and its latency is hidden.
    compulsory_bytes : float
        What each operand and result once would take in the sparse-mask format, by the expected densities.
    constant_bytes : int
        Constant data that are loaded for the layer, also by commands of the one before.
    read_bytes, written_bytes : float
        Traffic with external memory that the layer's commands ask for, with activations of the expected densities.
    """

    name: str
    kind: str
    inputs: tuple[int, ...]
    shape: tuple[int, int, int, int]
    tiling: str
    first_command: int
    commands: int
    weights: int
    nonzero_weights: int
    dense_macs: int
    expected_macs: float
    expected_cycles: float
    compulsory_bytes: float
    constant_bytes: int
    read_bytes: float
    written_bytes: float


def layer_facts(nodes: Sequence[Node], job: Job) -> list[LayerFacts]:
    """The facts of all layers of a network's job."""
    commands = CommandSet(job.config, address_width=job.config.address_width)
    text = job.stream()
    ends = [*job.starts[1:], job.count - 2]  # the last ones wait and end the job
    ahead = [range(*part) for part in job.ahead] or [range(0)] * len(nodes)
    for_others = set(chain(*ahead))
    facts = []
    for number, (node, start, end) in enumerate(zip(nodes, job.starts, ends, strict=True)):
        forms = [job.input if source == INPUT else job.outputs[source] for source in node.inputs]
        made = [job.outputs[number]]
        if isinstance(node.operation, Concat):
            forms = made = _copied(forms, made[0])
        density = _mean(node)
        results = sum(_packed_bytes(form, _output_density(nodes, number)) for form in made)
        written = 0.0 if made and made[0].on_chip else results
        values = _Weights.of(node, forms)
        constant, moving = 0, 0.0
        for at in (*ahead[number], *(at for at in range(start, end) if at not in for_others)):
            one = commands.decode(text[at * COMMAND_BYTES:(at + 1) * COMMAND_BYTES])
            constant += _constant_bytes(one, job)
            moving += _moving_bytes(one, job, density)
        compulsory = sum(_packed_bytes(form, density) for form in forms) + values.bytes(job) + results
        facts.append(LayerFacts(
            node.name, type(node.operation.layer if isinstance(node.operation, QuantizedLayer) else node.operation)
            .__name__, tuple(node.inputs), job.outputs[number].shape, job.tilings[number], start, end - start,
            values.count, values.nonzero, values.dense, values.expected, job.cycles[number], compulsory, constant,
            constant + moving, written))
    return facts


@dataclass(frozen=True)
class _Weights:
    """What a layer's weights say."""

    count: int = 0
    nonzero: int = 0
    dense: int = 0
    expected: float = 0.0

    @classmethod
    def of(cls, node: Node, forms: Sequence[TensorFormat]) -> _Weights:
        if not isinstance(node.operation, QuantizedLayer):
            return cls()
        layer = node.operation.layer
        weights, density = layer.weights, np.asarray(node.density)
        dense = layer_input(layer, forms[0].shape).problem.dense_macs
        there = weights != 0
        if density.ndim and isinstance(layer, Conv2d):
            per_group = density.reshape(layer.groups, -1)
            of_filter = np.repeat(per_group, len(weights) // layer.groups, axis=0)
            share = float((there.mean(axis=(2, 3)) * of_filter).mean())
        else:
            share = float(there.mean()) * float(density.mean())
        return cls(weights.size, int(np.count_nonzero(there)), dense, dense * share)

    def bytes(self, job: Job) -> float:
        """In the sparse-mask format."""
        return self.count / 8 + self.nonzero * job.config.weight_width / 8


def _copied(inputs: Sequence[TensorFormat], output: TensorFormat) -> list[TensorFormat]:
    """The inputs of a concatenation that do not lie in their places."""
    found, first = [], 0
    for form in inputs:
        if form != output.part(first, form.shape[1]):
            found.append(form)
        first += form.shape[1]
    return found


def _mean(node: Node) -> float:
    return float(np.asarray(node.density).mean())


def _output_density(nodes: Sequence[Node], number: int) -> float:
    return next((_mean(node) for node in nodes if number in node.inputs
                 and isinstance(node.operation, QuantizedLayer)), UNKNOWN_DENSITY)


def _packed_bytes(form: TensorFormat, density: float) -> float:
    """A tensor as masks and nonzero values."""
    size = int(np.prod(form.shape))
    return size / 8 + size * density * form.config.act_width / 8


def _constant_bytes(one: Instruction, job: Job) -> int:
    unit = {"LOAD_PROGRAM": entry_bytes(job.config), "LOAD_STATIONARY": STATIONARY_WORD,
            "PARAMETERS": PARAMETER_BYTES}.get(one.name, 0)
    return unit * _number(one, "count") if unit else 0


def _moving_bytes(one: Instruction, job: Job, density: float) -> float:
    """Bytes of the slots of a load from external memory; of each slot only the mask and the nonzero values are read."""
    if one.name != "LOAD_MOVING" or _number(one, "address") < job.config.on_chip_bytes:
        return 0.0
    slots, lines = _number(one, "slots"), _number(one, "channels") * _number(one, "lines")
    positions = (slots - 1) * _number(one, "positions") + _number(one, "last_positions")
    mask = -(-job.config.chunk // 8)
    return lines * (slots * mask + positions * density * job.config.act_width / 8)


def _number(one: Instruction, name: str) -> int:
    value = one.values[name]
    assert isinstance(value, int)
    return value
