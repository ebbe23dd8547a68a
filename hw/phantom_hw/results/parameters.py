"""From the command PARAMETERS to the parameters of channels and a clamp, for all lanes."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import select
from phantom_hw.memory.align import dense_layout
from phantom_hw.memory.burst import request_layout
from phantom_hw.memory.gather import WordGather
from phantom_hw.memory.parameters import bus_parameters
from phantom_hw.results.layouts import PARAMETER_BYTES, SLOT_ADDRESS_BITS, clamp_layout, parameter_layout
from phantom_hw.results.requantizer import BIAS_BITS, MULT_BITS, SHIFT_BITS
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.layouts import unit_layout

__all__ = ["ParameterLoader", "command_signature", "entry_layout"]

ENTRY_BITS = 8 * PARAMETER_BYTES


def entry_layout() -> data.StructLayout:
    """The parameters of a channel in memory, from the lowest bit on; further bits are not looked at."""
    return data.StructLayout({
        "bias": signed(BIAS_BITS), "mult": MULT_BITS, "shift": SHIFT_BITS, "padding": 32 - MULT_BITS - SHIFT_BITS,
        "slot": SLOT_ADDRESS_BITS, "write": 1,
    })


def command_signature(config: PhantomConfig) -> stream.Signature:
    """The commands of the unit ``results``."""
    commands = CommandSet(config, address_width=config.address_width)
    return stream.Signature(unit_layout(commands, next(unit for unit in commands.units if unit.name == "results")))


class ParameterLoader(wiring.Component):
    """Read the parameters of channels from memory, with one request a command, and set the clamp.

    A channel beyond the last one wraps around. If a request's data end too early, the other channels stay as they were.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    command : In, stream of the operands of PARAMETERS
    busy : Out
        High from the cycle after a command was taken until all is written.
    request : Out, stream of request_layout
    data : In, stream of dense_layout
        What was asked for.
    parameters : Out, stream of parameter_layout; always ready
    clamps : Out, stream of clamp_layout; always ready

    Latency: the clamp 1 cycle after the command, a channel 1 after its last byte, with a bus of 64 bits 2.
    Throughput: 1 channel a cycle, with a bus of 64 bits every second.
    """

    def __init__(self, config: PhantomConfig):
        self._config, self._bus = config, bus_parameters(config)
        super().__init__({
            "command": In(command_signature(config)),
            "busy": Out(1),
            "request": Out(stream.Signature(request_layout(self._bus))),
            "data": In(stream.Signature(dense_layout(config.bus_width))),
            "parameters": Out(stream.Signature(parameter_layout(config), always_ready=True)),
            "clamps": Out(stream.Signature(clamp_layout(config), always_ready=True)),
        })

    def elaborate(self, platform):
        m = Module()
        command, taken = self.command.payload, Signal()
        asks, waits = Signal(), Signal()  # the request was not taken yet; data are missing
        ended = self._unpack(m, waits)
        request = Signal.like(self.request.payload, reset_less=True)
        m.d.comb += [
            self.command.ready.eq(~asks & ~waits), taken.eq(self.command.valid & self.command.ready),
            self.request.valid.eq(asks), self.request.payload.eq(request),
            self.busy.eq(asks | waits | self.parameters.valid | self.clamps.valid),
        ]
        m.d.sync += self.clamps.valid.eq(taken)
        with m.If(asks & self.request.ready):
            m.d.sync += asks.eq(0)
        with m.If(ended):
            m.d.sync += waits.eq(0)
        with m.If(taken):
            m.d.sync += [
                asks.eq(1), waits.eq(1), request.address.eq(command.address),
                request.length.eq(Cat(Const(0, exact_log2(PARAMETER_BYTES)), command.count)),
                self.clamps.payload.index.eq(command.clamp), self.clamps.payload.lo.eq(command.lo),
                self.clamps.payload.hi.eq(command.hi),
                *(payload[name].eq(command[name]) for payload in (self.clamps.payload, self.parameters.payload)
                  for name in ("rows", "lanes")),
            ]
        return m

    def _unpack(self, m: Module, waits: Signal) -> Signal:
        """Write the channels of the words that come; returns whether the request's data end."""
        words = self.data
        if self._bus.data_width < ENTRY_BITS:
            m.submodules.gather = gather = WordGather(self._bus.data_width, ENTRY_BITS // self._bus.data_width)
            wiring.connect(m, wiring.flipped(self.data), gather.source)
            words = gather.sink
        entries = len(words.payload.data) // ENTRY_BITS
        part = Signal(ceil_log2(entries))  # entries of the word that were written
        place, final, there, ended = Signal(ceil_log2(self._config.lane_channels)), Signal(), Signal(), Signal()
        whole = words.payload.count[exact_log2(PARAMETER_BYTES):]  # entries of the word
        entry = data.View(entry_layout(), select(part, [
            words.payload.data[ENTRY_BITS * i:][:entry_layout().size] for i in range(entries)]))
        m.d.comb += [
            there.eq(waits & words.valid & (part < whole)), final.eq(part + 1 >= whole),
            words.ready.eq(waits & final), ended.eq(words.valid & words.ready & words.payload.last),
        ]
        m.d.sync += self.parameters.valid.eq(there)
        with m.If(there):
            m.d.sync += [
                part.eq(Mux(final, 0, part + 1)), place.eq(place + 1), self.parameters.payload.index.eq(place),
                *(self.parameters.payload[name].eq(entry[name]) for name in ("bias", "mult", "shift", "slot", "write")),
            ]
        with m.If(self.command.valid & self.command.ready):
            m.d.sync += [place.eq(self.command.payload.first), part.eq(0)]
        return ended
