"""The slots of a load command: requests for them, and what the units behind must know of each."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.memory.burst import request_layout
from phantom_hw.memory.parameters import bus_parameters
from phantom_hw.memory.slots import slot_header_layout

__all__ = ["COUNT_BITS", "PITCH_BITS", "SlotRequests", "piece_bits", "slot_layout", "walk_layout"]

COUNT_BITS = 16
PITCH_BITS = 32


def piece_bits(config: PhantomConfig) -> int:
    """Bits of a number of positions of a dense word."""
    return bits_for(config.moving_link)


def walk_layout(config: PhantomConfig) -> data.StructLayout:
    """Which slots: ``channels`` of ``lines`` of ``slots``; with ``fill`` none, but ``lines`` rows of zeros."""
    positions = bits_for(config.chunk)
    return data.StructLayout({
        "fill": 1, "address": config.address_width, "channel_pitch": PITCH_BITS, "line_pitch": PITCH_BITS,
        "slot_pitch": PITCH_BITS, "channels": COUNT_BITS, "lines": COUNT_BITS, "slots": COUNT_BITS,
        "positions": positions, "last_positions": positions,
    })


def slot_layout(config: PhantomConfig) -> data.StructLayout:
    """A slot or a row of zeros to come.

    ``last`` is how many positions its last dense word has. ``line``, ``channel`` and ``command`` tell that a line, a
    channel, the command ends with it.
    """
    return data.StructLayout({"last": piece_bits(config), "line": 1, "channel": 1, "command": 1})


class SlotRequests(wiring.Component):
    """Walk through the slots of a load command and request each in its full size.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    source : In, stream of walk_layout
    request : Out, stream of request_layout
    header : Out, stream of slot_header_layout
    slot : Out, stream of slot_layout
        The three get a slot in the same cycle: ``request`` is offered when the other two are ready for it.
    busy : Out
        Slots are still to be requested.

    Latency: 1 cycle. Throughput: 1 slot a cycle; a command takes one cycle more.
    """

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__({
            "source": In(stream.Signature(walk_layout(config))),
            "request": Out(stream.Signature(request_layout(bus_parameters(config)))),
            "header": Out(stream.Signature(slot_header_layout(config))),
            "slot": Out(stream.Signature(slot_layout(config))),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        walk = Signal(walk_layout(self._config), reset_less=True)  # its counts and address are those of the next slot
        slots, lines = Signal(COUNT_BITS, reset_less=True), Signal(COUNT_BITS, reset_less=True)
        line_address, channel_address = (Signal.like(walk.address, name=name, reset_less=True)
                                         for name in ("line_address", "channel_address"))
        goes, ends_channel, ends = Signal(), Signal(), Signal()
        ends_line, last_line, last_channel = Signal(), Signal(), Signal()  # registers, as all addresses wait for them
        positions = Mux(ends_line, walk.last_positions, walk.positions)
        low = positions[:exact_log2(self._config.moving_link)]
        room = self.header.ready & self.slot.ready
        m.d.comb += [
            ends_channel.eq(ends_line & last_line), ends.eq(ends_channel & last_channel),
            goes.eq(self.busy & Mux(walk.fill, self.slot.ready, room & self.request.ready)),
            self.request.valid.eq(self.busy & ~walk.fill & room),
            self.request.payload.address.eq(walk.address), self.request.payload.length.eq(self._bytes(positions)),
            self.header.valid.eq(goes & ~walk.fill), self.slot.valid.eq(goes),
            self.header.payload.positions.eq(positions), self.header.payload.chunk.eq(self._config.chunk),
            self.slot.payload.last.eq(Mux(low == 0, self._config.moving_link, low)),
            self.slot.payload.line.eq(ends_line), self.slot.payload.channel.eq(ends_channel),
            self.slot.payload.command.eq(ends),
            self.source.ready.eq(~self.busy),
        ]
        with m.If(~self.busy):
            m.d.sync += [
                walk.eq(self.source.payload), slots.eq(self.source.payload.slots), lines.eq(self.source.payload.lines),
                line_address.eq(self.source.payload.address), channel_address.eq(self.source.payload.address),
                self.busy.eq(self.source.valid), ends_line.eq(self.source.payload.slots == 1),
                last_line.eq(self.source.payload.lines == 1), last_channel.eq(self.source.payload.channels == 1),
            ]
        with m.Elif(goes):
            self._advance(m, walk, slots, lines, line_address, channel_address, ends_line, ends_channel)
            m.d.sync += [self.busy.eq(~ends), ends_line.eq(walk.slots == 2)]
            with m.If(ends_line):
                m.d.sync += [ends_line.eq(slots == 1), last_line.eq(walk.lines == 2)]
            with m.If(ends_channel):
                m.d.sync += [last_line.eq(lines == 1), last_channel.eq(walk.channels == 2)]
        return m

    def _bytes(self, positions: Value) -> Value:
        """Bytes of a slot of so many positions without a zero."""
        width = self._config.act_width
        return -(-self._config.chunk // 8) + ((positions + 1 >> 1) if width == 4 else positions << (width // 16))

    @staticmethod
    def _advance(m: Module, walk, slots, lines, line_address, channel_address, ends_line, ends_channel) -> None:
        """On to the next slot, line or channel; one adder makes all addresses."""
        base, pitch = Signal.like(line_address), Signal(PITCH_BITS)
        following = (base + pitch)[:len(base)]
        m.d.comb += [base.eq(walk.address), pitch.eq(walk.slot_pitch)]
        m.d.sync += [walk.address.eq(following), walk.slots.eq(walk.slots - 1)]
        with m.If(ends_line):
            m.d.comb += [base.eq(line_address), pitch.eq(walk.line_pitch)]
            m.d.sync += [line_address.eq(following), walk.slots.eq(slots), walk.lines.eq(walk.lines - 1)]
        with m.If(ends_channel):
            m.d.comb += [base.eq(channel_address), pitch.eq(walk.channel_pitch)]
            m.d.sync += [channel_address.eq(following), walk.lines.eq(lines), walk.channels.eq(walk.channels - 1)]
