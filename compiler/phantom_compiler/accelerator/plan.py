"""The decisions about a layer: which tiling, which bands of the input, which sets of filters."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from phantom_hw.config import PhantomConfig

from phantom_compiler.accelerator.bands import Bands, cut_into_bands
from phantom_compiler.accelerator.pieces import waiting
from phantom_compiler.accelerator.sets import Density, FilterSet, Limits, make_sets
from phantom_compiler.accelerator.source import LayerInput, layer_activity, layer_input
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.balance import Balance
from phantom_compiler.quantized import QuantizedLayer
from phantom_compiler.search import ranked
from phantom_compiler.tiling import Array, Sharing, Tiling, tilings

__all__ = ["LayerPlan", "channels_of_set", "plan_layer", "slots_of"]


TIE = 0.03
"""Estimates that differ by less are taken for equal: the output that takes least of the memory on the chip wins."""
PLANS = 8
"""Tilings whose sets are made, the best ones of the search, until none can be as good as what was found."""


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """A layer with all decisions taken.

    Attributes
    ----------
    config : PhantomConfig
    quantized : QuantizedLayer
    source : LayerInput
    input, output : TensorFormat
        The output without its address.
    tiling : Tiling
    bands : Bands
    sets : list of FilterSet
    """

    config: PhantomConfig
    quantized: QuantizedLayer
    source: LayerInput
    input: TensorFormat
    output: TensorFormat
    tiling: Tiling
    bands: Bands
    sets: list[FilterSet]

    @property
    def streams(self) -> int:
        """Blocks that a mesh row works on at the same time."""
        return streams_of(self.config, self.tiling)

    def __str__(self) -> str:
        geometry = self.tiling.geometry
        return (f"{self.tiling.sharing.value}, {geometry.height} x {geometry.width}, {self.tiling.depth} filters, "
                f"{len(self.sets)} sets, {len(self.bands.bands)} bands")


def streams_of(config: PhantomConfig, tiling: Tiling) -> int:
    """Blocks that a mesh row works on at the same time."""
    return config.mesh_cols if tiling.sharing is Sharing.CORES else 1


def channels_of_set(config: PhantomConfig, tiling: Tiling) -> int:
    """Places that the channels of a set take in a lane, the same for all lanes."""
    lanes = [config.lane_of(c) for c in range(config.mesh_cols)]
    return tiling.depth * max(lanes.count(lane) for lane in lanes) * config.pe_cols


def slots_of(tiling: Tiling) -> tuple[int, int]:
    """Width and height of the output's slots."""
    return tiling.geometry.width, tiling.geometry.height


def _readable(source: LayerInput, form: TensorFormat, tiling: Tiling) -> bool:
    """The moving buffer can hold the input so that rows of this geometry can be read."""
    geometry, stride = tiling.geometry, source.stride
    if tiling.sharing is Sharing.FILTERS:
        return False
    if len(geometry.planes) > 1 and geometry.segments > 1 and geometry.segment_shift % stride[1]:
        return False
    if geometry.height > 1:
        columns = -(-source.columns // stride[1])
        if columns > geometry.pitch or (stride[0] > 1 and form.height > 1):
            return False
    return True


def _room(plan: LayerPlan) -> int:
    """Bytes that the output takes in the memory on the chip; all that do not fit are alike."""
    return min(replace(plan.output, compact=True).bytes, plan.config.on_chip_bytes + 1)


def plan_layer(
    quantized: QuantizedLayer, form: TensorFormat, shape: tuple[int, ...], config: PhantomConfig, density: Density,
    out_signed: bool, slots: tuple[int, int] | None = None, balance: Balance = Balance.BOTH,
    seen: NDArray[np.bool_] | None = None,
) -> LayerPlan:
    """Take the tiling that is expected to be the fastest, with what is waited for, of those that fit the memories.

    Parameters
    ----------
    quantized : QuantizedLayer
    form : TensorFormat
        Of the input.
    shape : tuple of int
        Of the activations, as the reference operator takes them.
    config : PhantomConfig
    density : float, or float array of shape (channels,)
        Share of nonzero activations expected, of all or of each channel.
    out_signed : bool
        Whether the results use the signed range.
    slots : (width, height), optional
        That the output's slots must have.
    balance : Balance
        Levels of load balancing that are on; tilings are compared as if all were.
    seen : bool array, optional
        Nonzeros of the activations in a calibration; by default they are drawn by their density.

    Raises
    ------
    LayerError
        If the layer cannot be computed exactly, or nothing fits; names the memories that are too small.
    """
    layer = quantized.layer
    layer.validate(config)
    source = layer_input(layer, shape)
    if form.shape != source.shape:
        raise layer.error(f"the input must have shape {source.shape}, not {form.shape}")
    activity, array = layer_activity(layer, source.problem, density, seen), Array.accelerator(config)
    found = [tiling for tiling in tilings(source.problem, config, array, activity)
             if _readable(source, form, tiling) and slots in (None, slots_of(tiling))]
    small = {"lane_channels" for tiling in found if channels_of_set(config, tiling) > config.lane_channels}
    fitting = [tiling for tiling in found if channels_of_set(config, tiling) <= config.lane_channels]
    best: LayerPlan | None = None
    for group in ranked(fitting, activity, config, array) if fitting else ():
        plans: list[tuple[float, LayerPlan]] = []
        for tiling in group:
            least = min((cycles for cycles, _ in plans), default=math.inf)
            if tiling.cycles > (1 + TIE) * least or len(plans) == PLANS:
                break
            plan = _fitted(quantized, source, form, config, density, tiling, out_signed, balance)
            if isinstance(plan, str):
                small.add(plan)
            else:
                plans.append((tiling.cycles + waiting(plan), plan))
        if plans:
            least = min(cycles for cycles, _ in plans)
            _, best = min(((cycles, plan) for cycles, plan in plans if cycles <= (1 + TIE) * least),
                          key=lambda one: (_room(one[1]), one[0]))
            break
    if best is None:
        why = f"; too small: {', '.join(sorted(small))}" if small else ""
        raise layer.error(f"does not fit the memories of configuration {config.name!r}{why}")
    return best


def _fitted(
    quantized: QuantizedLayer, source: LayerInput, form: TensorFormat, config: PhantomConfig, density: Density,
    tiling: Tiling, out_signed: bool, balance: Balance,
) -> LayerPlan | str:
    """The plan with a tiling, or the memories that are too small for it."""
    streams = streams_of(config, tiling)
    bands = cut_into_bands(config, source, form, tiling.geometry, streams)
    if bands is None:
        return "moving_words"
    steps = max(band.steps for band in bands.bands)
    bases = steps * config.mesh_rows * streams
    preferred = Limits(config.program_words // 2 - bases, config.stationary_words // 2)
    most = Limits(config.program_words - bases, config.stationary_words)
    if preferred.entries < 1:
        return "program_words"
    sets = make_sets(source.problem, tiling, bands.layout, config, density, preferred, most, steps > 1,
                     balance)
    if not all(most.hold(segment) for one in sets for segment in one.segments):
        return "program_words and stationary_words"
    (rows, columns), images = source.problem.out_size, source.shape[0]
    output = TensorFormat(config, (images, len(source.problem.stationary), rows, columns), out_signed,
                          *slots_of(tiling))
    return LayerPlan(config, quantized, source, form, output, tiling, bands, sets)
