"""Proof of the thread mapper: every selected bit gets one thread, every thread at most one bit."""

from __future__ import annotations

from typing import ClassVar

from amaranth.hdl import Array, Const, Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In
from phantom_hw.core.mapper import EntryMapper, TapMapper
from phantom_hw.core.tds import TopDownSelector

from .proof import Proof, count_ones, implies

__all__ = ["Mapping", "map_stage"]


def map_stage(m: Module, entries, hits, hold, taps: TapMapper) -> None:
    """The registers between the halves of the mapper, as in the processing element."""
    m.d.sync += [taps.entries.eq(entries), taps.hits.eq(hits)]
    with m.If(hold):
        m.d.sync += taps.hits.eq(0)


class Mapping(Proof):
    """Selector and both halves of the mapper with the pipeline registers between them.

    The window's content and ``hold`` are arbitrary in each cycle. All state is one cycle old, so the induction
    needs no invariant: what holds one step after an arbitrary state holds always.

    Properties
    ----------
    threads_from_zero
        With n set bits selected, exactly the threads 0..n-1 work (none after a ``hold``).
    one_entry_a_thread
        ``hits`` names at most one entry for each thread.
    index_is_the_hit
        A thread's ``index`` is the number of the entry that its ``hits`` name.
    pairs_are_selected
        The (entry, tap) pair of a working thread is a set bit of a taken entry.
    each_bit_once
        Every set bit of a taken entry is the pair of exactly one working thread.
    top_down
        The pairs of the threads 0, 1, ... ascend: entries from the top, taps within an entry from bit 0.
    """

    METHOD: ClassVar[str] = "induction"
    DEPTH: ClassVar[int] = 1
    COVER_DEPTH: ClassVar[int] = 2
    BLOCKS: ClassVar[dict[str, type]] = {
        "selector": TopDownSelector, "entry_mapper": EntryMapper, "tap_mapper": TapMapper}

    @classmethod
    def inputs(cls, config):
        return {"entries": In(data.ArrayLayout(config.threads, config.lookahead)), "hold": In(1)}

    def elaborate(self, platform):
        m = Module()
        threads, length = self._config.threads, self._config.lookahead
        selector, mapper, taps = (self.build(m, name) for name in ("selector", "entry_mapper", "tap_mapper"))
        m.d.comb += [
            selector.entries.eq(self.entries), mapper.entries.eq(self.entries),
            mapper.taken.eq(selector.taken), mapper.capacity.eq(selector.capacity),
        ]
        map_stage(m, self.entries, mapper.hits, self.hold, taps)

        # the set bits that were selected in the cycle before, bit by bit
        chosen = [Signal(threads, name=f"chosen{i}") for i in range(length)]
        for i in range(length):
            m.d.sync += chosen[i].eq(self.entries[i] & (selector.taken[i] & ~self.hold).replicate(threads))
        bits = [(i, t) for i in range(length) for t in range(threads)]
        total = sum((chosen[i][t] for i, t in bits), Const(0, 1))
        pair = [(taps.index[k], taps.tap[k]) for k in range(threads)]

        def has(k: int, i: int, t: int):
            return taps.valid[k] & (pair[k][0] == i) & (pair[k][1] == t)

        below = [Const(1, 1)]  # thread k - 1 works on a pair above thread k's
        for k in range(1, threads):
            (upper, left), (lower, right) = pair[k - 1], pair[k]
            below.append((upper < lower) | ((upper == lower) & (left < right)))
        self.must(
            m,
            threads_from_zero=[taps.valid[k] == (total > k) for k in range(threads)],
            one_entry_a_thread=[count_ones(taps.hits[k]) <= 1 for k in range(threads)],
            index_is_the_hit=[
                implies(taps.hits[k][i], (taps.index[k] == i) & taps.valid[k])
                for k in range(threads) for i in range(length)],
            pairs_are_selected=[
                implies(taps.valid[k], Array(chosen[i][t] if t < threads and i < length else 0
                                             for i in range(1 << len(pair[k][0]))
                                             for t in range(1 << len(pair[k][1])))
                        [pair[k][0] * (1 << len(pair[k][1])) + pair[k][1]])
                for k in range(threads)],
            each_bit_once=[
                sum((has(k, i, t) for k in range(threads)), Const(0, 1)) == chosen[i][t] for i, t in bits],
            top_down=[implies(taps.valid[k], below[k]) for k in range(1, threads)] or [Const(1, 1)],
        )
        self.reach(
            m,
            all_threads_one_entry=taps.valid.all() & chosen[length - 1].all(),
            all_threads_many_entries=taps.valid.all() & (sum((c.any() for c in chosen), Const(0, 1)) == threads),
            nothing_to_do=~taps.valid.any(),
        )
        return m
