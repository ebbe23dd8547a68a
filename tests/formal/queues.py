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

    @classmethod
    def inputs(cls, config):
        return {"offered": In(1), "sink_ready": In(1)}

    def deliver(self, m: Module, sink, sent: Value, coming: Value) -> tuple[Signal, Signal, Value]:
        """Assert what holds at the sink, given how many were sent and whether more is coming.

        The number that must come next, how many are inside, and whether all must have been delivered.
        """
        following, inside, stalled = Signal(NUMBER), Signal(NUMBER), Signal()
        m.d.comb += [sink.ready.eq(self.sink_ready), inside.eq(sent - following)]
        m.d.sync += [following.eq(following + (sink.valid & sink.ready)), stalled.eq(sink.valid & ~sink.ready)]
        quiet = self.quiet(m, ~coming & self.sink_ready)
        self.must(
            m, in_order=implies(sink.valid, (sink.payload.number == following) & (following < sent)),
            offer_stays=implies(stalled, sink.valid), drains=implies(quiet, inside == 0))
        self.reach(m, emptied_after_full=quiet & (sent == PLACES + 2))
        return following, inside, quiet


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

    def elaborate(self, platform):
        m = Module()
        queue = self.build(m, "queue")
        sent = self.offer(m, queue.source, self.offered, "source")
        following, inside, quiet = self.deliver(m, queue.sink, sent, queue.source.valid)
        self.must(m, room=implies(inside < PLACES, queue.source.ready),
                  busy_while_inside=self.inside(queue) == (inside != 0))
        self.reach(m, full=~queue.source.ready,
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

    def elaborate(self, platform):
        m = Module()
        queue = self.build(m, "results")
        sent, reserved = Signal(NUMBER), Signal(range(PLACES + 1))
        m.d.comb += [queue.push.eq(self.offered & (reserved != PLACES)), queue.payload.number.eq(sent)]
        m.d.sync += [sent.eq(sent + queue.push), reserved.eq(reserved + queue.push - queue.taken)]
        _, inside, _ = self.deliver(m, queue.result, sent, queue.push)
        self.must(m, counted=reserved == inside)
        self.reach(m, full=reserved == PLACES)
        return m
