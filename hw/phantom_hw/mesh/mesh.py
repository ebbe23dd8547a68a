"""Phantom-2D: R x C cores between moving, stationary and result links (paper section IV)."""

from __future__ import annotations

from amaranth.hdl import Cat, Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw import emit
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import stalls_layout
from phantom_hw.mesh.packets import moving_packet, stationary_packet, sum_packet
from phantom_hw.mesh.tile import MeshTile

__all__ = ["PhantomMesh"]


class PhantomMesh(wiring.Component):
    """The cores of a Phantom-2D and its links, without the memory that feeds them.

    Moving links run from west to east, one a mesh row; stationary links from north to south, one a mesh column; packets
    say which cores of their link they are for, see :mod:`.packets`. Result links run from west to east, too:
    ``drain_lanes`` in each mesh row, each of neighbouring cores (``PhantomConfig.lane_of``). Sums of one chunk follow
    each other; chunks of different cores come in any order.

    A core works on what the sequence of each of its links says. If all moving and all stationary links order rows and
    items in the same way, by tile and by time within the tile, no core ever waits for a packet behind one that waits
    for it.

    Members
    -------
    moving : In, array of R streams of moving_packet
    stationary : In, array of C streams of stationary_packet
    sums : Out, array of R x drain_lanes streams of sum_packet
        Lane l of mesh row r at index r * drain_lanes + l.
    idle : Out
        Nothing is in flight but for sums.
    activity : Out, array of R x C arrays of pes masks of T bits
        Busy threads.
    stalls : Out, array of R x C stalls_layout
        What the cores wait for.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__(self.ports(config))

    @classmethod
    def ports(cls, config: PhantomConfig) -> wiring.Signature:
        """The signature, for whoever instantiates the mesh as a module emitted elsewhere."""
        return wiring.Signature({
            "moving": In(stream.Signature(moving_packet(config))).array(config.mesh_rows),
            "stationary": In(stream.Signature(stationary_packet(config))).array(config.mesh_cols),
            "sums": Out(stream.Signature(sum_packet(config))).array(config.mesh_rows * config.drain_lanes),
            "idle": Out(1),
            "activity": Out(data.ArrayLayout(data.ArrayLayout(config.threads, config.pes), config.cores)),
            "stalls": Out(data.ArrayLayout(stalls_layout(config), config.cores)),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        rows, cols = config.mesh_rows, config.mesh_cols
        ports = MeshTile.ports(config)
        tiles = [[emit.instantiate(m, f"tile_{r}_{c}", emit.TILE_MODULE, ports) for c in range(cols)]
                 for r in range(rows)]
        for r, row in enumerate(tiles):
            for c, tile in enumerate(row):
                m.d.comb += [tile.column.eq(c), self.activity[r * cols + c].eq(tile.activity),
                             self.stalls[r * cols + c].eq(tile.stalls)]
                _join(m, row[c - 1].moving_out if c else self.moving[r], tile.moving_in)
                _join(m, tiles[r - 1][c].stationary_out if r else self.stationary[c], tile.stationary_in)
                if c and config.lane_of(c - 1) == config.lane_of(c):
                    _join(m, row[c - 1].sums_out, tile.sums_in)
                if c == cols - 1 or config.lane_of(c + 1) != config.lane_of(c):
                    _join(m, tile.sums_out, self.sums[r * config.drain_lanes + config.lane_of(c)])
        m.d.sync += self.idle.eq(Cat(*(tile.idle for row in tiles for tile in row)).all())
        return m


def _join(m: Module, source, sink) -> None:
    """Connect two streams of one shape."""
    assert source.payload.shape() == sink.payload.shape()
    m.d.comb += [sink.valid.eq(source.valid), sink.payload.eq(source.payload), source.ready.eq(sink.ready)]
