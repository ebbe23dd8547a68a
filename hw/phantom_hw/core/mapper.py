"""Thread mapper: the selected entries' set bits, top-down, to threads 0..T-1."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import any_of, lookup, one_hot_select, popcount
from phantom_hw.core.tds import TopDownSelector

__all__ = ["EntryMapper", "TapMapper"]


class EntryMapper(wiring.Component):
    """First half, in the selector's cycle: which entry each thread serves (paper section III-D).

    A taken entry with p set bits below a capacity c occupies the threads T-c .. T-c+p-1.

    Members
    -------
    entries : In, array of L_f masks of T bits
    taken : In, L_f bits
    capacity : In, array of L_f numbers 0..T
        As the selector gives them.
    hits : Out, array of T masks of L_f bits
        Thread k serves the entry whose bit is set in ``hits[k]``; at most one is.

    Latency: combinational.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        entries, threads = config.lookahead, config.threads
        super().__init__({
            "entries": In(data.ArrayLayout(threads, entries)),
            "taken": In(entries),
            "capacity": In(data.ArrayLayout(bits_for(threads), entries)),
            "hits": Out(data.ArrayLayout(entries, threads)),
        })

    def elaborate(self, platform):
        m = Module()
        threads = self._config.threads
        for i in range(self._config.lookahead):
            count = popcount(self.entries[i])
            capacity = self.capacity[i]
            for k in range(threads):
                if threads <= TopDownSelector.TABLE_THREADS:
                    # an entry that does not fit (p > c) is not taken: the table tells without waiting for `taken`
                    def serves(c: int, p: int, k: int = k) -> bool:
                        return p <= c and threads - c <= k < threads - c + p
                    m.d.comb += self.hits[k][i].eq(lookup([capacity, count], serves, 1))
                else:
                    first = Signal(range(threads + 1), name=f"first{k}_{i}")
                    m.d.comb += [
                        first.eq(threads - capacity),
                        self.hits[k][i].eq(self.taken[i] & (first <= k) & (k < first + count)),
                    ]
        return m


class TapMapper(wiring.Component):
    """Second half, a cycle later: which tap (bit of the entry) each thread multiplies.

    Of the threads that serve one entry, the n-th gets the entry's n-th set bit.

    Members
    -------
    entries, hits : In
        What the window held and what :class:`EntryMapper` gave in the cycle before.
    valid : Out, T bits
        Thread k has a product to compute.
    tap : Out, array of T numbers 0..T-1
    index : Out, array of T numbers 0..L_f-1
        The entry that each thread serves.

    Latency: combinational.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        entries, threads = config.lookahead, config.threads
        super().__init__({
            "entries": In(data.ArrayLayout(threads, entries)),
            "hits": In(data.ArrayLayout(entries, threads)),
            "valid": Out(threads),
            "tap": Out(data.ArrayLayout(ceil_log2(threads), threads)),
            "index": Out(data.ArrayLayout(ceil_log2(entries), threads)),
        })

    def elaborate(self, platform):
        m = Module()
        threads, length = self._config.threads, self._config.lookahead
        same = []
        for k in range(threads):
            hits = self.hits[k]
            m.d.comb += self.valid[k].eq(hits.any())
            for bit in range(ceil_log2(length)):
                chosen = [hits[i] for i in range(length) if i >> bit & 1]
                m.d.comb += self.index[k][bit].eq(any_of(chosen))
            entry = Signal(threads, name=f"entry{k}")
            m.d.comb += entry.eq(one_hot_select([hits[i] for i in range(length)],
                                                [self.entries[i] for i in range(length)]))
            # threads of one entry are neighbours: thread k's rank among them is the run of equals behind it
            if k:
                equal = Signal(name=f"same{k}")
                m.d.comb += equal.eq(self.index[k] == self.index[k - 1])
                same.append(equal)
            rank = Signal(range(max(2, k + 1)), name=f"rank{k}")
            if k == 1:
                m.d.comb += rank.eq(same[0])
            elif k > 1:
                with m.If(~same[k - 1]):
                    m.d.comb += rank.eq(0)
                for run in range(1, k + 1):
                    ends_here = same[k - 1 - run] if run < k else None
                    condition = Cat(*same[k - run:k]).all()
                    if ends_here is not None:
                        condition = condition & ~ends_here
                    with m.If(condition):
                        m.d.comb += rank.eq(run)
            if threads > 1:
                m.d.comb += self.tap[k].eq(self._nth_set_bit(m, k, entry, rank))
        return m

    def _nth_set_bit(self, m: Module, k: int, entry, rank):
        """Number of the entry's set bit that has ``rank`` set bits below it."""
        threads = self._config.threads
        width = ceil_log2(threads)
        if threads <= TopDownSelector.TABLE_THREADS:
            def nth(mask: int, n: int) -> int:
                bits = [i for i in range(threads) if mask >> i & 1]
                return bits[n] if n < len(bits) else 0
            return lookup([entry, rank], nth, width)
        matches = []
        for tap in range(threads):
            below = popcount(entry[:tap]) if tap else 0
            matches.append(entry[tap] & (rank == below))
        return Cat(*(any_of([matches[i] for i in range(threads) if i >> bit & 1]) for bit in range(width)))
