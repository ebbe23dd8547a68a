"""A place of the mesh: a core with its nodes of the moving, stationary and result links."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Shape, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw import emit
from phantom_hw.config import PhantomConfig
from phantom_hw.core.core import PhantomCore
from phantom_hw.core.layouts import layer_layout, moving_layout, stalls_layout, stationary_layout
from phantom_hw.mesh.node import ForkNode, MergeNode
from phantom_hw.mesh.packets import local_stationary_layout, moving_packet, stationary_packet, sum_packet

__all__ = ["MeshTile"]


class MeshTile(wiring.Component):
    """One core and its nodes; all places of a mesh are the same module.

    Members
    -------
    column : In
        The mesh column of this place, constant.
    moving_in : In, moving_out : Out, streams of moving_packet
        From the west, to the east.
    stationary_in : In, stationary_out : Out, streams of stationary_packet
        From the north, to the south.
    sums_in : In, sums_out : Out, streams of sum_packet
        From the west, to the east.
    idle : Out
        Nothing is in flight here, but for sums that passed.
    activity : Out, array of pes masks of T bits
        Busy threads of the core.
    stalls : Out, stalls_layout
        What the core waits for.

    Latency: 1 cycle from link to link, 1 more to the core. Throughput: 1 packet a cycle.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__(self.ports(config))

    @classmethod
    def ports(cls, config: PhantomConfig) -> wiring.Signature:
        """The signature, for whoever instantiates the place as a module emitted elsewhere."""
        moving, stationary, sums = (stream.Signature(packet(config)) for packet in
                                    (moving_packet, stationary_packet, sum_packet))
        return wiring.Signature({
            "column": In(max(1, ceil_log2(config.mesh_cols))),
            "moving_in": In(moving), "moving_out": Out(moving),
            "stationary_in": In(stationary), "stationary_out": Out(stationary),
            "sums_in": In(sums), "sums_out": Out(sums),
            "idle": Out(1),
            "activity": Out(data.ArrayLayout(config.threads, config.pes)),
            "stalls": Out(stalls_layout(config)),
        })

    def elaborate(self, platform):
        m = Module()
        core = emit.instantiate(m, "core", emit.MESH_CORE_MODULE, PhantomCore.ports(self._config, encode=False))
        moving_empty = self._moving(m, core)
        stationary_empty = self._stationary(m, core)
        self._sums(m, core)
        m.d.sync += self.idle.eq(moving_empty & stationary_empty & core.idle)
        m.d.comb += [self.activity.eq(core.activity), self.stalls.eq(core.stalls)]
        return m

    def _moving(self, m: Module, core):
        """The node of the moving link; whether it is empty."""
        packet, local = moving_packet(self._config), moving_layout(self._config)

        def split(head):
            columns = head.cols.as_value()
            onward = columns >> len(head.cols[0])
            fields = {name: head[name] for name in packet.members if name != "cols"}
            return (head.cols[0].any(), _struct(local, cols=head.cols[0], **fields),
                    onward.any(), _struct(packet, cols=onward, **fields))

        m.submodules.moving = node = ForkNode(packet, local, split)
        wiring.connect(m, wiring.flipped(self.moving_in), node.source)
        wiring.connect(m, node.sink, wiring.flipped(self.moving_out))
        m.d.comb += [core.moving.valid.eq(node.core.valid), core.moving.payload.eq(node.core.payload),
                     node.core.ready.eq(core.moving.ready)]
        return node.empty

    def _stationary(self, m: Module, core):
        """The node of the stationary link, and the way of its packets to the ports of the core."""
        packet, local = stationary_packet(self._config), local_stationary_layout(self._config)

        def split(head):
            fields = {name: head[name] for name in local.members}
            return (head.rows[0], _struct(local, **fields),
                    head.rows[1:].any(), _struct(packet, rows=head.rows >> 1, **fields))

        m.submodules.stationary = node = ForkNode(packet, local, split)
        wiring.connect(m, wiring.flipped(self.stationary_in), node.source)
        wiring.connect(m, node.sink, wiring.flipped(self.stationary_out))
        content = node.core.payload.content.as_value()
        m.d.comb += [
            core.layer.payload.eq(content[:layer_layout(self._config).size]),
            core.stationary.payload.eq(content[:stationary_layout(self._config).size]),
        ]
        with m.If(node.core.payload.layer):
            m.d.comb += [core.layer.valid.eq(node.core.valid), node.core.ready.eq(core.layer.ready)]
        with m.Else():
            m.d.comb += [core.stationary.valid.eq(node.core.valid), node.core.ready.eq(core.stationary.ready)]
        return node.empty

    def _sums(self, m: Module, core):
        """The node of the result link."""
        packet = sum_packet(self._config)
        m.submodules.sums = node = MergeNode(packet, lambda head: head.last)
        wiring.connect(m, wiring.flipped(self.sums_in), node.source)
        wiring.connect(m, node.sink, wiring.flipped(self.sums_out))
        fields = {name: core.result.payload[name] for name in packet.members if name != "core"}
        m.d.comb += [
            node.core.valid.eq(core.result.valid), core.result.ready.eq(node.core.ready),
            node.core.payload.eq(_struct(packet, core=self.column[:ceil_log2(self._config.mesh_cols)], **fields)),
        ]


def _struct(layout: data.StructLayout, **fields) -> data.View:
    """The given fields as a structure."""
    assert fields.keys() == layout.members.keys()
    assert all(len(Value.cast(fields[name])) == Shape.cast(shape).width for name, shape in layout.members.items())
    return data.View(layout, Cat(*(Value.cast(fields[name]) for name in layout.members)))
