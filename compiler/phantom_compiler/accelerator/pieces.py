"""The pieces that a layer is loaded and sent in, and how long the mesh waits for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phantom_hw.moving.layouts import entry_bytes

from phantom_compiler.accelerator.placement import Held, Placement, Sizes

if TYPE_CHECKING:
    from phantom_compiler.accelerator.plan import LayerPlan
    from phantom_compiler.accelerator.sets import Segment
    from phantom_compiler.accelerator.tensor import TensorFormat

__all__ = ["HANDOVER", "Piece", "loading", "pieces_of", "sizes_of", "slot_writes", "waiting"]

HANDOVER = 150
"""Cycles from one piece to the next, for a memory of 100 cycles latency: nothing is loaded or sent meanwhile."""


@dataclass(frozen=True, eq=False)
class Piece:
    """What is loaded and sent at a time: a segment of a set of filters, for some steps of a band."""

    band: int
    number: int
    segment: int
    first: int
    steps: int

    def of(self, plan: LayerPlan) -> Segment:
        """The segment of a plan."""
        return plan.sets[self.number].segments[self.segment]


def pieces_of(plan: LayerPlan) -> list[Piece]:
    """All pieces in their order; a set that is cut is sent step by step."""
    pieces = []
    for band, what in enumerate(plan.bands.bands):
        for number, one in enumerate(plan.sets):
            whole = len(one.segments) == 1
            for first in [0] if whole else range(what.steps):
                pieces += [Piece(band, number, segment, first, what.steps if whole else 1)
                           for segment in range(len(one.segments))]
    return pieces


def sizes_of(plan: LayerPlan, pieces: Sequence[Piece]) -> list[Sizes]:
    """What the pieces take; a block has a base entry in every step."""
    blocks = plan.config.mesh_rows * plan.streams
    return [Sizes((piece.number, piece.segment), piece.steps * blocks + len(segment.rows), segment.words)
            for piece, segment in ((piece, piece.of(plan)) for piece in pieces)]


def waiting(plan: LayerPlan) -> float:
    """Cycles that the mesh is expected to wait for what is loaded behind the first piece, at a bus word a cycle."""
    config, pieces = plan.config, pieces_of(plan)
    sizes = sizes_of(plan, pieces)
    placed, bus = Placement(config, sizes, 0, Held()), config.bus_width // 8
    sent = [piece.of(plan).words * piece.steps for piece in pieces]
    work = [plan.tiling.mesh_cycles * words / max(1, sum(sent)) for words in sent]
    there, total = {sizes[0].key}, 0.0
    for i in range(1, len(pieces)):
        loads = sizes[i].entries * entry_bytes(config) / bus
        if not (placed.resident and sizes[i].key in there):
            there.add(sizes[i].key)
            loads += sum(map(len, pieces[i].of(plan).loads)) / bus
        fresh = pieces[i].band != pieces[i - 1].band
        if fresh:
            loads += loading(plan, pieces[i].band)
        beside = placed.alternates and (plan.bands.ahead or not fresh)
        total += HANDOVER + (max(0.0, loads - work[i - 1]) if beside else loads)
    return total


def loading(plan: LayerPlan, band: int) -> float:
    """Cycles in which a band's activations are loaded: words of the bus, or writes of the busiest loader."""
    config, form, source = plan.config, plan.input, plan.source
    shares = plan.bands.bands[band].shares
    rows = [max(0, share.rows[1] - share.fresh) if share.blocks.size else 0 for share in shares]
    slots = [one / (form.height * source.spacing[0]) * form.slots * form.shape[1] for one in rows]
    of_loader = [0.0] * config.moving_loaders
    for r, count in enumerate(slots):
        of_loader[config.loader_of(r)] += count * slot_writes(form, source.stride[1])
    return max(sum(slots) * form.slot_words, *of_loader)


def slot_writes(form: TensorFormat, stride: int) -> int:
    """Writes of a slot to a moving buffer: beats of the link, cut where rows end, for each phase of a row."""
    pieces = -(-form.width * form.height // form.config.moving_link) + form.height - 1
    return pieces * min(stride, form.config.moving_link)
