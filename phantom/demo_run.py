"""One layer of the demo: choose a slice, lower it, run it on the cycle model and on the RTL, compare every element."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_compiler import Conv2d, CoreProgram, Selection, find_tiling, lower
from phantom_compiler.layer import Layer
from phantom_compiler.quantization import LayerValues
from phantom_hw.config import PhantomConfig
from phantom_sim.core_simulator import CoreRun, CoreSimulator
from phantom_sim.cycle_model import core_cycles, prepare
from phantom_sim.results import ResultError, decode_results, drained_values

__all__ = ["BINS", "LayerResult", "PreparedLayer", "choose_slice", "prepare_layer", "run_layer"]

IntArray = NDArray[np.int64]
BINS = 200  # of the occupancy over time


@dataclass(frozen=True, eq=False)
class PreparedLayer:
    """A slice of a layer, ready to run.

    Attributes
    ----------
    number : int
        Place in the network, from 1.
    values : LayerValues
    select : Selection
    program : CoreProgram
    words : tuple of uint32 arrays
        Layer configuration, moving and stationary beats.
    model_cycles : int
        What the cycle model says.
    model_occupancy : uint8[cycles, pes]
    """

    number: int
    values: LayerValues
    select: Selection
    program: CoreProgram
    words: tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]
    model_cycles: int
    model_occupancy: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class LayerResult:
    """The figures of a layer.

    Attributes
    ----------
    layer, kind, shape, slice : str
        `kind` is ``"convolution"`` or ``"fully connected"``.
    weight_density, activation_density : float
        Nonzeros among the weights and among the activations that the slice uses.
    effectual_macs, dense_macs, cycles, model_cycles : int
    thread_utilization : float
        Effectual MACs / (threads x cycles).
    dense_speedup : float
        Dense MACs / (threads x cycles): against the same threads, all of them always busy, without skipping.
    bit_exact, model_exact : bool
        Every element equals the golden model's; every cycle's occupancy equals the cycle model's.
    difference : str
        The first element or cycle that differs.
    seconds, kilohertz : float
        Of the simulation of the RTL.
    bin_cycles : int
        Cycles of one bin of `occupancy`.
    occupancy : float array
        Mean share of busy threads in each bin.
    """

    number: int
    layer: str
    kind: str
    shape: str
    slice: str
    weight_density: float
    activation_density: float
    effectual_macs: int
    dense_macs: int
    cycles: int
    model_cycles: int
    thread_utilization: float
    dense_speedup: float
    bit_exact: bool
    model_exact: bool
    difference: str
    seconds: float
    kilohertz: float
    bin_cycles: int
    occupancy: NDArray[np.float64] = field(repr=False)


# --- slices -----------------------------------------------------------------------------------------

def _middle(count: int, size: int) -> tuple[int, int] | None:
    """`count` of `size` in the middle; None for all."""
    start = (size - count) // 2
    return None if count >= size else (start, start + count)


def choose_slice(layer: Layer, activations: NDArray[Any], config: PhantomConfig, cycles: float) -> Selection:
    """Choose as much of a layer as takes about that many cycles.

    Output rows from the middle of the image, with all filters; only where a single stretch of rows takes too long, a
    block of filters as well.
    """
    problem = layer.problem(activations)
    flat = problem.flattened()
    tiling = find_tiling(flat, config)
    share = cycles / tiling.cycles
    if share >= 1:
        return Selection()
    filters = len(layer.filters())
    if not isinstance(layer, Conv2d):
        return Selection(channels=_middle(max(1, int(filters * share)), filters))
    height = problem.out_size[0]
    stretch = tiling.geometry.height if flat is problem else 1
    rows = max(stretch, int(height * share) // stretch * stretch)
    part = share * height / rows
    if part > 0.75 or layer.groups > 1:  # whole stretches overshoot a little
        return Selection(rows=_middle(rows, height))
    lanes = min(filters, config.pe_cols)
    block = max(lanes, int(filters * part) // lanes * lanes)
    return Selection(rows=_middle(rows, height), channels=_middle(block, filters))


def _slice_text(select: Selection, shape: tuple[int, ...]) -> str:
    """A slice in words; first and last are both included."""
    parts = []
    if select.rows is not None:
        first, last = select.rows[0], select.rows[1] - 1
        parts.append(f"row {first} of {shape[2]}" if first == last else f"rows {first}-{last} of {shape[2]}")
    if select.channels is not None:
        kind = "filters" if len(shape) == 4 else "neurons"
        parts.append(f"{kind} {select.channels[0]}-{select.channels[1] - 1} of {shape[1]}")
    return ", ".join(parts) or "whole"


def _shape_text(layer: Layer, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> str:
    if isinstance(layer, Conv2d):
        kernel = "×".join(map(str, layer.weights.shape[2:]))
        return f"{'×'.join(map(str, inputs[1:]))} -> {outputs[1]}" + (f", {kernel}" if kernel != "3×3" else "")
    return f"{inputs[1]} -> {outputs[1]}"


def _densities(prepared: PreparedLayer) -> tuple[float, float]:
    """Shares of nonzeros among the weights and the activations that a slice uses."""
    layer, select = prepared.values.quantized.layer, prepared.select
    weights, x = layer.weights[slice(*(select.channels or (None,)))], prepared.values.activations
    if isinstance(layer, Conv2d) and select.rows is not None:
        first = select.rows[0] * layer.stride[0] - layer.padding[0]
        extent = (layer.weights.shape[2] - 1) * layer.dilation[0] + 1
        last = (select.rows[1] - 1) * layer.stride[0] - layer.padding[0] + extent
        x = x[:, :, max(0, first):last]
    return float(np.mean(weights != 0)), float(np.mean(x != 0))


# --- running ----------------------------------------------------------------------------------------

def _drained(program: CoreProgram, output: IntArray) -> NDArray[np.bool_]:
    """Which values are not zero, in the order in which a core drains them."""
    flat = np.append(output.ravel(), 0)
    return (drained_values(program.config, flat[program.out_index], program.span) != 0).ravel()


def _expected(values: LayerValues, select: Selection) -> IntArray:
    return values.quantized.layer.selected(values.accumulators, select)


def prepare_layer(number: int, values: LayerValues, config: PhantomConfig, cycles: float) -> PreparedLayer:
    """Lower about `cycles` of a layer and predict its cycles."""
    layer = values.quantized.layer
    select = choose_slice(layer, values.activations, config, cycles)
    program = lower(layer, values.activations, config, select=select)
    words = program.layer_words(), program.moving_words(), program.stationary_words()
    model = core_cycles(config, prepare(config, *words), program.tiles, _drained(program, _expected(values, select)))
    return PreparedLayer(number, values, select, program, words, model.cycles, model.occupancy[:model.cycles])


def _first_difference(prepared: PreparedLayer, run: CoreRun) -> str:
    """The first element that is not the golden model's, in the coordinates of the whole layer."""
    program, expected = prepared.program, _expected(prepared.values, prepared.select)
    try:
        got = program.assemble(decode_results(program.config, run.results, program.outputs, program.span))
    except (ResultError, ValueError) as error:
        return str(error)
    wrong = np.argwhere(got != expected)
    if not len(wrong):
        return ""
    place = tuple(int(axis) for axis in wrong[0])
    channel = place[1] + (prepared.select.channels or (0,))[0]
    first_row = (prepared.select.rows or (0,))[0]
    element = (place[0], channel, *((place[2] + first_row, place[3]) if len(place) == 4 else ()))
    return (f"element {list(element)} is {int(got[place])}, the golden model says {int(expected[place])} "
            f"({len(wrong)} of {expected.size} differ)")


