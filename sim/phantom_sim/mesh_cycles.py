"""Cycle model of a mesh: the same packets in, the cycles and the occupancy of every PE out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from phantom_compiler.packing import pack, unpack
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import layer_layout, moving_layout, stationary_layout
from phantom_hw.mesh.packets import moving_packet, stationary_packet

from phantom_sim.cycle_kernel import Beats, Cores, Outcome, run
from phantom_sim.cycle_model import CoreStreams, limits, prepare

__all__ = ["MeshCycles", "mesh_cycles"]

Words = NDArray[np.uint32]
Gaps = Sequence[NDArray[np.int64]] | None


class MeshCycles:
    """The packets of a run, reduced to what decides the time.

    Parameters
    ----------
    config : PhantomConfig
    moving, stationary : sequences of uint32[packets, words]
        One for each mesh row, each mesh column. Each stationary link begins with the layer, the same for all.
    """

    def __init__(self, config: PhantomConfig, moving: Sequence[Words], stationary: Sequence[Words]):
        self.config = config
        rows, cols = config.mesh_rows, config.mesh_cols
        moves = [unpack(moving_packet(config), words) for words in moving]
        stays = [unpack(stationary_packet(config), words) for words in stationary]
        layer = _words(stays[0]["content"][:1], layer_layout(config).size)
        items = [_words(packets["content"][1:], stationary_layout(config).size) for packets in stays]
        if any(packets["layer"][1:].any() or not packets["layer"][0] for packets in stays):
            raise ValueError("each stationary link must begin with the only layer")
        cores: list[CoreStreams] = []
        for r in range(rows):
            for c in range(cols):
                beats = {**moves[r], "cols": moves[r]["cols"][:, c]}
                wanted = (stays[c]["rows"][1:] >> r & 1).astype(bool)
                mine = beats["cols"] != 0
                rows_of = pack(moving_layout(config), {name: values[mine] for name, values in beats.items()})
                cores.append(prepare(config, layer, rows_of, items[c][wanted]))
        self.groups, self.outputs, self.span = cores[0].groups, cores[0].outputs, cores[0].span
        self.moving = _join([self._moving(moves[r]) for r in range(rows)])
        self.stationary = _join([self._stationary(stays[c], items[c]) for c in range(cols)])
        self.cores = _cores(cores)

    def _pes(self, pe_row: NDArray[np.int64], cols: NDArray[np.uint64]) -> NDArray[np.uint64]:
        return cols << (pe_row.astype(np.uint64) * np.uint64(self.config.pe_cols))

    def _moving(self, packets: dict) -> Beats:
        near = np.stack([self._pes(packets["pe_row"], packets["cols"][:, c].astype(np.uint64))
                         for c in range(self.config.mesh_cols)], axis=1)
        return _link(near, near != 0, packets["last"].astype(bool))

    def _stationary(self, packets: dict, items: Words) -> Beats:
        beats = unpack(stationary_layout(self.config), items)
        columns = np.arange(self.config.pe_cols, dtype=np.uint64)
        cols = (beats["items"]["valid"].astype(np.uint64) << columns).sum(axis=1, dtype=np.uint64)
        pes = np.concatenate([np.zeros(1, np.uint64), self._pes(beats["pe_row"], cols)])  # the layer is for no PE
        here = (packets["rows"].astype(np.int64)[:, None] >> np.arange(self.config.mesh_rows) & 1).astype(bool)
        return _link(np.where(here, pes[:, None], np.uint64(0)), here, np.zeros(len(pes), bool))


def _words(content: NDArray[np.int64], bits: int) -> Words:
    """The bytes of packets as payloads of ``bits`` bits."""
    size = -(-bits // 32) * 4
    plain = np.zeros((len(content), size), np.uint8)
    width = min(size, content.shape[1])
    plain[:, :width] = content[:, :width]
    words = plain.view("<u4").astype(np.uint32)
    if bits % 32:
        words[:, -1] &= np.uint32((1 << bits % 32) - 1)
    return words


def _link(near: NDArray[np.uint64], here: NDArray[np.bool_], last: NDArray[np.bool_]) -> Beats:
    beyond = np.zeros_like(here)
    beyond[:, :-1] = np.logical_or.accumulate(here[:, :0:-1], axis=1)[:, ::-1]
    return Beats(np.array([0, len(near)]), near, here, beyond, last, np.zeros(len(near), np.int64))


def _join(links: list[Beats]) -> Beats:
    """The beats of all links of a kind."""
    start = np.cumsum([0, *(len(link.last) for link in links)])
    joined = (np.ascontiguousarray(np.concatenate(parts)) for parts in list(zip(*links, strict=True))[1:])
    return Beats(start, *joined)


def _cores(cores: list[CoreStreams]) -> Cores:
    """The work of all cores."""
    def starts(of_core: list[NDArray[np.int64]]) -> NDArray[np.int64]:
        offsets = np.cumsum([0, *(part[-1] for part in of_core)])
        return np.concatenate([*(part[:-1] + offset for part, offset in zip(of_core, offsets, strict=False)),
                               offsets[-1:]])

    entries = np.cumsum([0, *(len(core.entries) for core in cores)])
    return Cores(
        starts([core.row_start for core in cores]),
        np.concatenate([core.rows + offset for core, offset in zip(cores, entries, strict=False)]).astype(np.int32),
        np.concatenate([core.entries for core in cores]), starts([core.item_start for core in cores]),
        np.concatenate([core.item_mask for core in cores]), np.concatenate([core.item_flags for core in cores]))


def mesh_cycles(
    packets: MeshCycles, tiles: int, sums: int, *, moving_gaps: Gaps = None, stationary_gaps: Gaps = None,
    ready: NDArray[np.bool_] | None = None, trace: bool = False, max_cycles: int = 1 << 40,
) -> Outcome:
    """Run the model.

    Parameters
    ----------
    packets : MeshCycles
    tiles, sums : int
        Tiles that all cores together complete, sums that they give.
    moving_gaps, stationary_gaps : sequences of int64[packets], optional
        Cycles that a source waits before it offers each packet, link by link.
    ready : bool[n, result links], optional
        ``ready`` of the result links in cycle c is line c mod n; always by default.
    trace : bool
        Record the occupancy of every cycle.
    max_cycles : int

    Raises
    ------
    RuntimeError
        Nothing moves any more, or ``max_cycles`` passed.
    """
    config = packets.config
    links = config.mesh_rows * config.drain_lanes
    pattern = np.ones((1, links), np.uint8) if ready is None else np.ascontiguousarray(ready, np.uint8)

    def waiting(beats: Beats, gaps: Gaps) -> Beats:
        return beats if gaps is None else beats._replace(gaps=np.concatenate(gaps).astype(np.int64))

    return run(limits(config, packets.groups, packets.outputs, packets.span, nodes=True),
               waiting(packets.moving, moving_gaps), waiting(packets.stationary, stationary_gaps), packets.cores,
               np.zeros(0, bool), pattern, tiles, sums, trace, max_cycles)
