"""The lookahead window: groups of entries between the lookahead masks and the selector."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import any_of

__all__ = ["Window", "tag_layout"]

TILE_BITS = 2


def tag_layout(config: PhantomConfig) -> data.StructLayout:
    """What a group carries through the window: its item, row and tile, and its first output position.

    ``item`` and ``row`` count modulo twice the number of slots, so that a full store differs from an empty one.
    """
    return data.StructLayout({
        "item": ceil_log2(config.item_slots) + 1,
        "row": ceil_log2(config.row_slots) + 1,
        "tile": TILE_BITS,
        "position": ceil_log2(config.row_width),
    })


class Window(wiring.Component):
    """Up to L_f / G groups of G entries; groups leave at the head and enter behind the last one.

    In a cycle without ``hold``: entries in ``taken`` are cleared; the groups at the head that have nothing
    ``left`` leave; of the ``available`` groups offered, as many enter as there is room for (with
    ``skip_empty``, offered groups without a set bit are consumed but do not enter). A group that enters in this
    cycle is seen by the selector in the next. With ``hold`` nothing changes.

    Parameters
    ----------
    config : PhantomConfig
        Uses ``lookahead``, ``group``, ``refill``, ``skip_empty``, ``threads``.

    Members
    -------
    entries : Out, array of L_f masks of T bits
    tags : Out, array of L_f/G tags
        The groups in the window, the oldest first; an absent group is all zeros.
    level : Out
        Groups in the window.
    taken, left : In, L_f bits
        The selector's answer to ``entries``.
    offered : In, array of L_f/G groups of G masks; ``offered_tags`` their tags
    available : In
        How many of them are really offered, at most ``refill``.
    hold : In
    consumed : Out
        How many of the offered groups leave the stream in this cycle.

    Latency: 1 cycle from offered to entries. Throughput: ``refill`` groups a cycle.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        groups = config.window_groups
        group = data.ArrayLayout(config.threads, config.group)
        super().__init__({
            "entries": Out(data.ArrayLayout(config.threads, config.lookahead)),
            "tags": Out(data.ArrayLayout(tag_layout(config), groups)),
            "level": Out(range(groups + 1)),
            "taken": In(config.lookahead),
            "left": In(config.lookahead),
            "offered": In(data.ArrayLayout(group, groups)),
            "offered_tags": In(data.ArrayLayout(tag_layout(config), groups)),
            "available": In(range(groups + 1)),
            "hold": In(1),
            "consumed": Out(range(groups + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        groups, size = config.window_groups, config.group
        count = range(groups + 1)

        leaving = Signal(count)  # groups at the head with nothing left
        present = [Signal(name=f"present{g}") for g in range(groups)]
        head_done = 1
        for g in range(groups):
            m.d.comb += present[g].eq(self.level > g)
            done = Signal(name=f"done{g}")
            m.d.comb += done.eq(head_done & present[g] & ~self.left[g * size:(g + 1) * size].any())
            head_done = done
            with m.If(done):
                m.d.comb += leaving.eq(g + 1)

        # one packed word a group: what is left of its entries, and its tag
        kept = []
        for g in range(groups):
            entries = [Mux(self.taken[i], 0, self.entries[i]) for i in range(g * size, (g + 1) * size)]
            kept.append(Cat(*entries, self.tags[g]))
        word_bits = len(kept[0])
        offered, entering, consumed = self._offer(m, leaving)

        # old group s + leaving, or offered group s - (level - leaving); absent groups are zeros, so OR merges
        staying = Signal(count)
        m.d.comb += staying.eq(self.level - leaving)
        next_words = []
        for s in range(groups):
            old = Signal(word_bits, name=f"kept{s}")
            with m.Switch(leaving):
                for k in range(groups - s):
                    with m.Case(k):
                        m.d.comb += old.eq(kept[s + k])
            new = Signal(word_bits, name=f"entered{s}")
            with m.Switch(staying):
                for behind in range(s + 1):
                    with m.Case(behind):
                        m.d.comb += new.eq(offered[s - behind])
            next_words.append(old | new)

        with m.If(~self.hold):
            m.d.comb += self.consumed.eq(consumed)
            m.d.sync += self.level.eq(staying + entering)
            for s in range(groups):
                m.d.sync += Cat(*(self.entries[s * size + e] for e in range(size)), self.tags[s]).eq(next_words[s])
        return m

    def _offer(self, m: Module, leaving):
        """The offered groups as packed words (zeros where none enters), how many enter and how many are consumed."""
        config = self._config
        groups = config.window_groups
        count = range(groups + 1)
        room = Signal(count)
        m.d.comb += room.eq(groups - self.level + leaving)
        words = [Cat(self.offered[i], self.offered_tags[i]) for i in range(groups)]
        real = [Signal(name=f"real{i}") for i in range(groups)]
        for i in range(groups):
            m.d.comb += real[i].eq(self.available > i)
        entering, consumed = Signal(count), Signal(count)
        offered = []
        if not config.skip_empty:
            with m.If(self.available > room):
                m.d.comb += entering.eq(room)
            with m.Else():
                m.d.comb += entering.eq(self.available)
            m.d.comb += consumed.eq(entering)
            for i in range(groups):
                # what does not fit falls off the end of the window by itself
                offered.append(Mux(real[i], words[i], 0))
            return offered, entering, consumed

        # rank[i]: full groups among the first i; group i goes to place rank[i] if that lies within the room
        full = [Signal(name=f"full{i}") for i in range(groups)]
        rank = Signal(count, name="rank0")
        ranks = [rank]
        for i in range(groups):
            m.d.comb += full[i].eq(real[i] & self.offered[i].as_value().any())
            rank = Signal(count, name=f"rank{i + 1}")
            m.d.comb += rank.eq(ranks[i] + full[i])
            ranks.append(rank)
        for i in range(groups):
            with m.If(real[i] & (ranks[i + 1] <= room)):
                m.d.comb += [consumed.eq(i + 1), entering.eq(ranks[i + 1])]
        for place in range(groups):
            offered.append(any_of([Mux(full[i] & (ranks[i] == place), words[i], 0) for i in range(place, groups)]))
        return offered, entering, consumed


