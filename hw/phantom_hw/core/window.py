"""The lookahead window: groups of entries between the lookahead masks and the selector."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import TABLE_BITS, any_of, lookup, popcount

__all__ = ["TILE_BITS", "Window", "count_bits", "counted", "counted_in_group", "tag_layout"]

TILE_BITS = 2
"""Tiles are numbered modulo 4: those before the drain, being drained, and two under way differ."""


def tag_layout(config: PhantomConfig) -> data.StructLayout:
    """What a group carries through the window: its item, row and tile, and its number within the item.

    ``item`` and ``row`` count modulo twice the number of slots, so that a full store differs from an empty one. Of the
    tile only the lowest bit is kept: groups in a window belong to two tiles at the most.
    """
    return data.StructLayout({
        "item": ceil_log2(config.item_slots) + 1,
        "row": ceil_log2(config.row_slots) + 1,
        "tile": 1,
        "group": ceil_log2(config.max_groups),
    })


COUNTED = 2
"""Entries of a group whose set bits are counted together; to count all would make the way into the window longer."""


def counted_in_group(config: PhantomConfig) -> list[tuple[int, int]]:
    """The runs of entries (first, behind the last) of a group whose set bits are counted."""
    return [(start, min(start + COUNTED, config.group)) for start in range(0, config.group, COUNTED)]


def counted(config: PhantomConfig) -> list[tuple[int, int]]:
    """The runs of entries (first, behind the last) of the window whose set bits are counted, group by group."""
    return [(first + start, first + stop)
            for first in range(0, config.lookahead, config.group)
            for start, stop in counted_in_group(config)]


def count_bits(config: PhantomConfig) -> int:
    """Width of a count of set bits."""
    return bits_for(min(COUNTED, config.group) * config.threads)


class Window(wiring.Component):
    """Up to L_f / G groups of G entries; groups leave at the head and enter behind the last one.

    In a cycle without ``hold``: entries in ``taken`` are cleared; the groups at the head that are ``finished`` leave;
    of the groups ``offered``, as many enter as there is room for (with ``skip_empty``, offered groups without a set bit
    are consumed but do not enter). A group that enters in this cycle is seen by the selector in the next. With
    ``hold`` nothing changes. Counts of groups are in unary (bits 0..n-1 set), which needs no arithmetic.

    What the selector answers late touches few bits: a mask stays as it came and one bit an entry tells that it
    waits; set bits are counted when a group enters, and what the selector spends is taken off.

    Parameters
    ----------
    config : PhantomConfig
        Uses ``lookahead``, ``group``, ``refill``, ``skip_empty``, ``threads``.

    Members
    -------
    masks : Out, array of L_f masks of T bits; waiting : Out, L_f bits
        The groups in the window, the oldest first, as they were offered; which of their entries were not taken yet.
    entries : Out, array of L_f masks of T bits
        ``masks`` where ``waiting``, 0 elsewhere.
    counts : Out, array of counts
        Set bits of ``entries``, of the runs of entries that :func:`counted` gives.
    tags : Out, array of L_f/G tags
    present : Out, L_f/G bits
        Groups in the window, in unary. All else is 0 where a group is absent.
    taken : In, L_f bits; finished : In, L_f/G bits
        The selector's answer to ``entries``: which are worked on now, and how many head groups that empties, in unary.
    spent : In, array of numbers 0..T
        Set bits of the taken entries, of the same runs.
    offered : In, array of L_f/G groups of G masks; ``offered_tags`` their tags
    available : In, L_f/G bits
        How many of them are really offered, in unary; at most ``refill``.
    hold : In
    consumed : Out, L_f/G bits
        How many of the offered groups leave the stream in this cycle, in unary.

    Latency: 1 cycle from offered to entries. Throughput: ``refill`` groups a cycle.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        groups = config.window_groups
        group = data.ArrayLayout(config.threads, config.group)
        super().__init__({
            "masks": Out(data.ArrayLayout(config.threads, config.lookahead)),
            "waiting": Out(config.lookahead),
            "entries": Out(data.ArrayLayout(config.threads, config.lookahead)),
            "counts": Out(data.ArrayLayout(count_bits(config), len(counted(config)))),
            "tags": Out(data.ArrayLayout(tag_layout(config), groups)),
            "present": Out(groups),
            "taken": In(config.lookahead),
            "finished": In(groups),
            "spent": In(data.ArrayLayout(bits_for(config.threads), len(counted(config)))),
            "offered": In(data.ArrayLayout(group, groups)),
            "offered_tags": In(data.ArrayLayout(tag_layout(config), groups)),
            "available": In(groups),
            "hold": In(1),
            "consumed": Out(groups),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        groups, size = config.window_groups, config.group
        per_group = len(counted_in_group(config))

        leaves = [Signal(name=f"leaves{g}") for g in range(groups)]  # unary: the head groups with nothing left
        for g in range(groups):
            m.d.comb += leaves[g].eq(self.present[g] & self.finished[g])

        for i in range(config.lookahead):
            m.d.comb += self.entries[i].eq(Mux(self.waiting[i], self.masks[i], 0))

        # one packed word a group: what it is and what is left of it; the bits that wait for the selector come last
        kept = []
        for g in range(groups):
            entries, runs = range(g * size, (g + 1) * size), range(g * per_group, (g + 1) * per_group)
            kept.append(Cat(
                self.present[g], *(self.masks[i] for i in entries), self.tags[g],
                *(self.waiting[i] & ~self.taken[i] for i in entries),
                *(self._less(self.counts[r], self.spent[r]) for r in runs),
            ))
        offered, consume = self._offer(m)

        # place s gets old group s + leaving, or else offered group s - staying; absent groups are zeros, so OR merges
        words = []
        for s in range(groups):
            shifted = []
            for k in range(groups - s):
                exactly = (leaves[k - 1] if k else 1) & ~leaves[k]
                shifted.append(Mux(exactly, kept[s + k], 0))
            old = Signal(len(kept[0]), name=f"kept{s}")
            m.d.comb += old.eq(any_of(shifted))
            words.append(old)

        # how many stay, one-hot: the level is known early, so this waits for the selector only once
        unary = [Const(1), *self.present, Const(0)]
        level = [unary[n] & ~unary[n + 1] for n in range(groups + 1)]
        unary = [Const(1), *leaves, Const(0)]
        staying = [Signal(name=f"staying{n}") for n in range(groups + 1)]
        for n in range(groups + 1):
            m.d.comb += staying[n].eq(any_of(
                [level[n + k] & unary[k] & ~unary[k + 1] for k in range(groups + 1 - n)]))
        for s in range(groups):
            fresh = []
            for behind in range(s + 1):
                fresh.append(Mux(staying[behind], offered[s - behind], 0))
            entered = Signal(len(kept[0]), name=f"entered{s}")
            m.d.comb += entered.eq(any_of(fresh))
            with m.If(~self.hold):
                m.d.sync += Cat(
                    self.present[s], *(self.masks[s * size + e] for e in range(size)), self.tags[s],
                    self.waiting[s * size:(s + 1) * size], *(self.counts[s * per_group + r] for r in range(per_group)),
                ).eq(words[s] | entered)
        # unary: free places; k leaving groups make room for group i if at most groups - 1 - i + k were there
        room = [any_of([leaving & ~there for leaving, there in
                        zip([Const(1), *leaves], [*self.present[groups - 1 - i:], Const(0)], strict=False)])
                for i in range(groups)]
        with m.If(~self.hold):
            m.d.comb += self.consumed.eq(Cat(*consume(room)))
        return m

    def _less(self, total, spent):
        """``total - spent``, which is not negative."""
        if len(total) + len(spent) <= TABLE_BITS:
            return lookup([total, spent], lambda a, b: max(a - b, 0), len(total))
        return (total - spent)[:len(total)]

    def _offer(self, m: Module):
        """The words to enter, in order (zeros where there is none), and a function from room to what is consumed."""
        config = self._config
        groups = config.window_groups
        words = []
        for i in range(groups):
            counts = []
            for start, stop in counted_in_group(config):
                bits = self.offered[i].as_value()[start * config.threads:stop * config.threads]
                count = Signal(count_bits(config))
                m.d.comb += count.eq(popcount(bits))
                counts.append(count)
            words.append(Cat(self.available[i], self.offered[i], self.offered_tags[i],
                             Const(-1, config.group), *counts))
        if not config.skip_empty:
            # what does not fit falls off the end of the window by itself
            offered = [Mux(self.available[i], words[i], 0) for i in range(groups)]
            return offered, lambda room: [self.available[i] & room[i] for i in range(groups)]

        # rank: full groups among the first i, in unary; the full group with rank r goes to place r
        full = [Signal(name=f"full{i}") for i in range(groups)]
        rank = [1] + [0] * groups
        places: list[list] = [[] for _ in range(groups)]
        enough = []
        for i in range(groups):
            m.d.comb += full[i].eq(self.available[i] & self.offered[i].as_value().any())
            for place in range(i + 1):
                places[place].append(Mux(full[i] & rank[place] & ~rank[place + 1], words[i], 0))
            above = [Signal(name=f"rank{i}_{place}") for place in range(groups)]
            m.d.comb += [above[place].eq(Mux(full[i], rank[place], rank[place + 1])) for place in range(groups)]
            rank = [1, *above]
            enough.append(above)
        offered = [any_of(place) for place in places]

        def consumed(room):
            """Group i is consumed if all full groups up to it find room."""
            return [self.available[i] & ~any_of([count & ~free for count, free in zip(enough[i], room, strict=True)])
                    for i in range(groups)]
        return offered, consumed
