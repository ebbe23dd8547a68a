"""Proof of window and selector: no entry is lost, changed, taken twice or kept waiting."""

from __future__ import annotations

from typing import ClassVar

from amaranth.hdl import Cat, Const, Module, Signal
from phantom_hw.core.tds import TopDownSelector
from phantom_hw.core.window import Window

from .proof import Proof, count_ones, implies, unary
from .stream import NumberedStream, TrackedEntry, stream_inputs

__all__ = ["Lifetime"]


class Lifetime(Proof):
    """Window and selector under arbitrary offers and arbitrary ``hold``.

    Two-step induction from an arbitrary state: the properties are their own invariants. ``order`` ties the
    tags in the window to the numbers of groups that entered and that are present, so one arbitrary entry can
    be followed by its group's number alone.

    Assumptions
    -----------
    available_unary_within_refill
        ``available`` is a count in unary of at most ``refill`` groups.
    entry_exists
        The constants that pick what is followed lie within a group.

    Properties
    ----------
    present_unary
        The occupied places of the window are the first ones.
    order
        The groups in the window are those that entered last, each once, in the order of the stream, tags unchanged.
    absent_zero
        Places behind the last group hold zeros, in masks, entries, counts and tag.
    counts_match
        The counts are those of the set bits of the entries that were not taken.
    consumes_what_fits
        Without ``hold``, the longest run of the offered groups that finds room is consumed (a count in unary), and
        no group that is not available.
    hold_freezes
        With ``hold`` nothing is consumed and entries, masks, counts, tags and level stay.
    level_counts
        Exactly the groups at the head that have nothing left leave, and the groups that enter are added.
    enters
        A group that enters is in the window in the next cycle.
    mask_kept
        As long as its group is in the window, an entry shows the mask it came with until it is taken and 0 after.
    taken_once
        An entry is taken only if it is not empty and was not taken before.
    leaves_when_done
        When a group leaves the window, each of its entries was empty or has been taken.
    retires
        Without ``hold``, at least one entry is taken whenever one in the window is not empty.
    turn_comes
        In each cycle without ``hold``, an entry that waits and is not taken has one nonempty entry less above it; so
        it waits at most L_f - 1 such cycles.
    """

    DEPTH: ClassVar[int] = 2
    COVER_DEPTH: ClassVar[int] = 6
    BLOCKS: ClassVar[dict[str, type]] = {"window": Window, "selector": TopDownSelector}

    @classmethod
    def inputs(cls, config):
        return stream_inputs(config)

    def elaborate(self, platform):
        m = Module()
        config = self._config
        groups, size, length = config.window_groups, config.group, config.lookahead
        stream = NumberedStream(self, m, config)
        entry = TrackedEntry(m, stream)
        window, selector = stream.window, stream.selector
        self.assume(m, entry_exists=entry.within < size)

        started = Signal()  # there was a cycle before this one
        m.d.sync += started.eq(1)
        words = Cat(window.entries, window.masks, window.counts, window.tags, window.present)
        held, words_before = Signal(), Signal(len(words))
        m.d.sync += [held.eq(self.hold), words_before.eq(words)]

        # how many groups must leave, and the level that must follow
        leaving = Signal(range(groups + 1))
        for g in reversed(range(groups)):
            rest = Cat(window.present[g], *(
                ~(window.entries[i].any() & ~selector.taken[i]) for i in range(g * size, (g + 1) * size))).all()
            with m.If(~rest):
                m.d.comb += leaving.eq(g)
            if g == groups - 1:
                with m.Else():
                    m.d.comb += leaving.eq(groups)
        level = Signal(range(groups + 1))
        m.d.sync += level.eq(stream.level - leaving + stream.entered)

        self._window(m, stream, leaving)
        self.must(
            m,
            hold_freezes=[implies(self.hold, window.consumed == 0),
                          implies(started & held, words == words_before)],
            level_counts=implies(started & ~held, stream.level == level),
        )
        self._entry(m, stream, entry)
        some = Cat(*(window.entries[i].any() for i in range(length)))
        self.must(m, retires=implies(~self.hold & some.any(), (some & selector.taken).any()))
        self.reach(
            m,
            whole_window_leaves=(stream.level == groups) & (leaving == groups) & (
                stream.entered == config.refill_groups),
            group_moves_down=(stream.level == groups) & (leaving == 1) & (stream.entered == 1),
            entry_waits_and_is_taken=entry.taken_now & (entry.place == 0) & entry.mask.all(),
        )
        return m

    def _window(self, m: Module, stream: NumberedStream, leaving):
        """Properties of the window as a queue of groups."""
        groups = self._config.window_groups
        window, available = stream.window, self.available
        room = groups - stream.level + leaving
        longest = []
        for n in range(groups + 1):
            more = (available[n] & (stream.counting(n + 1) <= room)) if n < groups else Const(0, 1)
            longest.append(implies(window.consumed == (1 << n) - 1, (stream.counting(n) <= room) & ~more))
        self.must(
            m,
            **stream.queue(),
            consumes_what_fits=[unary(window.consumed), (window.consumed & ~available) == 0,
                                *(implies(~self.hold, condition) for condition in longest)],
        )

    def _entry(self, m: Module, stream: NumberedStream, entry: TrackedEntry):
        """Properties of the followed entry."""
        length = self._config.lookahead
        window = stream.window
        # nonempty entries down to the followed one, now and in the cycle before
        rank, rank_before, waited = Signal(range(length + 1)), Signal(range(length + 1)), Signal()
        m.d.comb += rank.eq(count_ones(Cat(*(window.entries[i].any() & (entry.index >= i) for i in range(length)))))
        waiting = entry.inside & entry.now.any()
        m.d.sync += [rank_before.eq(rank), waited.eq(waiting & ~self.hold & ~entry.taken_now)]
        self.must(
            m,
            **entry.life(m),
            taken_once=implies(entry.taken_now, ~entry.done & entry.mask.any()),
            turn_comes=implies(waited & waiting, (rank < rank_before) & (rank > 0)),
        )
