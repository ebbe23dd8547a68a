"""Proofs of the mesh's nodes: nothing is lost, doubled or reordered under any stalls."""

from __future__ import annotations

from typing import ClassVar

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In
from phantom_hw.mesh.node import ForkNode, MergeNode

from .proof import AnyConst, Proof, implies

__all__ = ["NUMBER", "Fork", "Forking", "Merge", "Merging", "NodeProof"]

NUMBER = 4
"""Bits of a packet's number; there are more numbers than cycles, so that none comes twice."""
FORKED = data.StructLayout({"number": NUMBER, "here": 1, "beyond": 1})
MERGED = data.StructLayout({"number": NUMBER, "core": 1, "last": 1})


class Fork(ForkNode):
    """A node whose packets carry a number and say to whom they go."""

    def __init__(self, config):
        super().__init__(FORKED, FORKED, lambda packet: (packet.here, packet, packet.beyond, packet))


class Merge(MergeNode):
    """A node whose packets carry a number, whose they are, and whether they end a burst."""

    def __init__(self, config):
        super().__init__(MERGED, lambda packet: packet.last)


class NodeProof(Proof):
    """Bounded from reset: a node has two places, so that all its states and all ways out of them lie within."""

    METHOD: ClassVar[str] = "bounded"
    DEPTH: ClassVar[int] = 12
    COVER_DEPTH: ClassVar[int] = 10
    QUIET: ClassVar[int] = 4
    """Cycles without offers and without stalls after which the block must be empty."""

    def offer(self, m: Module, source, wanted: Value, name: str) -> Signal:
        """Number the packets of a source that waits until each is taken; the number of the next one."""
        waits, number = Signal(name=f"{name}_waits"), Signal(NUMBER, name=f"{name}_number")
        m.d.comb += [source.valid.eq(wanted | waits), source.payload.number.eq(number)]
        m.d.sync += [
            waits.eq(source.valid & ~source.ready),
            number.eq(number + (source.valid & source.ready)),
        ]
        return number

    def choice(self, m: Module, index: Value, name: str) -> tuple[Array, Value]:
        """A bit for each number, arbitrary but constant; all of them, and the one for ``index``."""
        bits = Signal(1 << NUMBER, name=name)
        m.d.comb += bits.eq(AnyConst(len(bits)))
        return bits, Array(bits)[index]

    def quiet(self, m: Module, now: Value) -> Value:
        """``now`` held in all of the last cycles."""
        before = Signal(self.QUIET)
        m.d.sync += before.eq(Cat(now, before[:-1]))
        return before.all()


class Forking(NodeProof):
    """A fork node between a source, a core and the next node that do what they like.

    Which packets go to the core and which go on is arbitrary.

    Properties
    ----------
    core_in_order
        The core is offered the packets meant for it, each once, none left out, in the order of the link.
    sink_in_order
        So is the next node.
    offer_stays
        What is offered and not taken is offered again, unchanged.
    drains
        When nobody has stalled and nothing has come for a while, the node is empty and everything was delivered.
    """

    BLOCKS: ClassVar[dict[str, type]] = {"fork": Fork}

    @classmethod
    def inputs(cls, config):
        return {"offered": In(1), "core_ready": In(1), "sink_ready": In(1)}

    def elaborate(self, platform):
        m = Module()
        node = self.build(m, "fork")
        number = self.offer(m, node.source, self.offered, "source")
        here, goes_here = self.choice(m, number, "here")
        beyond, goes_beyond = self.choice(m, number, "beyond")
        m.d.comb += [
            node.source.payload.here.eq(goes_here), node.source.payload.beyond.eq(goes_beyond),
            node.core.ready.eq(self.core_ready), node.sink.ready.eq(self.sink_ready),
        ]
        in_order, stays, missing = {}, [], []
        for name, port, meant in (("core", node.core, here), ("sink", node.sink, beyond)):
            # the first number that was not delivered to this side and did not have to be skipped
            following, offered = Signal(NUMBER, name=f"{name}_following"), port.payload.number
            m.d.sync += following.eq(Mux(port.valid & port.ready, offered + 1, following))
            skipped = Cat(implies((following <= n) & (n < offered), ~meant[n]) for n in range(1 << NUMBER)).all()
            in_order[name] = implies(
                port.valid, (following <= offered) & (offered < number) & Array(meant)[offered] & skipped)
            stalled, before = Signal(name=f"{name}_stalled"), Signal.like(port.payload, name=f"{name}_before")
            m.d.sync += [stalled.eq(port.valid & ~port.ready), before.eq(port.payload)]
            stays.append(implies(stalled, port.valid & (port.payload.as_value() == before.as_value())))
            missing.append(Cat((following <= n) & (n < number) & meant[n] for n in range(1 << NUMBER)).any())
        quiet = self.quiet(m, ~node.source.valid & self.core_ready & self.sink_ready)
        self.must(m, core_in_order=in_order["core"], sink_in_order=in_order["sink"], offer_stays=stays,
                  drains=implies(quiet, node.empty & ~missing[0] & ~missing[1]))
        self.reach(m, one_waits_for_the_other=node.core.valid & ~node.sink.valid & ~node.source.ready,
                   dropped=quiet & (number == 2) & ~here[0] & ~beyond[0],
                   through_in_every_cycle=(number == 6) & node.core.valid & (node.core.payload.number == 5))
        return m


