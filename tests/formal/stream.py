"""A numbered stream of groups through window and selector, and one arbitrary entry of it to follow."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2
from phantom_hw.config import PhantomConfig
from phantom_hw.core.window import counted, counted_in_group, tag_layout

from .proof import AnyConst, Proof, count_ones, implies, pick, unary

__all__ = ["NumberedStream", "TrackedEntry", "stream_inputs"]


def stream_inputs(config: PhantomConfig) -> dict:
    """Free inputs: groups offered, how many of them (in unary), the tag of groups that must not enter, and ``hold``."""
    group = data.ArrayLayout(config.threads, config.group)
    return {
        "hold": In(1),
        "available": In(config.window_groups),
        "offered": In(data.ArrayLayout(group, config.window_groups)),
        "stray": In(tag_layout(config)),
    }


class NumberedStream:
    """Window and selector joined as in the processing element, fed with groups whose tags are numbers.

    The groups that enter are numbered from an arbitrary start on, modulo the number of tags: the tag of each
    group says where in the stream it belongs. Contents and ``available`` are arbitrary and may change from cycle to
    cycle even for a group that waits, which is more than the real stream does. With ``skip_empty``, groups without
    a set bit are not numbered and carry an arbitrary tag.

    Attributes
    ----------
    number : number of the next group to enter
    age : number of the oldest group in the window, ``number - level``
    level : groups in the window
    entering : whether offered group i enters in this cycle
    entered : how many do
    """

    def __init__(self, proof: Proof, m: Module, config: PhantomConfig):
        groups = config.window_groups
        self.config, self.hold = config, proof.hold
        self.window = window = proof.build(m, "window")
        self.selector = selector = proof.build(m, "selector")
        m.d.comb += [
            selector.entries.eq(window.entries), selector.counts.eq(window.counts), window.spent.eq(selector.spent),
            window.taken.eq(selector.taken), window.finished.eq(selector.finished),
            window.hold.eq(proof.hold), window.available.eq(proof.available), window.offered.eq(proof.offered),
        ]
        limit = (1 << config.refill_groups) - 1
        proof.assume(m, available_unary_within_refill=unary(proof.available) & ((proof.available & ~limit) == 0))
        self.level = Signal(range(groups + 1))
        m.d.comb += self.level.eq(count_ones(window.present))

        bits = tag_layout(config).size
        self.number, self.age, counted = Signal(bits), Signal(bits), Signal(bits)
        m.d.comb += [self.number.eq(AnyConst(bits) + counted), self.age.eq(self.number - self.level)]
        self.tags = [window.tags[g].as_value() for g in range(groups)]
        self.some = [proof.offered[i].as_value().any() if config.skip_empty else Const(1, 1) for i in range(groups)]
        self.offered = proof.offered
        self.entering = []
        before = Const(0, 1)  # groups that count among the first i
        for i in range(groups):
            tag = self.number + before
            m.d.comb += window.offered_tags[i].as_value().eq(Mux(self.some[i], tag, proof.stray))
            self.entering.append(window.consumed[i] & self.some[i])
            before = before + self.some[i]
        self.entered = Signal(range(groups + 1))
        m.d.comb += self.entered.eq(sum(self.entering, Const(0, 1)))
        m.d.sync += counted.eq(counted + self.entered)

    def queue(self) -> dict[str, Value | list]:
        """The window is a queue: properties ``present_unary``, ``order``, ``absent_zero`` and ``counts_match``."""
        config, window, present = self.config, self.window, self.window.present
        places, runs = range(config.window_groups), counted(config)
        per_group = len(counted_in_group(config))

        def word(g: int) -> Value:
            entries = range(g * config.group, (g + 1) * config.group)
            return Cat(self.tags[g], *(window.masks[i] for i in entries), *(window.waiting[i] for i in entries),
                       *(window.entries[i] for i in entries), *list(window.counts)[g * per_group:(g + 1) * per_group])
        return {
            "present_unary": unary(present),
            "order": [implies(present[g], self.tags[g] == (self.age + g)[:len(self.age)]) for g in places],
            "absent_zero": [implies(~present[g], ~word(g).any()) for g in places],
            "counts_match": [window.counts[run] == count_ones(Cat(window.entries[i] for i in range(start, stop)))
                             for run, (start, stop) in enumerate(runs)],
        }

    def counting(self, places: int) -> Value:
        """How many of the first ``places`` offered groups would enter."""
        return sum(self.some[:places], Const(0, 1))


class TrackedEntry:
    """Entry ``within`` of group ``which`` of the stream, both arbitrary but constant.

    Numbers wrap, so the entry may pass several times; each arrival starts afresh, and what holds for every
    pass of every entry holds for all entries.

    Attributes
    ----------
    inside : the group is in the window; ``place``: at which place; ``index``: the entry's index there
    arriving : the group enters in this cycle; ``arrived``: in the cycle before
    mask : what the entry held when it arrived
    done : it was taken since
    now : what the window shows for it
    taken_now : it is taken in this cycle
    """

    def __init__(self, m: Module, stream: NumberedStream):
        config, window = stream.config, stream.window
        groups, size = config.window_groups, config.group
        self.which, self.within = Signal(len(stream.number)), Signal(ceil_log2(size))
        m.d.comb += [self.which.eq(AnyConst(len(self.which))), self.within.eq(AnyConst(len(self.within)))]
        self.place, self.index = Signal(len(stream.number)), Signal(range(config.lookahead))
        self.inside, self.taken_now, self.arriving, self.arrived = Signal(), Signal(), Signal(), Signal()
        self.mask, self.now, self.done = Signal(config.threads), Signal(config.threads), Signal()
        arrival = [stream.entering[i] & (window.offered_tags[i].as_value() == self.which) for i in range(groups)]
        m.d.comb += [
            self.place.eq(self.which - stream.age),
            self.inside.eq(self.place < stream.level),
            self.index.eq(self.place * size + self.within),
            self.now.eq(pick([window.entries[i] for i in range(config.lookahead)], self.index)),
            self.arriving.eq(Cat(*arrival).any()),
            self.taken_now.eq(
                self.inside & ~stream.hold & pick(list(stream.selector.taken), self.index)),
        ]
        m.d.sync += self.arrived.eq(self.arriving)
        for i in range(groups):
            with m.If(arrival[i]):
                m.d.sync += self.mask.eq(pick([stream.offered[i][e] for e in range(size)], self.within))
        with m.If(self.arriving):
            m.d.sync += self.done.eq(0)
        with m.Elif(self.taken_now):
            m.d.sync += self.done.eq(1)

    def life(self, m: Module) -> dict[str, Value | list]:
        """Nothing happens to the entry but being taken: ``enters``, ``mask_kept`` and ``leaves_when_done``."""
        was_inside = Signal()
        m.d.sync += was_inside.eq(self.inside)
        return {
            "enters": implies(self.arrived, self.inside),
            "mask_kept": implies(self.inside, self.now == Mux(self.done, 0, self.mask)),
            "leaves_when_done": implies(was_inside & ~self.inside, self.done | (self.mask == 0)),
        }
