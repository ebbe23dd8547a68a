"""Packets one after another out of the lines of a buffer: where each begins, and its bytes."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.stationary.choice import count_bits, select
from phantom_hw.stationary.layouts import (
    WORD_BYTES,
    code_bits,
    header_bytes,
    items_header,
    layer_header,
    line_bytes,
    packet_bytes,
)

__all__ = ["PacketWindow", "raw_layout"]


def raw_layout(config: PhantomConfig) -> data.StructLayout:
    """As many bytes as a packet may have, its own first; whether places are ``wide``; the cores that get it."""
    return data.StructLayout({"bytes": 8 * packet_bytes(config), "wide": 1, "rows": config.mesh_rows})


class PacketWindow(wiring.Component):
    """Two lines of a buffer, in the first of which the next packet begins.

    When a line becomes the first one, each of its bytes is looked at as if a packet began there, so that only the
    choice of the right one and an addition lie between a packet's place and the next one's.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    start : In
        Go on at word ``offset`` after this cycle.
    offset : In, exact_log2(stationary_words) bits
    take : In
        The packet is taken; only when ``ready``.
    ready : Out
        A packet is there.
    bytes : Out, 8 * packet_bytes bits
    wide : Out
    place : Out, exact_log2(stationary_words) bits
    enable : Out
    line : In, 8 * line_bytes bits
        Place and answer of a :class:`~phantom_hw.stationary.buffer.StationaryBuffer`.

    Latency: ``FILL + 1`` cycles from start to ready. Throughput: 1 packet a cycle.
    """

    FILL = 3

    def __init__(self, config: PhantomConfig):
        self._config, self._line = config, line_bytes(config)
        place = exact_log2(config.stationary_words)
        super().__init__({
            "start": In(1), "offset": In(place), "take": In(1), "ready": Out(1),
            "bytes": Out(8 * packet_bytes(config)), "wide": Out(1),
            "place": Out(place), "enable": Out(1), "line": In(8 * self._line),
        })

    def elaborate(self, platform):
        m = Module()
        config, size = self._config, self._line
        first, second = (Signal(8 * size, name=name, reset_less=True) for name in ("first", "second"))
        looks = Signal(data.ArrayLayout(self._look_layout(), size), reset_less=True)  # at each byte of the first line
        filling, at, steps = Signal(range(self.FILL + 1)), Signal(exact_log2(size)), Signal()
        look, total = Signal(self._look_layout()), Signal(exact_log2(size) + 1)
        narrow, wide = (header_bytes(items_header(config, wide=wide)) for wide in (False, True))
        m.d.comb += [
            look.eq(select([Value.cast(looks[i]) for i in range(size)], at)),
            total.eq(Mux(look.layer, at, at + Mux(self.wide, wide, narrow)) + look.length),
            steps.eq((filling != 0) | (self.take & total[-1])),
            self.enable.eq(steps), self.ready.eq(filling == 0), self.bytes.eq(self._from_byte(Cat(first, second), at)),
        ]
        with m.If(steps):
            m.d.sync += [
                first.eq(second), second.eq(self.line), self.place.eq(self.place + size // WORD_BYTES),
                *(looks[i].eq(self._look(Cat(second, self.line)[8 * i:])) for i in range(size)),
            ]
        with m.If(self.take):
            m.d.sync += [at.eq(total), self.wide.eq(Mux(look.layer, look.wide, self.wide))]
        with m.If(self.start):
            m.d.sync += [filling.eq(self.FILL), self.place.eq(self.offset),
                         at.eq((self.offset * WORD_BYTES)[:exact_log2(size)])]
        with m.Elif(filling != 0):
            m.d.sync += filling.eq(filling - 1)
        return m

    def _look_layout(self) -> data.StructLayout:
        """A packet's bytes besides the header of items; whether it is a layer; the places that follow a layer."""
        return data.StructLayout({"length": bits_for(packet_bytes(self._config)), "layer": 1, "wide": 1})

    def _look(self, header: Value) -> Value:
        """What is to be known of the packet that begins with these bits."""
        config, bits = self._config, code_bits(self._config)
        code, count = header[:bits], config.pe_cols * config.threads
        layer = code == 2 * config.pe_rows
        set_bits = count_bits(list(header[bits:bits + count]))
        length = (set_bits * config.operand_width + 7) >> 3
        length = Mux(code < 2 * config.pe_rows, length, Mux(layer, header_bytes(layer_header(config)), 0))
        return Cat(length[:bits_for(packet_bytes(config))], layer, header[bits])

    def _from_byte(self, value: Value, place: Value) -> Value:
        """As many bytes as a packet may have, from a place on."""
        for bit in reversed(range(len(place))):
            step, keep = 8 << bit, 8 * (packet_bytes(self._config) + (1 << bit) - 1)
            value = Mux(place[bit], value[step:step + keep], value[:keep])
        return value
