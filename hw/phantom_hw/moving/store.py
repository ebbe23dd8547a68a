"""Row store: the values of rows between their gathering and their sending."""

from __future__ import annotations

from amaranth.hdl import Module, Mux
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.config import PhantomConfig

__all__ = ["RowStore", "lanes_layout"]

LUT_RAM_DEPTH = 64
"""Up to this depth the store is better made of LUTs."""


def lanes_layout(config: PhantomConfig) -> data.StructLayout:
    """A write of all lanes if ``enable``: those of ``first`` in the word ``low``, the others in the word ``high``."""
    address = RowStore.address_bits(config)
    return data.StructLayout({
        "low": address, "high": address, "first": config.moving_link, "enable": 1,
        "values": data.ArrayLayout(config.operand_width, config.moving_link),
    })


class RowStore(wiring.Component):
    """A small RAM a lane, used in a circle: a word holds ``moving_link`` flat positions of a row.

    A word is never read in the cycle in which it is written.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    write : In, lanes_layout
    place : In
    values : Out, array of moving_link values
        The word at ``place``, in the same cycle.
    """

    SPARE = 12
    """Words more than a row's: what is written while a complete row is on its way through the mask former."""

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__({
            "write": In(lanes_layout(config)),
            "place": In(self.address_bits(config)),
            "values": Out(data.ArrayLayout(config.operand_width, config.moving_link)),
        })

    @classmethod
    def depth(cls, config: PhantomConfig) -> int:
        """Words of the store."""
        return 1 << cls.address_bits(config)

    @classmethod
    def address_bits(cls, config: PhantomConfig) -> int:
        """Bits of a word's place."""
        return ceil_log2(config.row_width // config.moving_link + cls.SPARE)

    def elaborate(self, platform):
        m = Module()
        depth = self.depth(self._config)
        attrs: dict = {"no_rw_check": 1}
        if depth <= LUT_RAM_DEPTH:
            attrs["ram_style"] = "distributed"
        for lane in range(self._config.moving_link):
            memory = Memory(shape=self._config.operand_width, depth=depth, init=[], attrs=attrs)
            m.submodules[f"lane_{lane}"] = memory
            write, read = memory.write_port(), memory.read_port(domain="comb")
            m.d.comb += [
                write.en.eq(self.write.enable), write.data.eq(self.write.values[lane]),
                write.addr.eq(Mux(self.write.first[lane], self.write.low, self.write.high)),
                read.addr.eq(self.place), self.values[lane].eq(read.data),
            ]
        return m
