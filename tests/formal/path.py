"""Proof of the whole selector path: every product of the stream is computed exactly once."""

from __future__ import annotations

from typing import ClassVar

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.utils import ceil_log2
from phantom_hw.core.logic import one_hot_select
from phantom_hw.core.mapper import EntryMapper, TapMapper
from phantom_hw.core.tds import TopDownSelector
from phantom_hw.core.window import Window

from .mapping import map_stage
from .proof import AnyConst, Proof, implies
from .stream import NumberedStream, TrackedEntry, stream_inputs

__all__ = ["SelectorPath"]


class SelectorPath(Proof):
    """Window, selector, both halves of the mapper and the registers between, from offered group to thread.

    Follows one arbitrary bit (group, entry, tap) of the stream up to the threads, which see the tag of their group as
    in the processing element. Two-step induction; its invariants are properties of
    :class:`~.lifetime.Lifetime`.

    Assumptions
    -----------
    available_unary_within_refill
        ``available`` is a count in unary of at most ``refill`` groups.
    entry_exists
        The constants that pick what is followed lie within a group and an entry.

    Properties
    ----------
    present_unary
        As in Lifetime.
    order
        As in Lifetime.
    absent_zero
        As in Lifetime.
    counts_match
        As in Lifetime.
    enters
        As in Lifetime.
    mask_kept
        As in Lifetime.
    leaves_when_done
        As in Lifetime.
    one_thread
        In no cycle do two threads work on the followed bit.
    only_its_product
        A thread works on the followed bit only in the cycle after its entry was taken and only if it is set.
    not_in_advance
        No thread has worked on the followed bit while its entry waits in the window.
    at_most_once
        A set bit that a thread has worked on is never worked on again.
    at_least_once
        A set bit of a taken entry is worked on in the cycle after.
    """

    DEPTH: ClassVar[int] = 2
    COVER_DEPTH: ClassVar[int] = 6
    BLOCKS: ClassVar[dict[str, type]] = {
        "window": Window, "selector": TopDownSelector, "entry_mapper": EntryMapper, "tap_mapper": TapMapper}

    @classmethod
    def inputs(cls, config):
        return stream_inputs(config)

    def elaborate(self, platform):
        m = Module()
        config = self._config
        stream = NumberedStream(self, m, config)
        entry = TrackedEntry(m, stream)
        window, selector = stream.window, stream.selector
        mapper, taps = self.build(m, "entry_mapper"), self.build(m, "tap_mapper")
        m.d.comb += [
            mapper.entries.eq(window.entries), mapper.taken.eq(selector.taken), mapper.capacity.eq(selector.capacity),
        ]
        map_stage(m, window.masks, mapper.hits, self.hold, taps)
        tap = Signal(ceil_log2(config.threads))
        m.d.comb += tap.eq(AnyConst(len(tap)))
        self.assume(m, entry_exists=(entry.within < config.group) & (tap < config.threads))

        bit = Signal()
        m.d.comb += bit.eq(entry.mask.bit_select(tap, 1))
        threads = self._threads(m, window, taps, entry, tap)
        working = sum(threads, Const(0, 1))
        # what happened before: taken one cycle ago; worked on since the entry arrived
        taken_before, served = Signal(), Signal()
        m.d.sync += taken_before.eq(entry.taken_now)
        with m.If(entry.arriving):
            m.d.sync += served.eq(0)
        with m.Elif(working != 0):
            m.d.sync += served.eq(1)

        self.must(
            m,
            **stream.queue(),
            **entry.life(m),
            one_thread=working <= 1,
            only_its_product=implies(working != 0, taken_before & bit),
            not_in_advance=implies(entry.inside & ~entry.done, ~served),
            at_most_once=implies(working != 0, ~served),
            at_least_once=implies(entry.done & bit, served | (working != 0)),
        )
        self.reach(
            m,
            last_thread_works=threads[-1] & (entry.place == 0) & entry.inside,
            after_the_group_left=(working != 0) & ~entry.inside,
            waits_for_hold=entry.inside & self.hold & bit & ~entry.done,
        )
        return m

    def _threads(self, m: Module, window, taps, entry: TrackedEntry, tap):
        """For each thread: it works on the followed bit in this cycle."""
        config = self._config
        size, groups = config.group, config.window_groups
        tags = Signal.like(window.tags, reset_less=True)
        m.d.sync += tags.eq(window.tags)
        working = []
        for k in range(config.threads):
            hits = taps.hits[k]
            in_group = [hits[g * size:(g + 1) * size].any() for g in range(groups)]
            tag = one_hot_select(in_group, [tags[g].as_value() for g in range(groups)])
            within = Cat(*(Cat(*(hits[g * size + e] for g in range(groups))).any() for e in range(size)))
            works = Signal(name=f"works{k}")
            m.d.comb += works.eq(
                taps.valid[k] & (tag == entry.which) & (within == (1 << entry.within)) & (taps.tap[k] == tap))
            working.append(works)
        return working
