"""From the entries of the row program to descriptors and tiles."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import select
from phantom_hw.moving.layouts import descriptor_layout, position_bits
from phantom_hw.moving.program import fetched_layout
from phantom_hw.results.layouts import pattern_index_layout, tile_layout

__all__ = ["EntryDispatcher"]


class EntryDispatcher(wiring.Component):
    """Give each entry to whom it is for: tiles to the lanes, descriptors to the row streamers.

    A base entry sets where the rows of its cores begin and their pattern. A row entry becomes a descriptor for each
    of the mesh rows that take part. An entry is done when all have taken what is for them; the next one follows then.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    source : In, stream of fetched_layout
    tiles : Out, array of mesh_rows * mesh_cols streams of tile_layout
        A stream for each core, mesh row after mesh row.
    descriptors : Out, array of mesh_rows streams of descriptor_layout
        Behind a queue of ``DEPTH`` each.
    idle : Out
        No descriptor waits, and none was taken in the last ``MARGIN`` cycles.

    Latency: ``LATENCY`` cycles to descriptors, 0 to tiles. Throughput: 1 entry a cycle.
    """

    DEPTH = 16
    LATENCY = 1
    MARGIN = 3
    """Cycles until it shows that a row streamer has something to do."""

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__({
            "source": In(stream.Signature(fetched_layout(config))),
            "tiles": Out(stream.Signature(tile_layout(config))).array(config.cores),
            "descriptors": Out(stream.Signature(descriptor_layout(config))).array(config.mesh_rows),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        columns = self._config.mesh_cols
        head, entry = self.source.payload, self.source.payload.entry
        is_base, is_row, tiles_done, rows_done = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            is_base.eq(self.source.valid & head.base), is_row.eq(self.source.valid & ~head.base),
            self.source.ready.eq(Mux(head.base, tiles_done, rows_done)),
        ]
        targets = Cat((head.rows & entry.base.rows)[core // columns] & entry.base.cols[core % columns]
                      for core in range(self._config.cores))
        self._tiles(m, is_base, targets, tiles_done)

        start = data.StructLayout({"place": position_bits(self._config), "pattern": pattern_index_layout()})
        starts = [Signal(start, name=f"start_{core}", reset_less=True) for core in range(self._config.cores)]
        for core, register in enumerate(starts):
            with m.If(is_base & targets[core]):
                m.d.sync += [register.place.eq(entry.base.place), register.pattern.eq(entry.base.tile.pattern)]
        self._descriptors(m, is_row, [starts[i:i + columns] for i in range(0, len(starts), columns)], rows_done)
        return m

    def _tiles(self, m: Module, is_base: Signal, targets: Cat, done: Signal) -> None:
        """Offer a base entry's tile to all of its cores, each of which takes it when it can."""
        had = Signal(self._config.cores)  # took the tile already, while another still waits
        open_, ready = Signal(self._config.cores), Cat(port.ready for port in self.tiles)
        m.d.comb += [open_.eq(targets & ~had), done.eq(~(open_ & ~ready).any())]
        m.d.sync += had.eq((is_base & ~done).replicate(len(had)) & (had | ready))
        for core, port in enumerate(self.tiles):
            m.d.comb += [port.payload.eq(self.source.payload.entry.base.tile), port.valid.eq(is_base & open_[core])]

    def _descriptors(self, m: Module, is_row: Signal, starts: list, done: Signal) -> None:
        """Put a row entry's descriptors into the queues, all in the same cycle."""
        config, rows, row = self._config, self.source.payload.rows, self.source.payload.entry.row
        layout, room, waits, taken = descriptor_layout(config), [], [], []
        for number, port in enumerate(self.descriptors):
            m.submodules[f"queue_{number}"] = queue = SyncFIFO(width=layout.size, depth=self.DEPTH)
            descriptor, index = data.View(layout, queue.w_data), row.base
            place, pattern = (Signal(len(start[name]), name=f"{name}_{number}") for start in starts[number][:1]
                              for name in ("place", "pattern"))
            m.d.comb += [
                place.eq(select(index, [start.place for start in starts[number]])),
                pattern.eq(select(index, [start.pattern for start in starts[number]])),
                descriptor.place.eq(place + row.place), descriptor.pattern.eq(pattern),
                *(descriptor[name].eq(row[name]) for name in ("zero", "last", "short", "pe_row", "cols")),
                queue.w_en.eq(is_row & done & rows[number]),
                port.valid.eq(queue.r_rdy), port.payload.eq(queue.r_data), queue.r_en.eq(port.ready),
            ]
            room.append(queue.w_rdy | ~rows[number])
            waits.append(queue.r_rdy)
            taken.append(queue.r_rdy & port.ready)
        recent = Signal(self.MARGIN)
        m.d.sync += recent.eq(Cat(Cat(taken).any(), recent))
        m.d.comb += [done.eq(Cat(room).all()), self.idle.eq(~Cat(waits, recent).any())]
