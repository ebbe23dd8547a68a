"""The accelerator: control plane, memory system, mesh and lanes between an AXI4-Lite and an AXI4 port."""

from __future__ import annotations

from types import SimpleNamespace

from amaranth.hdl import Cat, Module, Mux, ResetInserter, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from phantom_hw import emit
from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import any_of
from phantom_hw.memory.axi import READ, WRITE, AXI4LiteSignature, AXI4Signature, FlatPorts
from phantom_hw.memory.control import ErrorKind
from phantom_hw.memory.on_chip import OnChipMemory
from phantom_hw.memory.parameters import bus_parameters
from phantom_hw.memory.read_arbiter import ReadArbiter
from phantom_hw.memory.read_manager import ReadManager
from phantom_hw.memory.slots import SlotError
from phantom_hw.memory.window import WriteWindow
from phantom_hw.memory.write_manager import WriteManager
from phantom_hw.mesh.mesh import PhantomMesh
from phantom_hw.moving.distributor import LoadDistributor
from phantom_hw.moving.loader import MovingLoader
from phantom_hw.moving.queue import ShortQueue
from phantom_hw.moving.sequencer import MovingSequencer
from phantom_hw.moving.streamer import RowStreamer
from phantom_hw.results.unit import ResultUnit
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.control import ControlPlane
from phantom_hw.soc.popcount import PopCount
from phantom_hw.soc.status import Status
from phantom_hw.stationary.unit import StationaryUnit
from phantom_hw.vector.layouts import Operation
from phantom_hw.vector.reducer import RowReducer

__all__ = ["BUSES", "PhantomAccelerator", "accelerator_ports"]

CSR_ADDRESS_BITS = 12
COMMANDS, PARAMETERS, PROGRAM, STATIONARY, MOVING = range(5)
"""Who reads memory, in the order of priority; from MOVING on one for each loader, in turns."""
READ_STATUS = {ErrorKind.REQUEST: Status.BAD_ADDRESS, ErrorKind.SLVERR: Status.READ_SLAVE_ERROR,
               ErrorKind.DECERR: Status.READ_DECODE_ERROR}
WRITE_STATUS = {ErrorKind.REQUEST: Status.BAD_ADDRESS, ErrorKind.SLVERR: Status.WRITE_SLAVE_ERROR,
                ErrorKind.DECERR: Status.WRITE_DECODE_ERROR}
BUSES = {"csr": "s_axi", "read": "m_axi", "write": "m_axi"}
"""The ports that are buses, and how their standard names begin."""


