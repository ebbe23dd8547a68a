"""Item store of a PE: a ring of stationary operands that stay until their last product is on its way."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import item_layout
from phantom_hw.core.logic import add_small

__all__ = ["ItemStore", "operand_layout"]


def operand_layout(config: PhantomConfig) -> data.StructLayout:
    """What a thread reads of an item: the values, and the address of output position 0 in a half of the bank."""
    return data.StructLayout({
        "values": data.ArrayLayout(config.operand_width, config.threads),
        "dest": ceil_log2(config.acc_depth),
    })


class ItemStore(wiring.Component):
    """A ring of ``item_slots`` items with two heads for the lookahead and a read port for each thread.

    Items are pushed at the back. The lookahead reads the control bits of the items ``current`` and ``current + 1``;
    threads read the operands of any item that is still ``live``.

    Members
    -------
    push : In, 1; item : In, item_layout
        Ignored while ``full``.
    current, live, live_next : In
        Ring numbers (modulo twice the slots) of the item being scheduled and of the oldest one in use, now and in the
        next cycle.
    full : Out
        From a register.
    waiting : Out, 2 bits
        The items ``current`` and ``current + 1`` are there.
    empty : Out
        No item is in use.
    heads : Out, array of 2 of {mask, row_last, tile_last}
    read_item : In, array of T item numbers; operands : Out, array of T operand_layout
        The operands follow a cycle later.

    Latency: a pushed item can be scheduled in the next cycle.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        self._bits = ceil_log2(config.item_slots)
        self._head = data.StructLayout({"mask": config.threads, "row_last": 1, "tile_last": 1})
        number = self._bits + 1
        super().__init__({
            "push": In(1),
            "item": In(item_layout(config)),
            "current": In(number),
            "live": In(number),
            "live_next": In(number),
            "full": Out(1),
            "waiting": Out(2),
            "empty": Out(1),
            "heads": Out(data.ArrayLayout(self._head, 2)),
            "read_item": In(data.ArrayLayout(self._bits, config.threads)),
            "operands": Out(data.ArrayLayout(operand_layout(config), config.threads)),
        })

    def elaborate(self, platform):
        m = Module()
        config, bits = self._config, self._bits
        back = Signal(bits + 1)
        push = Signal()
        following = Signal(bits + 1)
        m.d.comb += [
            self.empty.eq(back == self.live),
            push.eq(self.push & ~self.full),
            following.eq(add_small(self.current, 1, bits + 1)),
            self.waiting[0].eq(back != self.current),
            self.waiting[1].eq(self.waiting[0] & (back != following)),
        ]
        m.d.sync += self.full.eq(Mux(push, add_small(back, 1, bits + 1) ^ self.live_next == config.item_slots,
                                     back ^ self.live_next == config.item_slots))
        with m.If(push):
            m.d.sync += back.eq(back + 1)

        memory = Memory(shape=self._head, depth=config.item_slots, init=[], attrs={"ram_style": "distributed"})
        m.submodules.control = memory
        write = memory.write_port()
        m.d.comb += [
            write.en.eq(push),
            write.addr.eq(back[:bits]),
            write.data.mask.eq(self.item.mask),
            write.data.row_last.eq(self.item.row_last),
            write.data.tile_last.eq(self.item.tile_last),
        ]
        for i in range(2):
            read = memory.read_port(domain="comb")
            m.d.comb += [read.addr.eq(following if i else self.current), self.heads[i].eq(read.data)]

        for k in range(config.threads):
            memory = Memory(shape=operand_layout(config), depth=config.item_slots, init=[],
                            attrs={"ram_style": "distributed", "no_rw_check": 1})
            m.submodules[f"operands{k}"] = memory
            write = memory.write_port()
            read = memory.read_port(domain="comb")
            m.d.comb += [
                write.en.eq(push),
                write.addr.eq(back[:bits]),
                write.data.values.eq(self.item.values),
                write.data.dest.eq(self.item.dest),
                read.addr.eq(self.read_item[k]),
            ]
            m.d.sync += self.operands[k].eq(read.data)
        return m