class Merging(NodeProof):
    """A merge node between a core, the node before and a sink that do what they like; bursts of any lengths.

    Properties
    ----------
    in_order
        The packets of each side leave in their order, none left out, none twice.
    bursts_whole
        A burst is not interrupted.
    turns
        While one side waits, the other ends at most one burst.
    offer_stays
        What is offered and not taken is offered again, unchanged.
    drains
        When the sink has not stalled and nothing has come for a while, everything was delivered.
    """

    BLOCKS: ClassVar[dict[str, type]] = {"merge": Merge}

    @classmethod
    def inputs(cls, config):
        return {"core_offered": In(1), "source_offered": In(1), "sink_ready": In(1)}

    def elaborate(self, platform):
        m = Module()
        node = self.build(m, "merge")
        m.d.comb += node.sink.ready.eq(self.sink_ready)
        leaves = node.sink.valid & node.sink.ready
        in_order, turns, missing, taken = [], [], [], []
        for core, (name, port, wanted) in enumerate((
                ("source", node.source, self.source_offered), ("core", node.core, self.core_offered))):
            number = self.offer(m, port, wanted, name)
            _, ends = self.choice(m, number, f"{name}_ends")
            m.d.comb += [port.payload.core.eq(core), port.payload.last.eq(ends)]
            following, mine = Signal(NUMBER, name=f"{name}_following"), node.sink.payload.core == core
            m.d.sync += following.eq(following + (leaves & mine))
            in_order.append(implies(node.sink.valid & mine, (node.sink.payload.number == following)
                                    & (following < number)))
            missing.append(following != number)
            taken.append(port.valid & port.ready)
        for port, other, others in ((node.source, node.core, taken[1]), (node.core, node.source, taken[0])):
            ended = Signal(2, name=f"ended{len(turns)}")  # bursts of the other side while this one waits
            m.d.sync += ended.eq(Mux(port.valid & ~port.ready, ended + (others & other.payload.last), 0))
            turns.append(ended <= 1)
        inside, whose = Signal(), Signal()
        with m.If(leaves):
            m.d.sync += [inside.eq(~node.sink.payload.last), whose.eq(node.sink.payload.core)]
        stalled, before = Signal(), Signal.like(node.sink.payload)
        m.d.sync += [stalled.eq(node.sink.valid & ~node.sink.ready), before.eq(node.sink.payload)]
        quiet = self.quiet(m, ~node.source.valid & ~node.core.valid & self.sink_ready)
        self.must(
            m, in_order=in_order, turns=turns,
            bursts_whole=implies(inside & node.sink.valid, node.sink.payload.core == whose),
            offer_stays=implies(stalled, node.sink.valid & (node.sink.payload.as_value() == before.as_value())),
            drains=implies(quiet, Const(1) & ~missing[0] & ~missing[1] & ~node.sink.valid),
        )
        self.reach(m, full=~node.source.ready & ~node.core.ready & node.source.valid & node.core.valid,
                   burst_of_three=(whose == 1) & inside & (node.sink.payload.number == 3) & leaves,
                   both_served=~missing[0] & ~missing[1] & quiet & (node.sink.payload.number == 1))
        return m