class PhantomAccelerator(wiring.Component):
    """Everything: a host writes a command stream's address to the CSRs, and layers are computed in memory.

    When a job is stopped, and as long as none runs, all units are reset but for the halves of the AXI manager, which
    end what is under way on the bus.

    Parameters
    ----------
    config : PhantomConfig
    mesh_inside : bool
        Otherwise the mesh is somebody else's: for simulation.

    Members
    -------
    csr : In, AXI4LiteSignature
    read : Out, AXI4Signature with AR and R
    write : Out, AXI4Signature with AW, W and B
    irq : Out
    mesh_moving, mesh_stationary, mesh_sums, mesh_idle, mesh_activity, mesh_stalls, mesh_reset
        Without ``mesh_inside``: for the ports of a PhantomMesh, and its reset.
    """

    def __init__(self, config: PhantomConfig, mesh_inside: bool = True):
        self._config, self._bus, self._mesh_inside = config, bus_parameters(config), mesh_inside
        p = self._bus
        super().__init__({
            "csr": In(AXI4LiteSignature(CSR_ADDRESS_BITS)),
            "read": Out(AXI4Signature(p.address_width, p.data_width, p.id_width, READ)),
            "write": Out(AXI4Signature(p.address_width, p.data_width, p.id_width, WRITE)),
            "irq": Out(1),
            **({} if mesh_inside else {"mesh_reset": Out(1), **{
                f"mesh_{name}": member.flip() for name, member in PhantomMesh.ports(config).members.items()}}),
        })

    def elaborate(self, platform):
        m = Module()
        config, bus = self._config, self._bus
        commands = CommandSet(config, address_width=config.address_width)
        m.submodules.control = control = ControlPlane(commands)
        m.submodules.reader = reader = ReadManager(bus)
        m.submodules.writer = writer = WriteManager(bus)
        over = self._end(m, control, reader, writer)
        stopped = ResetInserter(over)
        m.submodules.window = window = stopped(WriteWindow(bus))
        fair = config.moving_loaders
        m.submodules.arbiter = arbiter = stopped(ReadArbiter(bus, MOVING + fair, fair))
        m.submodules.sequencer = sequencer = stopped(MovingSequencer(config))
        m.submodules.distributor = distributor = stopped(LoadDistributor(config))
        m.submodules.stationary = stationary = stopped(StationaryUnit(config))
        m.submodules.results = results = stopped(ResultUnit(config))
        reset = ResetSignal() | over
        loaders = [emit.instantiate(m, f"loader_{i}", emit.LOADER_MODULE, MovingLoader.ports(config), reset)
                   for i in range(config.moving_loaders)]
        streamers = [emit.instantiate(m, f"streamer_{r}", emit.STREAMER_MODULE, RowStreamer.ports(config), reset)
                     for r in range(config.mesh_rows)]
        if self._mesh_inside:
            mesh = emit.instantiate(m, "mesh", emit.MESH_MODULE, PhantomMesh.ports(config), reset)
        else:
            ports = PhantomMesh.ports(config).members
            mesh = SimpleNamespace(**{name: getattr(self, f"mesh_{name}") for name in ports})
            m.d.comb += self.mesh_reset.eq(reset)
        reducers = [emit.instantiate(m, f"reducer_{r}", emit.REDUCER_MODULE, RowReducer.ports(config), reset)
                    for r in range(config.mesh_rows)]

        wiring.connect(m, wiring.flipped(self.csr), control.bus)
        self._memory(m, reader, writer)
        m.d.comb += self.irq.eq(control.irq)
        self._reads(m, control, over, reader, arbiter, {
            PARAMETERS: results, PROGRAM: sequencer, STATIONARY: stationary,
            **{MOVING + i: loader for i, loader in enumerate(loaders)}})
        ahead = self._queues(m, stopped, distributor, loaders, stationary)
        self._operands(m, sequencer, loaders, stationary, streamers, mesh, results)
        self._rows(m, sequencer, streamers, reducers, mesh, results)
        m.d.comb += [window.first.eq(control.write_first), window.last.eq(control.write_last)]
        for source, sink in ((results.write_request, window.source), (window.sink, writer.requests),
                             (results.write_data, writer.data)):
            _join(m, source, sink)
        self._issue(m, control, over, {
            "load_program": (sequencer.load_command, sequencer.load_busy),
            "load_moving": (distributor.source, any_of([one.busy for one in (*loaders, *ahead[1:])])),
            "stream_moving": (sequencer.stream_command, sequencer.stream_busy),
            "load_stationary": (ahead[0].source, stationary.load_busy | ahead[0].busy),
            "stream_stationary": (stationary.stream_command, stationary.stream_busy),
            "results": (results.command, results.busy | window.busy | ~writer.idle | ~mesh.idle),
        }, reader.idle & writer.idle)
        self._errors(m, control, over, reader, writer, loaders, window)
        self._counters(m, control, mesh, [*(streamer.moving for streamer in streamers), *mesh.stationary,
                                          *results.sums, reader.bus.r, writer.bus.w])
        return m

    def _memory(self, m: Module, reader, writer) -> None:
        """The way to external memory: by the memory on the chip, if there is one."""
        read, write = wiring.flipped(self.read), wiring.flipped(self.write)
        if not self._config.on_chip_words:
            wiring.connect(m, reader.bus, read)
            wiring.connect(m, writer.bus, write)
            return
        m.submodules.on_chip = on_chip = OnChipMemory(
            self._bus, self._config.on_chip_words, ram_inside=False)
        wiring.connect(m, reader.bus, on_chip.read)
        wiring.connect(m, writer.bus, on_chip.write)
        wiring.connect(m, on_chip.external_read, read)
        wiring.connect(m, on_chip.external_write, write)

    @staticmethod
    def _end(m: Module, control, reader, writer) -> Signal:
        """End what is under way on the bus when a job is stopped; no job is at work, and nothing of one is left."""
        ends, stopping, over = Signal(), Signal(), Signal()
        quiet = reader.idle & writer.idle
        m.d.comb += [
            ends.eq(control.halt | control.idle), over.eq(ends | stopping),
            reader.cancel.eq(ends), writer.cancel.eq(ends),
            reader.clear.eq(over & quiet), writer.clear.eq(over & quiet),
        ]
        m.d.sync += stopping.eq(over & ~quiet)
        return over

    @staticmethod
    def _queues(m: Module, stopped, distributor, loaders, stationary) -> list[ShortQueue]:
        """Queues of loads, so that one that waits for its turn holds up no command for another unit."""
        queues = []
        for name, source, sink in (
            ("loads", None, stationary.load_command),
            *((f"loads_{i}", part, loader.command)
              for i, (part, loader) in enumerate(zip(distributor.sinks, loaders, strict=True))),
        ):
            m.submodules[name] = queue = stopped(ShortQueue(sink.payload.shape()))
            if source is not None:
                _join(m, source, queue.source)
            _join(m, queue.sink, sink)
            queues.append(queue)
        return queues

    @staticmethod
    def _issue(m: Module, control, over, units, quiet) -> None:
        """Hand commands to the units; which ones are busy."""
        busy, lately = (Signal(len(units), name=name) for name in ("busy", "lately"))
        for unit, (command, _) in units.items():
            offer = getattr(control, unit)
            m.d.comb += [command.valid.eq(offer.valid), Value.cast(command.payload).eq(Value.cast(offer.payload)),
                         offer.ready.eq(command.ready | over)]
        m.d.comb += [
            busy.eq(Cat(busy for _, busy in units.values())),
            # an error that the last answer brings is known before the unit counts as idle
            control.busy.eq(Mux(over, (~quiet).replicate(len(units)), busy | lately)),
        ]
        m.d.sync += lately.eq(busy)

    def _reads(self, m: Module, control, over, reader, arbiter, clients) -> None:
        """Let commands and units read memory.

        The command fetch gets as many words as it asked for also when a job is stopped and nothing is read any more.
        """
        request, words = control.request, self._commands_words()
        owed = Signal(range(64 * words))
        accepted, delivered = Signal(), Signal()
        m.d.comb += [
            accepted.eq(request.valid & request.ready), delivered.eq(control.data.valid & control.data.ready),
            arbiter.requests[COMMANDS].valid.eq(request.valid & ~over),
            arbiter.requests[COMMANDS].payload.address.eq(request.payload.address),
            arbiter.requests[COMMANDS].payload.length.eq(request.payload.bytes),
            request.ready.eq(arbiter.requests[COMMANDS].ready | over),
            control.data.payload.eq(arbiter.data[COMMANDS].payload.data),
            control.data.valid.eq(Mux(over, owed != 0, arbiter.data[COMMANDS].valid)),
            arbiter.data[COMMANDS].ready.eq(control.data.ready),
        ]
        m.d.sync += owed.eq(owed + Mux(accepted, words, 0) - delivered)
        for number, client in clients.items():
            _join(m, client.request, arbiter.requests[number])
            _join(m, arbiter.data[number], client.data)
        _join(m, arbiter.manager_request, reader.requests)
        _join(m, reader.words, arbiter.manager_words)

    def _commands_words(self) -> int:
        """Words of the bus in a command."""
        return CommandSet(self._config).command_bytes // self._bus.word_bytes

    def _operands(self, m: Module, sequencer, loaders, stationary, streamers, mesh, results) -> None:
        """The ways of both operands into the mesh and of the sums out of it."""
        m.d.comb += [
            *(loader.write.ready.eq(1) for loader in loaders),
            sequencer.patterns.ready.eq(1),
            results.patterns.valid.eq(sequencer.patterns.valid),
            results.patterns.payload.eq(sequencer.patterns.payload),
        ]
        for r, streamer in enumerate(streamers):
            write = loaders[self._config.loader_of(r)].write
            m.d.comb += [
                streamer.write.valid.eq(write.valid & write.payload.rows[r]),
                streamer.write.payload.eq(write.payload),
                streamer.settings.eq(sequencer.settings),
                streamer.patterns.valid.eq(sequencer.patterns.valid),
                streamer.patterns.payload.eq(sequencer.patterns.payload),
            ]
            _join(m, sequencer.descriptors[r], streamer.descriptors)
        for one, other in ((stationary.stationary, mesh.stationary), (sequencer.tiles, results.tiles)):
            for source, sink in zip(one, other, strict=True):
                _join(m, source, sink)

    def _rows(self, m: Module, sequencer, streamers, reducers, mesh, results) -> None:
        """Rows go through the mesh or through the vector unit to the lanes."""
        lanes, by_vector = self._config.drain_lanes, Signal()
        m.d.comb += by_vector.eq(sequencer.vector.operation != Operation.NONE)
        for r, (streamer, reducer) in enumerate(zip(streamers, reducers, strict=True)):
            row, sums = mesh.moving[r], results.sums[r * lanes:(r + 1) * lanes]
            m.d.comb += [
                reducer.settings.eq(sequencer.vector), sequencer.streamers_idle[r].eq(streamer.idle & reducer.idle),
                row.payload.eq(streamer.moving.payload), row.valid.eq(streamer.moving.valid & ~by_vector),
                reducer.values.payload.eq(streamer.moving.payload["values"]),
                reducer.values.valid.eq(streamer.moving.valid & by_vector),
                streamer.moving.ready.eq(Mux(by_vector, reducer.values.ready, row.ready)),
            ]
            for of_mesh, of_vector, sink in zip(mesh.sums[r * lanes:(r + 1) * lanes], reducer.sums, sums, strict=True):
                m.d.comb += [
                    sink.payload.eq(Mux(by_vector, of_vector.payload, of_mesh.payload)),
                    sink.valid.eq(Mux(by_vector, of_vector.valid, of_mesh.valid)),
                    of_vector.ready.eq(sink.ready & by_vector), of_mesh.ready.eq(sink.ready & ~by_vector),
                ]

    def _errors(self, m: Module, control, over, reader, writer, loaders, window) -> None:
        """What went wrong outside the control plane, and where; after a register. Forgotten when the job is over."""
        code, address = Signal.like(control.error), Signal.like(control.error_address)
        with m.If(any_of([loader.error != SlotError.NONE for loader in loaders])):
            m.d.comb += code.eq(Status.MALFORMED_DATA)
        with m.If(window.refused):
            m.d.comb += [code.eq(Status.BAD_ADDRESS), address.eq(window.address)]
        for manager, meaning in ((writer, WRITE_STATUS), (reader, READ_STATUS)):
            for kind, status in meaning.items():
                with m.If(manager.error.kind == kind):
                    m.d.comb += [code.eq(status), address.eq(manager.error.address)]
        m.d.sync += [control.error.eq(Mux(over, Status.OK, code)), control.error_address.eq(address)]

    def _counters(self, m: Module, control, mesh, streams) -> None:
        """Performance counters, those of the bus of external memory alone; whether anything moves."""
        stalls = list(mesh.stalls)
        counted = {
            "busy_threads": Value.cast(mesh.activity),
            "moving_starved": Cat(core.moving for core in stalls),
            "stationary_starved": Cat(core.stationary for core in stalls),
            "drain": Cat(core.drain for core in stalls),
        }
        for name, bits in counted.items():
            m.submodules[name] = count = PopCount(len(bits))
            m.d.comb += [count.bits.eq(bits), getattr(control, name).eq(count.count)]
        bus = [(self.read.r, control.read_beats), (self.write.w, control.write_beats)]
        moves = [one.valid & one.ready for one in streams]
        progress = Signal()
        m.d.sync += progress.eq(any_of([*moves, Value.cast(mesh.activity).any()]))
        m.d.comb += [
            control.progress.eq(progress),
            *(counter.eq(one.valid & one.ready) for one, counter in bus),
        ]


def _join(m: Module, source, sink) -> None:
    """Connect two streams of one shape."""
    assert Value.cast(source.payload).shape() == Value.cast(sink.payload).shape()
    m.d.comb += [sink.valid.eq(source.valid), Value.cast(sink.payload).eq(Value.cast(source.payload)),
                 source.ready.eq(sink.ready)]


def accelerator_ports(config: PhantomConfig, mesh_inside: bool = True) -> FlatPorts:
    """The accelerator with the standard names of its buses."""
    return FlatPorts(PhantomAccelerator(config, mesh_inside), BUSES)
