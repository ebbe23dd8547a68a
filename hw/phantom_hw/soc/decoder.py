"""Command decoder: fetches a command stream, checks each command and hands it to its unit."""

from __future__ import annotations

import enum

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.soc.collect import CommandCollector
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.fetch import COUNT_BITS, CommandFetch
from phantom_hw.soc.fields import ADDRESS_BITS
from phantom_hw.soc.isa import END, FENCE, OPCODE_BITS, Command
from phantom_hw.soc.layouts import field_shape, request_layout, unit_layout
from phantom_hw.soc.status import STATUS_BITS, State, Status
from phantom_hw.soc.watchdog import WATCHDOG_BITS, Watchdog

__all__ = ["CommandDecoder", "status_layout"]

status_layout = data.StructLayout({"state": 2, "code": STATUS_BITS})


class Step(enum.Enum):
    """What the decoder is at."""

    IDLE = 0
    SETTLE = 1
    NEXT = 2
    OFFER = 3
    FENCE = 4
    END = 5
    STOP = 6


class CommandDecoder(wiring.Component):
    """Runs a command stream from ``start`` to its END, or to the first error.

    A command is handed to its unit; FENCE and END are carried out here. An error, also one that a unit reports, an
    abort or the watchdog ends the job: nothing more is handed out, ``halt`` is raised, and when all units are idle the
    code is reported. What was offered to a unit before stays offered until the unit takes it.

    Parameters
    ----------
    commands : CommandSet
        In a configuration; its data bus is at most as wide as a command.
    prefetch : int
        Commands that are read ahead, a power of two in 2..16.

    Members
    -------
    start : In; address : In, 64 bits; count : In
        Starts a job if none runs: a stream of at most ``count`` commands at ``address``.
    abort_job : In
        Ends the job, if one runs.
    watchdog : In
        Cycles without progress after which a job is ended, 0 for no limit. If units are still busy when that time has
        passed once more, the code is reported nevertheless; the next job waits for them.
    error : In, status code; error_address : In, 64 bits
        What a unit or the memory system reports while a job runs; OK for nothing.
    progress : In
        Something moves in a unit: the watchdog begins anew.
    busy : In, a bit for each unit
        From the cycle after a unit has taken a command until it is idle.
    request : Out, stream of request_layout; data : In, stream of bus_width bits
        Reads of external memory: the data of all requests in order, byte 0 first, also when a read fails; ``data`` is
        always ready.
    halt : Out
        Units give up what they do: they take what is offered, drop it and become idle.
    status : Out
        ``state`` and ``code``.
    failed_address : Out, 64 bits; failed_index : Out
        After an error: the address that was reported with it, else that of the command; the place in the stream of the
        command that the decoder was at.
    done : Out; result : Out
        The job ends with this cycle, and how.
    retired : Out
        A command was handed out or carried out.
    (name of the unit) : Out, stream of unit_layout
        For each unit.

    Latency: ``LATENCY`` cycles from a command's last word of data to its offer. Throughput: a command in
    ``command_bits / bus_width + LATENCY - 1`` cycles.

    Raises
    ------
    ValueError
        A parameter is out of range, or the command set is without a configuration.
    """

    LATENCY = CommandFetch.LATENCY + CommandCollector.LATENCY + 1

    def __init__(self, commands: CommandSet, prefetch: int = 4):
        if commands.config is None:
            raise ValueError("commands must be in a configuration, not None")
        self._data_width = commands.config.bus_width
        CommandFetch.check(commands, self._data_width, prefetch)
        self._commands, self._prefetch = commands, prefetch
        super().__init__({
            "start": In(1),
            "address": In(ADDRESS_BITS),
            "count": In(COUNT_BITS),
            "abort_job": In(1),
            "watchdog": In(WATCHDOG_BITS),
            "error": In(STATUS_BITS),
            "error_address": In(ADDRESS_BITS),
            "progress": In(1),
            "busy": In(len(commands.units)),
            "request": Out(stream.Signature(request_layout(commands))),
            "data": In(stream.Signature(self._data_width)),
            "halt": Out(1),
            "status": Out(status_layout),
            "failed_address": Out(ADDRESS_BITS),
            "failed_index": Out(COUNT_BITS),
            "done": Out(1),
            "result": Out(STATUS_BITS),
            "retired": Out(1),
            **{unit.name: Out(stream.Signature(unit_layout(commands, unit))) for unit in commands.units},
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.fetch = fetch = CommandFetch(self._commands, self._data_width, self._prefetch)
        m.submodules.collector = collector = CommandCollector(self._commands, self._data_width)
        m.submodules.watchdog = watchdog = Watchdog()
        wiring.connect(m, fetch.request, wiring.flipped(self.request))
        wiring.connect(m, wiring.flipped(self.data), fetch.data)
        wiring.connect(m, fetch.beat, collector.beat)

        step, code, offered = Signal(Step), Signal(STATUS_BITS), Signal(len(self._commands.units))
        address, index, count = Signal(ADDRESS_BITS), Signal(COUNT_BITS), Signal(COUNT_BITS)
        idle, stopped, advance = Signal(), Signal(), Signal()
        m.d.comb += [
            idle.eq(step == Step.IDLE),
            stopped.eq(idle | (step == Step.SETTLE) | (step == Step.STOP)),
            fetch.stop.eq(stopped), collector.clear.eq(stopped), collector.checked.ready.eq(advance),
            fetch.address.eq(address), fetch.count.eq(count),
            self.halt.eq((step == Step.STOP) & (code != Status.OK)),
            self.status.state.eq(Mux(idle, State.IDLE, Mux(step == Step.STOP, State.STOPPING, State.RUNNING))),
            self.status.code.eq(Mux(idle, code, Status.RUNNING)),
            self.failed_address.eq(address), self.failed_index.eq(index), self.retired.eq(advance),
        ]
        with m.If(advance):
            m.d.sync += [index.eq(index + 1), address.eq(address + self._commands.command_bytes)]
        with m.If(idle & self.start):
            m.d.sync += [step.eq(Step.SETTLE), code.eq(Status.OK), address.eq(self.address), count.eq(self.count),
                         index.eq(0)]
        taken, wanted = self._units(m, collector.checked.payload.command, offered)
        bad = self._steps(m, fetch, collector, step, offered, taken, wanted, advance, address)
        self._ends(m, fetch, watchdog, step, code, address, offered, taken, bad)
        return m

    def _units(self, m: Module, command: Value, offered: Signal) -> tuple[Value, Value]:
        """The streams to the units; whether an offer is taken, and which unit the command is for."""
        commands, accepted, wanted = self._commands, [], []

        def operands(one: Command) -> Value:
            # narrower than in the command: what is cut off of a legal value is zero, or copies of the sign
            return Cat(command[element.start:element.start + field_shape(commands, element.field).width]
                       for element in commands.elements(one))

        def named(one: Command) -> Value:
            return command[:OPCODE_BITS] == commands.opcodes[one.name]

        for bit, unit in enumerate(commands.units):
            port, own = getattr(self, unit.name), commands.unit_commands(unit)
            m.d.comb += port.valid.eq(offered[bit])
            accepted.append(offered[bit] & port.ready)
            wanted.append(Cat(named(one) for one in own).any())
            if len(own) == 1:
                m.d.comb += Value.cast(port.payload).eq(operands(own[0]))
                continue
            for place, one in enumerate(own):
                with m.If(named(one)):
                    m.d.comb += [port.payload.command.eq(place), Value.cast(port.payload.operands).eq(operands(one))]
        m.d.sync += offered.eq(offered & ~Cat(accepted))
        return Cat(accepted).any(), Cat(wanted)

    def _steps(self, m: Module, fetch: CommandFetch, collector: CommandCollector, step: Signal, offered: Signal,
               taken: Value, wanted: Value, advance: Signal, address: Signal) -> Signal:
        """The way of a job without errors; what is wrong with the command or the stream."""
        commands, checked = self._commands, collector.checked
        bad, opcode, low = Signal(STATUS_BITS), checked.payload.command[:OPCODE_BITS], ceil_log2(commands.command_bytes)
        with m.Switch(step):
            with m.Case(Step.SETTLE):
                with m.If(address[:low].any() | address[commands.address_width:].any()):
                    m.d.comb += bad.eq(Status.BAD_ADDRESS)
                with m.If(fetch.settled & ~self.busy.any() & ~offered.any()):
                    m.d.comb += fetch.begin.eq(1)
                    m.d.sync += step.eq(Step.NEXT)
            with m.Case(Step.NEXT):
                with m.If(checked.valid):
                    m.d.comb += bad.eq(checked.payload.code)
                    m.d.sync += [step.eq(Step.OFFER), offered.eq(wanted)]
                    for name, carried_out in ((END, Step.END), (FENCE, Step.FENCE)):
                        with m.If(opcode == commands.opcodes.get(name, 0)):
                            m.d.sync += step.eq(carried_out)
                with m.Elif(collector.empty):
                    m.d.comb += bad.eq(Mux(fetch.exhausted, Status.END_MISSING,
                                           Mux(fetch.overrun, Status.BAD_ADDRESS, Status.OK)))
            with m.Case(Step.OFFER):
                m.d.comb += advance.eq(taken)
            with m.Case(Step.FENCE):
                m.d.comb += advance.eq(~(self.busy & self._fenced(checked.payload.command)).any())
            with m.Case(Step.END):
                m.d.comb += advance.eq(~self.busy.any())
        with m.If(advance):
            m.d.sync += step.eq(Mux(step == Step.END, Step.STOP, Step.NEXT))
        return bad

    def _fenced(self, command: Value) -> Value:
        """The units that a FENCE names."""
        if FENCE not in self._commands.opcodes:
            return Const(0, 1)
        [element] = self._commands.elements(self._commands.named(FENCE))
        return command[element.start:element.start + len(self._commands.units)]

    def _ends(self, m: Module, fetch: CommandFetch, watchdog: Watchdog, step: Signal, code: Signal, address: Signal,
              offered: Signal, taken: Value, bad: Signal) -> None:
        """The ways out of a job; last, because an error goes before everything else."""
        runs, fails, reason = Signal(), Signal(), Signal(STATUS_BITS)
        m.d.comb += [
            runs.eq((step != Step.IDLE) & (step != Step.STOP)),
            reason.eq(Mux(self.error != Status.OK, self.error,
                          Mux(self.abort_job, Status.ABORTED, Mux(watchdog.expired, Status.WATCHDOG, bad)))),
            fails.eq(runs & (reason != Status.OK)),
            watchdog.limit.eq(self.watchdog),
            # only what was read ahead behind END can be missing when a job without errors does not end
            self.result.eq(Mux(watchdog.expired & (code == Status.OK), Status.WATCHDOG, code)),
            watchdog.moved.eq((step == Step.IDLE) | fails | self.retired | taken | self.progress | self.data.valid
                              | (self.request.valid & self.request.ready)),
        ]
        with m.If(fails):
            m.d.sync += [step.eq(Step.STOP), code.eq(reason)]
            with m.If(step == Step.NEXT):
                m.d.sync += offered.eq(0)
            with m.If(self.error != Status.OK):
                m.d.sync += address.eq(self.error_address)
        with m.If(step == Step.STOP):
            m.d.comb += self.done.eq(watchdog.expired | (fetch.settled & ~self.busy.any() & ~offered.any()))
            with m.If(self.done):
                m.d.sync += step.eq(Step.IDLE)
            m.d.sync += code.eq(self.result)
