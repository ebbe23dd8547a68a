"""Row values of a PE: what the threads multiply, in small RAMs, one copy a thread."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import select

__all__ = ["RowValues"]


class RowValues(wiring.Component):
    """D slots of ``row_width`` values, written ``moving_link`` values a cycle, read by T threads at once.

    Values lie at their position (zeros are stored, never read), so a read needs no rank of a mask.

    Members
    -------
    write : In, 1; write_slot, write_beat : In; values : In, array of moving_link values
        Writes the positions ``write_beat * moving_link`` onwards of a slot.
    read : In, T bits; read_slot, read_position : In, arrays of T
    read_values : Out, array of T values
        A cycle later; 0 where nothing was read.

    Latency: 1 cycle from address to value; a write is seen by a read in the next cycle.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        slot, position = ceil_log2(config.row_slots), ceil_log2(config.row_width)
        super().__init__({
            "write": In(1),
            "write_slot": In(slot),
            "write_beat": In(self.beat_bits(config)),
            "values": In(data.ArrayLayout(config.operand_width, config.moving_link)),
            "read": In(config.threads),
            "read_slot": In(data.ArrayLayout(slot, config.threads)),
            "read_position": In(data.ArrayLayout(position, config.threads)),
            "read_values": Out(data.ArrayLayout(config.operand_width, config.threads)),
        })

    @staticmethod
    def beat_bits(config: PhantomConfig) -> int:
        """Width of the number of a value beat within a row."""
        return ceil_log2(config.row_width // config.moving_link)

    def elaborate(self, platform):
        m = Module()
        config = self._config
        banks = config.moving_link
        bank_bits = ceil_log2(banks)
        depth = config.row_slots << self.beat_bits(config)
        for k in range(config.threads):
            position = self.read_position[k]
            words = []
            for bank in range(banks):
                memory = Memory(shape=config.operand_width, depth=depth, init=[],
                                attrs={"no_rw_check": 1} | ({"ram_style": "distributed"} if banks > 1 else {}))
                m.submodules[f"thread{k}_bank{bank}"] = memory
                write, read = memory.write_port(), memory.read_port(domain="comb")
                m.d.comb += [
                    write.en.eq(self.write),
                    write.addr.eq(Cat(self.write_beat, self.write_slot)),
                    write.data.eq(self.values[bank]),
                    read.addr.eq(Cat(position[bank_bits:], self.read_slot[k])),
                ]
                words.append(read.data)
            value = Signal(config.operand_width, name=f"value{k}", reset_less=True)
            m.d.sync += value.eq(Mux(self.read[k], select(position[:bank_bits], words), 0))
            m.d.comb += self.read_values[k].eq(value)
        return m
