"""The unit that fills the moving buffers."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.config import PhantomConfig
from phantom_hw.memory.align import dense_layout
from phantom_hw.memory.burst import request_layout
from phantom_hw.memory.parameters import bus_parameters
from phantom_hw.memory.slots import SlotError, slot_header_layout
from phantom_hw.memory.sparse_reader import SparseDecoder
from phantom_hw.moving.cutter import RowCutter
from phantom_hw.moving.layouts import write_layout
from phantom_hw.moving.placement import PlacementOrigin, placement_layout
from phantom_hw.moving.queue import ShortQueue
from phantom_hw.moving.scatter import PhaseScatter
from phantom_hw.moving.slot_requests import SlotRequests, slot_layout
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.isa import Unit
from phantom_hw.soc.layouts import unit_layout

__all__ = ["MovingLoader", "load_unit"]

UNIT = "load_moving"


def load_unit(commands: CommandSet) -> Unit:
    """The unit that the loaders are."""
    return next(unit for unit in commands.units if unit.name == UNIT)


class MovingLoader(wiring.Component):
    """Carry out LOAD_MOVING and FILL_MOVING: slots from memory, or zeros, to their places in the moving buffers.

    Slots are requested up to :meth:`slots_ahead` ahead of those that are written, also those of up to
    ``ShortQueue.PLACES`` commands behind the one that is worked on; writes are in the order of the commands. Every
    position is written, zeros too. Places count modulo the size of the buffer. In a line of several slots a row is the
    whole line, whatever ``width`` says. A malformed slot gives as many writes as a good one, with values that are not
    to be trusted.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    command : In, stream of unit_layout
    busy : Out
        From the cycle after a command was taken until its last write was taken and all requested data have come.
    request : Out, stream of request_layout
        A request a slot, of the bytes that it has without a zero.
    data : In, stream of dense_layout
        The bytes of the requests, in order.
    write : Out, stream of write_layout
    error : Out, SlotError
        The first error of a slot; stays until reset.

    Latency: 1 cycle from a command to its first request; from a slot's first word to its first write that of the
    decoder and ``PhaseScatter.LATENCY``. Throughput: 1 write a cycle, and 1 dense word a cycle with a stride of 1 and
    no row that ends within a word. Between the writes of two commands is a cycle. A command takes 3 cycles at least,
    with another stride than 1 up to 27, while the one before is written.
    """

    LATENCY = SparseDecoder.LATENCY + PhaseScatter.LATENCY

    def __init__(self, config: PhantomConfig):
        self._config = config
        commands = CommandSet(config, address_width=config.address_width)
        self._fill = [command.name for command in commands.unit_commands(load_unit(commands))].index("FILL_MOVING")
        super().__init__(self.ports(config))

    @classmethod
    def ports(cls, config: PhantomConfig) -> wiring.Signature:
        """The signature, for whoever instantiates the loader as a module emitted elsewhere."""
        commands = CommandSet(config, address_width=config.address_width)
        return wiring.Signature({
            "command": In(stream.Signature(unit_layout(commands, load_unit(commands)))),
            "busy": Out(1),
            "request": Out(stream.Signature(request_layout(bus_parameters(config)))),
            "data": In(stream.Signature(dense_layout(config.bus_width))),
            "write": Out(stream.Signature(write_layout(config))),
            "error": Out(SlotError),
        })

    @staticmethod
    def slots_ahead(config: PhantomConfig) -> int:
        """Slots that may be requested before the one that is written."""
        return max(ShortQueue.PLACES, 1 << ceil_log2(config.outstanding))

    def elaborate(self, platform):
        m = Module()
        config, ahead = self._config, self.slots_ahead(self._config)
        m.submodules.requests = requests = SlotRequests(config)
        m.submodules.headers = headers = ShortQueue(slot_header_layout(config), ahead)
        m.submodules.slots = slots = ShortQueue(slot_layout(config), ahead)
        m.submodules.placements = placements = ShortQueue(placement_layout(config))
        m.submodules.origin = origin = PlacementOrigin(config)
        m.submodules.decoder = decoder = SparseDecoder(config, config.bus_width // 8)
        m.submodules.cutter = cutter = RowCutter(config)
        m.submodules.scatter = scatter = PhaseScatter(config)
        for source, sink in (
            (requests.request, wiring.flipped(self.request)), (requests.header, headers.source),
            (requests.slot, slots.source), (headers.sink, decoder.header), (wiring.flipped(self.data), decoder.source),
            (placements.sink, origin.source), (origin.sink, cutter.origin), (slots.sink, cutter.slot),
            (decoder.sink, cutter.source), (cutter.piece, scatter.piece), (scatter.write, wiring.flipped(self.write)),
        ):
            wiring.connect(m, source, sink)
        taken = Signal()
        m.d.comb += [
            taken.eq(self.command.valid & requests.source.ready & placements.source.ready),
            self.command.ready.eq(requests.source.ready & placements.source.ready),
            requests.source.valid.eq(taken), placements.source.valid.eq(taken),
            scatter.current.eq(cutter.current), self.error.eq(decoder.error),
            self.busy.eq(requests.busy | placements.busy | origin.busy | cutter.busy | scatter.busy
                         | ~decoder.idle),
        ]
        self._split(m, requests.source.payload, placements.source.payload)
        return m

    def _split(self, m: Module, walk, placement) -> None:
        """What a command says of the slots, and of their places."""
        load, zeros = (getattr(self.command.payload.operands, name) for name in ("load_moving", "fill_moving"))
        fill = Signal()
        m.d.comb += fill.eq(self.command.payload.command == self._fill)
        # fields of the same name mean the same
        for name in ("address", "channel_pitch", "line_pitch", "slot_pitch", "positions", "last_positions"):
            m.d.comb += walk[name].eq(load[name])
        for name in ("signed", "channel_step", "phase_step"):
            m.d.comb += placement[name].eq(load[name])
        m.d.comb += [
            walk.fill.eq(fill), walk.slots.eq(Mux(fill, 1, load.slots)), walk.channels.eq(Mux(fill, 1, load.channels)),
            walk.lines.eq(Mux(fill, zeros.count, load.lines)),
            placement.fill.eq(fill), placement.whole.eq(~fill & (load.slots != 1)),
            placement.rows.eq(Mux(fill, zeros.rows, load.rows)), placement.stride.eq(Mux(fill, 1, load.stride)),
            placement.width.eq(Mux(fill, zeros.length, load.width)),
            placement.row_step.eq(Mux(fill, zeros.step, load.row_step)), placement.x.eq(Mux(fill, 0, load.x)),
            placement.offset.eq(Mux(fill, zeros.offset, load.offset)),
        ]
