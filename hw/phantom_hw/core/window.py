"""The lookahead window: groups of entries between the lookahead masks and the selector."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import any_of

__all__ = ["TILE_BITS", "Window", "tag_layout"]

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


class Window(wiring.Component):
    """Up to L_f / G groups of G entries; groups leave at the head and enter behind the last one.

    In a cycle without ``hold``: entries in ``taken`` are cleared; the groups at the head that are ``finished`` leave;
    of the groups ``offered``, as many enter as there is room for (with ``skip_empty``, offered groups without a set bit
    are consumed but do not enter). A group that enters in this cycle is seen by the selector in the next. With
    ``hold`` nothing changes. Counts of groups are in unary (bits 0..n-1 set), which needs no arithmetic.

    Parameters
    ----------
    config : PhantomConfig
        Uses ``lookahead``, ``group``, ``refill``, ``skip_empty``, ``threads``.

    Members
    -------
    entries : Out, array of L_f masks of T bits
    tags : Out, array of L_f/G tags
        The groups in the window, the oldest first; an absent group is all zeros.
    present : Out, L_f/G bits
        Groups in the window, in unary.
    taken : In, L_f bits; finished : In, L_f/G bits
        The selector's answer to ``entries``: which are worked on now, and how many head groups that empties, in unary.
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
            "entries": Out(data.ArrayLayout(config.threads, config.lookahead)),
            "tags": Out(data.ArrayLayout(tag_layout(config), groups)),
            "present": Out(groups),
            "taken": In(config.lookahead),
            "finished": In(groups),
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

        leaves = [Signal(name=f"leaves{g}") for g in range(groups)]  # unary: the head groups with nothing left
        for g in range(groups):
            m.d.comb += leaves[g].eq(self.present[g] & self.finished[g])

        # one packed word a group: what is left of its entries, its tag, and that it is there
        kept = []
        for g in range(groups):
            entries = [Mux(self.taken[i], 0, self.entries[i]) for i in range(g * size, (g + 1) * size)]
            kept.append(Cat(self.present[g], *entries, self.tags[g]))
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
                    self.present[s], *(self.entries[s * size + e] for e in range(size)), self.tags[s],
                ).eq(words[s] | entered)
        room = [any_of(staying[:groups - i]) for i in range(groups)]  # unary: free places
        with m.If(~self.hold):
            m.d.comb += self.consumed.eq(Cat(*consume(room)))
        return m

    def _offer(self, m: Module):
        """The words to enter, in order (zeros where there is none), and a function from room to what is consumed."""
        config = self._config
        groups = config.window_groups
        words = [Cat(self.available[i], self.offered[i], self.offered_tags[i]) for i in range(groups)]
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
