"""Row values of a PE: what the threads multiply, in RAMs, one copy a thread."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import select

__all__ = ["RowValues"]


class RowValues(wiring.Component):
    """D slots of ``row_width`` values, written ``moving_link`` values a cycle, read by T threads at once.

    Values lie at their position (zeros are stored, never read), so a read needs no rank of a mask. The copies of the
    first ``row_blocks`` threads lie in block RAM, the others in LUT-RAM.

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
        for k in range(self._config.threads):
            copy = self._in_block_ram if k < self._config.row_blocks else self._in_lut_ram
            m.d.comb += self.read_values[k].eq(copy(m, k))
        return m

    def _in_lut_ram(self, m: Module, k: int) -> Value:
        """What thread ``k`` reads of its copy, which is chosen before the register: a bank for each value of a beat."""
        config, banks = self._config, self._config.moving_link
        low, high = self._place(k)
        words = []
        for bank in range(banks):
            memory = Memory(shape=config.operand_width, depth=self._depth, init=[],
                            attrs={"no_rw_check": 1} | ({"ram_style": "distributed"} if banks > 1 else {}))
            m.submodules[f"thread{k}_bank{bank}"] = memory
            self._write(m, memory.write_port(), self.values[bank])
            read = memory.read_port(domain="comb")
            m.d.comb += read.addr.eq(high)
            words.append(read.data)
        value = Signal(config.operand_width, name=f"value{k}", reset_less=True)
        m.d.sync += value.eq(Mux(self.read[k], select(low, words), 0))
        return value

    def _in_block_ram(self, m: Module, k: int) -> Value:
        """What thread ``k`` reads of its copy, which is chosen behind the RAM's register: all values of a beat."""
        low, high = self._place(k)
        memory = Memory(shape=self.values.shape(), depth=self._depth, init=[],
                        attrs={"no_rw_check": 1, "ram_style": "block"})
        m.submodules[f"thread{k}_beats"] = memory
        self._write(m, memory.write_port(), self.values)
        read = memory.read_port(domain="comb")
        # synthesis makes `beat` the RAM's own register
        beat = Signal(self.values.shape(), name=f"beat{k}", reset_less=True)
        chosen, there = Signal.like(low, name=f"chosen{k}"), Signal(name=f"there{k}")
        m.d.comb += read.addr.eq(high)
        m.d.sync += [beat.eq(read.data), chosen.eq(low), there.eq(self.read[k])]
        return Mux(there, select(chosen, list(beat)), 0)

    @property
    def _depth(self) -> int:
        """Beats of all slots."""
        return self._config.row_slots << self.beat_bits(self._config)

    def _place(self, k: int) -> tuple[Value, Value]:
        """Where thread ``k`` reads: the place in a beat and the beat."""
        position, bank_bits = self.read_position[k], ceil_log2(self._config.moving_link)
        return position[:bank_bits], Cat(position[bank_bits:], self.read_slot[k])

    def _write(self, m: Module, port, values) -> None:
        """Write a beat."""
        m.d.comb += [
            port.en.eq(self.write), port.addr.eq(Cat(self.write_beat, self.write_slot)), port.data.eq(values),
        ]
