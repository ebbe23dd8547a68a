"""Proofs of the stream buffers: nothing is lost, doubled or reordered under any stalls."""

from __future__ import annotations

from typing import ClassVar

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In
from phantom_hw.core.queue import ResultQueue
from phantom_hw.memory.buffer import WordBuffer
from phantom_hw.moving.queue import ShortQueue

from .nodes import NUMBER, NodeProof
from .proof import implies

__all__ = ["Queueing", "Reserving", "WordQueueing"]

PLACES = 4
NUMBERED = data.StructLayout({"number": NUMBER})


class Short(ShortQueue):
    """The queue in LUT-RAM, with few places and numbers in them."""

    def __init__(self, config):
        super().__init__(NUMBERED, PLACES)


class Words(WordBuffer):
    """The queue in block RAM, with few words that are numbers."""

    def __init__(self, config):
        super().__init__(NUMBERED, PLACES)


class Results(ResultQueue):
    """The queue for reserved places, with few of them and numbers in them."""

    SLOTS = PLACES

    def __init__(self, config):
        super().__init__(NUMBERED)


class QueueProof(NodeProof):
    """Bounded from reset: deep enough to fill every place, to stall in every state and to empty it again.

    A place is like any other: pointers count them and wrap around, so that few places show what many do.
    """

    DEPTH: ClassVar[int] = 14
    COVER_DEPTH: ClassVar[int] = 14
    QUIET: ClassVar[int] = PLACES + 2

    def deliver(self, m: Module, sink, sent: Value, **properties: Value) -> Signal:
        """Assert what holds at the sink, given how many were sent; the number that must come next."""
        following = Signal(NUMBER)
        m.d.sync += following.eq(following + (sink.valid & sink.ready))
        stalled = Signal()
        m.d.sync += stalled.eq(sink.valid & ~sink.ready)
        self.must(
            m, in_order=implies(sink.valid, (sink.payload.number == following) & (following < sent)),
            offer_stays=implies(stalled, sink.valid), **properties)
        return following


class Queueing(QueueProof):
    """The queue in LUT-RAM between a source and a sink that do what they like.

    Properties
    ----------
    in_order
        What is offered to the sink is the oldest that it has not taken; so none is lost, doubled or reordered.
    offer_stays
        What is offered and not taken is offered again.
    room
        While fewer are inside than it has places, the queue takes another.
    drains
        When the sink has not stalled and nothing has come for a while, everything was delivered.
    busy_while_inside
        ``busy`` tells whether anything is inside.
    """

    BLOCKS: ClassVar[dict[str, type]] = {"queue": Short}

    @classmethod
    def inputs(cls, config):
        return {"offered": In(1), "sink_ready": In(1)}

    def elaborate(self, platform):
        m = Module()
        queue = self.build(m, "queue")
        sent = self.offer(m, queue.source, self.offered, "source")
        m.d.comb += queue.sink.ready.eq(self.sink_ready)
        following, inside = Signal(NUMBER), Signal(NUMBER)
        m.d.comb += inside.eq(sent - following)
        quiet = self.quiet(m, ~queue.source.valid & self.sink_ready)
        m.d.comb += following.eq(self.deliver(
            m, queue.sink, sent, room=implies(inside < PLACES, queue.source.ready),
            drains=implies(quiet, inside == 0), busy_while_inside=self.inside(queue) == (inside != 0)))
        self.reach(m, full=~queue.source.ready, emptied_after_full=quiet & (sent == PLACES + 2),
                   through_in_every_cycle=(sent == PLACES + 3) & (following == PLACES + 1) & ~quiet & queue.sink.valid)
        return m

    @staticmethod
    def inside(queue) -> Value:
        """What the queue says about whether anything is in it."""
        return queue.busy


class WordQueueing(Queueing):
    """The queue in block RAM between a source and a sink that do what they like.

    Properties
    ----------
    in_order
        What is offered to the sink is the oldest that it has not taken; so none is lost, doubled or reordered.
    offer_stays
        What is offered and not taken is offered again.
    room
        While fewer are inside than it has places, the queue takes another.
    drains
        When the sink has not stalled and nothing has come for a while, everything was delivered.
    busy_while_inside
        ``empty`` tells whether nothing is inside.
    """

    BLOCKS: ClassVar[dict[str, type]] = {"queue": Words}

    @staticmethod
    def inside(queue) -> Value:
        """What the queue says about whether anything is in it."""
        return ~queue.empty


class Reserving(QueueProof):
    """The queue for results, pushed whenever a place was reserved, and a sink that does what it likes.

    Properties
    ----------
    in_order
        What is offered to the sink is the oldest that it has not taken; so none is lost, doubled or reordered.
    offer_stays
        What is offered and not taken is offered again.
    counted
        ``taken`` tells when a place is free again.
    drains
        When the sink has not stalled and nothing has come for a while, everything was delivered.
    """

    BLOCKS: ClassVar[dict[str, type]] = {"results": Results}

    @classmethod
    def inputs(cls, config):
        return {"offered": In(1), "sink_ready": In(1)}

    def elaborate(self, platform):
        m = Module()
        queue = self.build(m, "results")
        sent, reserved = Signal(NUMBER), Signal(range(PLACES + 1))
        m.d.comb += [
            queue.push.eq(self.offered & (reserved != PLACES)), queue.payload.number.eq(sent),
            queue.result.ready.eq(self.sink_ready),
        ]
        m.d.sync += [sent.eq(sent + queue.push), reserved.eq(reserved + queue.push - queue.taken)]
        following, inside = Signal(NUMBER), Signal(NUMBER)
        m.d.comb += inside.eq(sent - following)
        quiet = self.quiet(m, ~queue.push & self.sink_ready)
        m.d.comb += following.eq(self.deliver(
            m, queue.result, sent, counted=reserved == inside, drains=implies(quiet, inside == 0)))
        self.reach(m, full=reserved == PLACES, emptied_after_full=quiet & (sent == PLACES + 2))
        return m