def _model_difference(prepared: PreparedLayer, run: CoreRun) -> str:
    if run.cycles != prepared.model_cycles:
        return f"the RTL took {run.cycles} cycles, the cycle model says {prepared.model_cycles}"
    assert run.activity is not None
    wrong = np.flatnonzero((run.activity != prepared.model_occupancy).any(axis=1))
    if len(wrong):
        return f"the busy threads in cycle {int(wrong[0])} are not the cycle model's"
    products = int(run.activity.sum(dtype=np.int64))
    effectual = prepared.program.effectual_macs
    return "" if products == effectual else f"the RTL computed {products} products, {effectual} are effectual"


def run_layer(
    simulator: CoreSimulator, prepared: PreparedLayer, progress: Callable[[int, int], None] | None = None
) -> LayerResult:
    """Run a prepared layer on the RTL and compare.

    Parameters
    ----------
    simulator : CoreSimulator
    prepared : PreparedLayer
    progress : callable, optional
        See `CoreSimulator.run`.
    """
    program, config, values = prepared.program, prepared.program.config, prepared.values
    start = time.perf_counter()
    run = simulator.run(*prepared.words, program.tiles, activity="trace", progress=progress)
    seconds = time.perf_counter() - start
    assert run.activity is not None
    wrong, off = _first_difference(prepared, run), _model_difference(prepared, run)
    weight_density, activation_density = _densities(prepared)
    capacity = config.core_threads * run.cycles
    bin_cycles = max(1, -(-run.cycles // BINS))
    busy = run.activity.sum(axis=1, dtype=np.int64)
    starts = np.arange(0, run.cycles, bin_cycles)
    lengths = np.minimum(bin_cycles, run.cycles - starts)
    layer = values.quantized.layer
    return LayerResult(
        number=prepared.number, layer=layer.name,
        kind="convolution" if isinstance(layer, Conv2d) else "fully connected",
        shape=_shape_text(layer, values.activations.shape, values.accumulators.shape),
        slice=_slice_text(prepared.select, values.accumulators.shape),
        weight_density=weight_density, activation_density=activation_density,
        effectual_macs=program.effectual_macs, dense_macs=program.dense_macs, cycles=run.cycles,
        model_cycles=prepared.model_cycles, thread_utilization=program.effectual_macs / capacity,
        dense_speedup=program.dense_macs / capacity, bit_exact=not wrong, model_exact=not off,
        difference=wrong or off, seconds=seconds, kilohertz=run.cycles / seconds / 1000, bin_cycles=bin_cycles,
        occupancy=np.add.reduceat(busy, starts) / (lengths * config.core_threads))
