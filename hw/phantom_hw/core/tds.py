"""Top-down selector (TDS): which entries of the window the threads work on in this cycle."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import any_of, lookup, more_than, popcount
from phantom_hw.core.window import count_bits, counted, counted_in_group

__all__ = ["TopDownSelector"]


class TopDownSelector(wiring.Component):
    """Select the entries that fill T threads, from the top of the window (paper section III-C).

    The selector walks the window with the capacity T. An entry with p set bits fits if p is at most
    the capacity that is left, and takes p of it. ``out_of_order`` passes over an entry that does not fit,
    ``in_order`` stops there (the capacity becomes 0, so that nothing below fits either).

    The walk is a chain of functions {0..T} -> {0..T}. It ripples through blocks of ``BLOCK`` entries, in all blocks at
    once and for each capacity that may be left above a block; then the real one chooses, as a carry does in a
    carry-select adder. Which groups are finished does not wait for the walk: the first n groups are taken
    whole exactly if they have at most T set bits in all, and the window knows how many each group has.

    Parameters
    ----------
    config : PhantomConfig
        Uses ``threads``, ``lookahead`` and ``tds``.

    Members
    -------
    entries : In, array of L_f masks of T bits
        The window's entries, the oldest first; an absent entry is 0.
    counts : In, array of counts
        The set bits of the runs of entries that :func:`~.window.counted` gives.
    taken : Out, L_f bits
        The entries selected now (an empty entry is never selected).
    finished : Out, L_f/G bits
        In unary, the groups from the top of which nothing is left after this cycle.
    spent : Out, array of numbers 0..T
        The set bits of the selected entries of each run.
    capacity : Out, array of L_f numbers 0..T
        What was left of the capacity above each entry: a taken entry starts at thread T - capacity.

    Latency: combinational. Throughput: one selection of up to T products a cycle; at least one entry is taken
    whenever one is not empty, because the topmost nonempty entry always fits.
    """

    BLOCK = 6
    TABLE_THREADS = 4
    """Up to this many threads a step is a truth table, above it a subtraction."""

    def __init__(self, config: PhantomConfig):
        self._config = config
        entries, threads = config.lookahead, config.threads
        super().__init__({
            "entries": In(data.ArrayLayout(threads, entries)),
            "counts": In(data.ArrayLayout(count_bits(config), len(counted(config)))),
            "taken": Out(entries),
            "finished": Out(config.window_groups),
            "spent": Out(data.ArrayLayout(bits_for(threads), len(counted(config)))),
            "capacity": Out(data.ArrayLayout(bits_for(threads), entries)),
        })

    def _step(self, capacity, count):
        """The capacity left below an entry with ``count`` set bits."""
        threads = self._config.threads
        in_order = self._config.tds == "in_order"
        if threads <= self.TABLE_THREADS:
            def rest(c: int, p: int) -> int:
                return c - p if p <= c else (0 if in_order else c)
            return lookup([capacity, count], rest, len(capacity))
        return Mux(count <= capacity, (capacity - count)[:len(capacity)], 0 if in_order else capacity)

    def _fits(self, capacity, count):
        if self._config.threads <= self.TABLE_THREADS:
            return lookup([capacity, count], lambda c, p: p <= c, 1)
        return count <= capacity

    def elaborate(self, platform):
        m = Module()
        threads, length = self._config.threads, self._config.lookahead
        width = bits_for(threads)

        counts = [Signal(width, name=f"count{i}") for i in range(length)]
        for i, count in enumerate(counts):
            m.d.comb += count.eq(popcount(self.entries[i]))

        # signals of their own: a constant assigned to a part of a signal is an `always @*` that no simulator runs
        self._above = [Signal(width, name=f"above{i}") for i in range(length)]
        m.d.comb += [capacity.eq(above) for capacity, above in zip(self.capacity, self._above, strict=True)]
        blocks = [range(start, min(start + self.BLOCK, length)) for start in range(0, length, self.BLOCK)]
        into = None
        for number, block in enumerate(blocks):
            of_block = [counts[i] for i in block]
            if into is None:  # the whole capacity is there: one walk, nothing to choose
                into = self._answer(m, block, self._walk(m, number, threads, of_block), of_block)
                continue
            below = Signal(width, name=f"below_block{number}")
            walks = [self._walk(m, number, start, of_block) for start in range(threads + 1)]
            with m.Switch(into):
                for start, walk in enumerate(walks):
                    with m.Case(start):
                        m.d.comb += below.eq(self._answer(m, block, walk, of_block))
            into = below
        self._finish(m)
        self._spend(m, counts, [*self._above, into])
        return m

    def _answer(self, m: Module, block, walk, counts):
        """Give the answers of a block for one walk through it; the capacity below it."""
        for i, capacity, count in zip(block, walk[:-1], counts, strict=True):
            m.d.comb += [self._above[i].eq(capacity), self.taken[i].eq(self._fits(capacity, count) & (count != 0))]
        return walk[-1]

    def _walk(self, m: Module, number: int, start: int, counts):
        """The capacity above each entry of a block, and below it, if it is ``start`` above the block."""
        walk = [Const(start, bits_for(self._config.threads))]
        for step, count in enumerate(counts):
            below = Signal(len(walk[0]), name=f"from{start}_block{number}_{step + 1}")
            m.d.comb += below.eq(self._step(walk[-1], count))
            walk.append(below)
        return walk

    def _finish(self, m: Module):
        """Add the counts in unary, up to T + 1: those of each group, then the groups from the top."""
        threads, groups, top = self._config.threads, self._config.window_groups, None
        per_group = len(counted_in_group(self._config))
        for g in range(groups):
            group = [[more_than(count, k) for k in range(threads + 1)]
                     for count in list(self.counts)[g * per_group:(g + 1) * per_group]]
            while len(group) > 1:
                pairs = [group[i:i + 2] for i in range(0, len(group), 2)]
                group = [self._add_unary(m, *pair) if len(pair) == 2 else pair[0] for pair in pairs]
            top = self._add_unary(m, top, group[0]) if g else group[0]
            m.d.comb += self.finished[g].eq(~top[threads])

    def _spend(self, m: Module, counts, capacities):
        """What each run of entries takes of the capacity."""
        for run, (start, stop) in enumerate(counted(self._config)):
            if self._config.tds == "out_of_order":
                above, below = capacities[start], capacities[stop]
                spent = lookup([above, below], lambda a, b: max(a - b, 0), len(above)) \
                    if self._config.threads <= self.TABLE_THREADS else above - below
            else:  # the capacity becomes 0 where the selection stops: it does not tell what was taken
                spent = sum((Mux(self.taken[i], counts[i], 0) for i in range(start, stop)), Const(0))
            m.d.comb += self.spent[run].eq(spent)

    def _add_unary(self, m: Module, a, b):
        """Bit k - 1 of a unary number tells that it is at least k."""
        total = Signal(self._config.threads + 1)
        for k in range(1, len(total) + 1):
            terms = [a[k - 1], b[k - 1]] + [a[i - 1] & b[k - i - 1] for i in range(1, k)]
            m.d.comb += total[k - 1].eq(any_of(terms))
        return total
