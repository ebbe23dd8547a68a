"""The memory of a stationary buffer: written in words of the bus, read in lines that can hold a packet."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.stationary.choice import select
from phantom_hw.stationary.layouts import WORD_BYTES, line_bytes

__all__ = ["StationaryBuffer", "place_bits"]


def place_bits(config: PhantomConfig) -> int:
    """Bits of a place that counts in words of the bus."""
    return exact_log2(config.stationary_words * WORD_BYTES * 8 // config.bus_width)


class StationaryBuffer(wiring.Component):
    """A memory whose rows are words of the bus or lines, whichever are longer.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    write : In, stream of {place, data}, always ready
        ``place`` counts in words of the bus.
    place : In, exact_log2(stationary_words) bits
        A word in the line that is wanted.
    enable : In
    line : Out, 8 * line_bytes bits
        The line of the last enabled cycle.

    Latency: 1 cycle. Throughput: 1 line and 1 word of the bus a cycle.
    """

    def __init__(self, config: PhantomConfig):
        self._config, self._line = config, line_bytes(config)
        super().__init__({
            "write": In(stream.Signature(
                data.StructLayout({"place": place_bits(config), "data": config.bus_width}), always_ready=True)),
            "place": In(exact_log2(config.stationary_words)),
            "enable": In(1),
            "line": Out(8 * self._line),
        })

    def elaborate(self, platform):
        m = Module()
        config, bus = self._config, self._config.bus_width // 8
        row = max(bus, self._line)
        rows = config.stationary_words * WORD_BYTES // row
        m.submodules.memory = memory = Memory(
            shape=8 * row, depth=max(2, rows), init=[], attrs={"no_rw_check": 1})
        write, read = memory.write_port(granularity=8 * bus), memory.read_port()
        part = self.write.payload.place[:exact_log2(row // bus)]
        within = self.place[exact_log2(self._line // WORD_BYTES):exact_log2(row // WORD_BYTES)]
        chosen = Signal.like(within) if len(within) else None
        m.d.comb += [
            write.en.eq(self.write.valid << part), write.addr.eq(self.write.payload.place >> len(part)),
            write.data.eq(self.write.payload.data.replicate(row // bus)),
            read.en.eq(self.enable), read.addr.eq(self.place >> exact_log2(row // WORD_BYTES)),
            self.line.eq(read.data if chosen is None else select(
                [read.data[start:start + 8 * self._line] for start in range(0, 8 * row, 8 * self._line)], chosen)),
        ]
        if chosen is not None:
            with m.If(self.enable):
                m.d.sync += chosen.eq(within)
        return m
