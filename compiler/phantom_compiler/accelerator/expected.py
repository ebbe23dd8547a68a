"""How long a layer is expected to take, by what is loaded, sent and written; for reports."""

from __future__ import annotations

from phantom_compiler.accelerator.concatenation import ConcatPlan
from phantom_compiler.accelerator.pieces import HANDOVER, loading, slot_writes, waiting
from phantom_compiler.accelerator.plan import LayerPlan
from phantom_compiler.accelerator.tensor import TensorFormat
from phantom_compiler.accelerator.vector_plan import VectorPlan

__all__ = ["expected_cycles"]

BEGINNING = 1200
"""Cycles of a layer that overlap with nothing: what is in the pipelines, and commands that each wait for memory."""


def expected_cycles(plan: LayerPlan | VectorPlan | ConcatPlan) -> float:
    """Cycles of a layer of a network, with a memory of a bus word a cycle whose latency ``outstanding`` bursts hide.

    The weights and the row program of its first piece are there already: they are loaded while the layer before runs.
    """
    if isinstance(plan, LayerPlan):
        return BEGINNING + loading(plan, 0) + plan.tiling.mesh_cycles + waiting(plan)
    if isinstance(plan, VectorPlan):
        return _vector_cycles(plan)
    return sum(_vector_cycles(part) for _, _, part in plan.copies)


def _vector_cycles(plan: VectorPlan) -> float:
    config = plan.config
    images, channels, _, _ = plan.output.shape
    planes, length, _ = plan.planes
    beats = plan.beats if plan.fold else -(-planes * length // config.moving_link)
    share = min(plan.channels, -(-channels // config.mesh_rows))
    sent = images * plan.groups * plan.output.lines * plan.output.slots * share * len(plan.parts) * beats
    loaders = config.moving_loaders if plan.channels < channels else 1
    read = sum(max(_slots(form) * form.slot_words, _slots(form) * slot_writes(form, plan.stride) / loaders)
               for form in plan.inputs)
    beside = max(sent, _slots(plan.output) * plan.output.slot_words)
    bands = images * plan.groups * len(plan.strips)
    return BEGINNING + HANDOVER * (bands - 1) + (
        max(beside, read) + read / bands if plan.ahead else beside + read)


def _slots(form: TensorFormat) -> int:
    return form.shape[0] * form.shape[1] * form.lines * form.slots
