"""The control plane: CSR bank and command decoder together."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.csr import CsrMap
from phantom_hw.soc.csr_bank import CsrBank
from phantom_hw.soc.decoder import CommandDecoder
from phantom_hw.soc.status import State, Status

__all__ = ["ControlPlane"]

OWN = {"cycles", "commands"}
"""Counters that count what happens here."""
WINDOW = ("write_first", "write_last")
"""Registers that the memory system looks at."""


class ControlPlane(wiring.Component):
    """What the host sees, and what it runs.

    Parameters
    ----------
    commands : CommandSet
        In a configuration.
    prefetch : int
        Commands that are read ahead, a power of two in 2..16.
    bus_address_width : int
        Bits of an address of the bus.

    Members
    -------
    bus : In, AXI4LiteSignature
    irq : Out
        The interrupt, a level.
    (counter) : In
        What is added in this cycle to each performance counter that counts something elsewhere; while a job runs.
    write_first, write_last : Out, 64 bits
        What may be written.
    idle : Out
        No job runs.
    (others)
        ``error``, ``error_address``, ``progress``, ``busy``, ``request``, ``data``, ``halt`` and the streams of the
        units as those of :class:`~phantom_hw.soc.decoder.CommandDecoder`.

    Raises
    ------
    ValueError
        A parameter is out of range.
    """

    def __init__(self, commands: CommandSet, prefetch: int = 4, bus_address_width: int = 12):
        if commands.config is None:
            raise ValueError("commands must be in a configuration, not None")
        csr_map = CsrMap(commands.config, prefetch=prefetch)
        self._decoder = CommandDecoder(commands, prefetch)
        self._bank = CsrBank(csr_map, bus_address_width)
        self._outside = ["error", "error_address", "progress", "busy", "request", "data", "halt",
                         *(unit.name for unit in commands.units)]
        self._counters = [placed.register.name for placed in csr_map.placed()
                          if placed.register.counter and placed.register.name not in OWN]
        bank, decoder = self._bank.signature.members, self._decoder.signature.members
        super().__init__({
            "bus": bank["bus"],
            "irq": Out(1),
            "idle": Out(1),
            **{name: bank[name] for name in WINDOW},
            **{name: In(bank[name].shape) for name in self._counters},
            **{name: decoder[name] for name in self._outside},
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.bank = bank = self._bank
        m.submodules.decoder = decoder = self._decoder
        wiring.connect(m, wiring.flipped(self.bus), bank.bus)
        idle = decoder.status.state == State.IDLE
        m.d.comb += [
            decoder.start.eq(bank.start), decoder.abort_job.eq(bank.abort_job), bank.clear.eq(bank.start & idle),
            decoder.address.eq(bank.command_address), decoder.count.eq(bank.command_count),
            decoder.watchdog.eq(bank.watchdog),
            bank.state.eq(decoder.status.state), bank.code.eq(decoder.status.code),
            bank.failed_address.eq(decoder.failed_address), bank.failed_index.eq(decoder.failed_index),
            bank.done.eq(decoder.done & (decoder.result == Status.OK)),
            bank.failed.eq(decoder.done & (decoder.result != Status.OK)),
            bank.cycles.eq(~idle), bank.commands.eq(decoder.retired),
            self.irq.eq(bank.irq), self.idle.eq(idle),
            *(getattr(self, name).eq(getattr(bank, name)) for name in WINDOW),
        ]
        busy = Signal.like(self.busy)  # when a job is stopped all units end what they do
        with m.If(~decoder.halt & ~idle):
            m.d.sync += busy.eq(self.busy)
        m.d.comb += bank.busy_units.eq(busy)
        for name in self._counters:
            with m.If(~idle):
                m.d.comb += getattr(bank, name).eq(getattr(self, name))
        for name in self._outside:
            inner, outer = getattr(decoder, name), getattr(self, name)
            member = self.signature.members[name]
            if not member.is_port:
                wiring.connect(m, *((inner, wiring.flipped(outer)) if member.flow is Out
                                    else (wiring.flipped(outer), inner)))
            else:
                m.d.comb += outer.eq(inner) if member.flow is Out else inner.eq(outer)
        return m
