"""Proof of the top-down selector: what it takes fits, and it takes what its mode promises."""

from __future__ import annotations

from typing import ClassVar

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In
from phantom_hw.core.tds import TopDownSelector
from phantom_hw.core.window import counted

from .proof import Proof, count_ones, implies

__all__ = ["Selection"]


class Selection(Proof):
    """The selector alone, for every content of the window.

    The reference is written without the selector's walk of capacities: ``longest_run`` compares with the sums of all
    entries from the top, ``takes_what_fits`` states that ``taken`` is a fixed point, which determines it from the top
    downwards.

    Properties
    ----------
    fits_threads
        The set bits of the taken entries are at most T.
    longest_run (tds=in_order)
        Entry i is taken exactly if it is not empty and all entries down to it hold at most T set bits.
    takes_what_fits (tds=out_of_order)
        Entry i is taken exactly if it is not empty and fits what the entries taken above it leave of T.
    empty_never_taken
        An entry without a set bit is not taken.
    topmost_taken
        The topmost nonempty entry is taken: the selector never idles while there is work.
    finished_groups
        ``finished`` marks, from the top, exactly the groups in and above which every nonempty entry is taken.
    spent_in_runs
        ``spent`` is the number of set bits of the taken entries of each run of entries that is counted.
    capacity_above
        At a taken entry, ``capacity`` is T less the set bits taken above it: its first thread is T - capacity.
    """

    METHOD: ClassVar[str] = "combinational"
    DEPTH: ClassVar[int] = 1
    BLOCKS: ClassVar[dict[str, type]] = {"selector": TopDownSelector}

    @classmethod
    def inputs(cls, config):
        return {"entries": In(data.ArrayLayout(config.threads, config.lookahead))}

    def elaborate(self, platform):
        m = Module()
        threads, length = self._config.threads, self._config.lookahead
        groups, size = self._config.window_groups, self._config.group
        selector = self.build(m, "selector")
        runs = counted(self._config)
        m.d.comb += selector.entries.eq(self.entries)
        for run, (start, stop) in enumerate(runs):
            m.d.comb += selector.counts[run].eq(count_ones(Cat(self.entries[i] for i in range(start, stop))))
        taken, left = selector.taken, Signal(length)

        counts = [count_ones(self.entries[i]) for i in range(length)]
        some = [self.entries[i].any() for i in range(length)]
        m.d.comb += left.eq(Cat(*some) & ~taken)
        sums, used = [Const(0, 1)], [Const(0, 1)]  # set bits above entry i: of all entries, of the taken ones
        some_above = [Const(0, 1)]
        for i in range(length):
            sums.append(sums[i] + counts[i])
            used.append(used[i] + Mux(taken[i], counts[i], 0))
            some_above.append(some_above[i] | some[i])

        self.must(
            m,
            fits_threads=used[length] <= threads,
            empty_never_taken=[implies(taken[i], some[i]) for i in range(length)],
            topmost_taken=[implies(some[i] & ~some_above[i], taken[i]) for i in range(length)],
            spent_in_runs=[selector.spent[run] == used[stop] - used[start] for run, (start, stop) in enumerate(runs)],
            finished_groups=[selector.finished[g] == ~left[:(g + 1) * size].any() for g in range(groups)],
            capacity_above=[implies(taken[i], selector.capacity[i] == threads - used[i]) for i in range(length)],
        )
        if self._config.tds == "in_order":
            self.must(m, longest_run=[taken[i] == (some[i] & (sums[i + 1] <= threads)) for i in range(length)])
        else:
            self.must(m, takes_what_fits=[
                taken[i] == (some[i] & (used[i] + counts[i] <= threads)) for i in range(length)])

        self.reach(
            m,
            all_threads_used=used[length] == threads,
            entry_passed_over=taken[length - 1] & left[0:length - 1].any()
            if self._config.tds == "out_of_order" else left[length - 1] & taken[length - 2],
            every_thread_another_entry=count_ones(taken) == min(threads, length),
            nothing_to_take=~self.entries.as_value().any(),
        )
        return m
