"""Nodes of the mesh links: one hop each, with a registered buffer, so that no combinational path crosses two."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ForkNode", "MergeNode", "StreamBuffer"]


class StreamBuffer(wiring.Component):
    """Two places between a stream and whoever takes from it; both handshakes come from registers.

    Parameters
    ----------
    payload : ShapeLike

    Members
    -------
    source : In, stream
    sink : Out, stream

    Latency: 1 cycle. Throughput: 1 payload a cycle. ``source.ready`` and ``sink.valid`` depend on registers only.
    """

    LATENCY = 1

    def __init__(self, payload):
        super().__init__({"source": In(stream.Signature(payload)), "sink": Out(stream.Signature(payload))})

    def elaborate(self, platform):
        m = Module()
        head, spare = (Signal.like(self.source.payload, name=name, reset_less=True) for name in ("head", "spare"))
        one, two = Signal(), Signal()  # places taken, in unary
        enters, leaves = Signal(), Signal()
        m.d.comb += [
            self.source.ready.eq(~two), self.sink.valid.eq(one), self.sink.payload.eq(head),
            enters.eq(self.source.valid & ~two), leaves.eq(one & self.sink.ready),
        ]
        with m.If(leaves | ~one):
            m.d.sync += head.eq(Mux(two, spare, self.source.payload))
        with m.If(enters):
            m.d.sync += spare.eq(self.source.payload)
        m.d.sync += [
            one.eq(two | enters | (one & ~leaves)),
            two.eq(Mux(two, ~leaves, one & enters & ~leaves)),
        ]
        return m


class ForkNode(wiring.Component):
    """One hop of a link that fans out: a packet goes to the local core, to the next node, or to both.

    The two take it independently of each other; the next packet follows when both have it. ``here`` and ``beyond`` are
    functions of the packet: whether it names the local core, and what travels on, with whether anyone there wants it.

    Parameters
    ----------
    packet : ShapeLike
        What travels on the link.
    local : ShapeLike
        What the core gets.
    split : function
        From a packet to (wanted here, local payload, wanted beyond, packet as it travels on).

    Members
    -------
    source : In, stream of packets
    core : Out, stream of local payloads
    sink : Out, stream of packets
        The next node.
    empty : Out
        No packet is in the node.

    A packet that nobody wants is dropped. Latency: 1 cycle. Throughput: 1 packet a cycle.
    """

    LATENCY = StreamBuffer.LATENCY

    def __init__(self, packet, local, split):
        self._packet, self._split = packet, split
        super().__init__({
            "source": In(stream.Signature(packet)),
            "core": Out(stream.Signature(local)),
            "sink": Out(stream.Signature(packet)),
            "empty": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = StreamBuffer(self._packet)
        wiring.connect(m, wiring.flipped(self.source), buffer.source)
        head = buffer.sink
        here, payload, beyond, onward = self._split(head.payload)
        had_core, had_sink = Signal(), Signal()  # took the head already, while the other still waits
        core_done, sink_done = Signal(), Signal()
        m.d.comb += [
            self.core.valid.eq(head.valid & here & ~had_core), self.core.payload.eq(payload),
            self.sink.valid.eq(head.valid & beyond & ~had_sink), self.sink.payload.eq(onward),
            core_done.eq(had_core | ~here | self.core.ready),
            sink_done.eq(had_sink | ~beyond | self.sink.ready),
            head.ready.eq(core_done & sink_done),
            self.empty.eq(~head.valid),
        ]
        m.d.sync += [
            had_core.eq(head.valid & core_done & ~sink_done),
            had_sink.eq(head.valid & sink_done & ~core_done),
        ]
        return m


class MergeNode(wiring.Component):
    """One hop of a link that collects: packets of the local core and of the nodes before, burst after burst.

    A burst ends with a packet for which ``last`` holds; once begun it is not interrupted. Between bursts both sides
    take turns if both have something.

    Parameters
    ----------
    packet : ShapeLike
    last : function
        From a packet to whether it ends its burst.

    Members
    -------
    source : In, stream of packets
        From the node before.
    core : In, stream of packets
    sink : Out, stream of packets

    Latency: 1 cycle. Throughput: 1 packet a cycle.
    """

    LATENCY = StreamBuffer.LATENCY

    def __init__(self, packet, last):
        self._packet, self._last = packet, last
        super().__init__({
            "source": In(stream.Signature(packet)),
            "core": In(stream.Signature(packet)),
            "sink": Out(stream.Signature(packet)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = StreamBuffer(self._packet)
        wiring.connect(m, buffer.sink, wiring.flipped(self.sink))
        inside, local = Signal(), Signal()  # a burst has begun; whose it is, or whose turn it would have been
        choice, taken = Signal(), Signal()
        m.d.comb += [
            choice.eq(Mux(inside, local, Mux(self.core.valid & self.source.valid, ~local, self.core.valid))),
            buffer.source.valid.eq(Mux(choice, self.core.valid, self.source.valid)),
            buffer.source.payload.eq(Mux(choice, self.core.payload, self.source.payload)),
            self.core.ready.eq(buffer.source.ready & choice),
            self.source.ready.eq(buffer.source.ready & ~choice),
            taken.eq(buffer.source.valid & buffer.source.ready),
        ]
        with m.If(taken):
            m.d.sync += [local.eq(choice), inside.eq(~self._last(buffer.source.payload))]
        return m

