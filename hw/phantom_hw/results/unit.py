"""The unit ``results``: all post-processing lanes, what loads their parameters, and what writes their results."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.config import PhantomConfig
from phantom_hw.memory.align import dense_layout
from phantom_hw.memory.burst import request_layout
from phantom_hw.memory.parameters import bus_parameters
from phantom_hw.mesh.packets import sum_packet
from phantom_hw.results.lane import PostProcessingLane
from phantom_hw.results.layouts import pattern_layout, tile_layout
from phantom_hw.results.parameters import ParameterLoader, command_signature
from phantom_hw.results.writer import ResultWriter

__all__ = ["ResultUnit"]


class ResultUnit(wiring.Component):
    """Make slots in memory of the sums of all cores.

    The command PARAMETERS loads channels and a clamp into lanes while others are in use. A pattern, too, may be set
    while others are in use; it holds for tiles that come later.

    Parameters
    ----------
    config : PhantomConfig

    Members
    -------
    command : In, stream of the operands of PARAMETERS
    busy : Out
        A command is carried out, a lane has a tile or a sum, or a slot is on its way to ``write_data``. High from the
        cycle after a command or a tile was taken.
    request : Out, stream of request_layout; data : In, stream of dense_layout
        Reads of the parameters, one a command.
    sums : In, array of mesh_rows * drain_lanes streams of sum_packet
        Lane l of mesh row r at index r * drain_lanes + l.
    tiles : In, array of mesh_rows * mesh_cols streams of tile_layout
        Core c of mesh row r at index r * mesh_cols + c. Its sums wait for it.
    patterns : In, stream of pattern_layout; always ready
        For all lanes.
    write_request : Out, stream of request_layout; write_data : Out, stream of words of the bus
        A slot each, as :class:`~.writer.ResultWriter` gives them.

    Latency: ``LATENCY`` cycles at most from a chunk's last sum to its slot's first word if no other lane has one.
    Throughput: 1 sum a lane, 1 word of the bus a cycle.
    """

    LATENCY = PostProcessingLane.LATENCY + ResultWriter.LATENCY

    def __init__(self, config: PhantomConfig):
        self._config, bus = config, bus_parameters(config)
        super().__init__({
            "command": In(command_signature(config)),
            "busy": Out(1),
            "request": Out(stream.Signature(request_layout(bus))),
            "data": In(stream.Signature(dense_layout(config.bus_width))),
            "sums": In(stream.Signature(sum_packet(config))).array(config.mesh_rows * config.drain_lanes),
            "tiles": In(stream.Signature(tile_layout(config))).array(config.cores),
            "patterns": In(stream.Signature(pattern_layout(config))),
            "write_request": Out(stream.Signature(request_layout(bus))),
            "write_data": Out(stream.Signature(bus.data_width)),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.loader = loader = ParameterLoader(config)
        m.submodules.writer = writer = ResultWriter(config, len(self.sums))
        for port, own in ((self.command, loader.command), (self.data, loader.data)):
            wiring.connect(m, wiring.flipped(port), own)
        for port, own in ((self.request, loader.request), (self.write_request, writer.request),
                          (self.write_data, writer.data)):
            wiring.connect(m, own, wiring.flipped(port))
        pattern, has_pattern = Signal.like(self.patterns.payload, reset_less=True), Signal()
        m.d.comb += self.patterns.ready.eq(1)
        m.d.sync += [pattern.eq(self.patterns.payload), has_pattern.eq(self.patterns.valid)]

        idle = []
        served = [config.lane_of(column) for column in range(config.mesh_cols)]
        for index, (sums, chunks) in enumerate(zip(self.sums, writer.chunks, strict=True)):
            row, number = divmod(index, config.drain_lanes)
            first, cores = served.index(number), served.count(number)
            m.submodules[f"lane_{row}_{number}"] = lane = PostProcessingLane(config, first, cores)
            wiring.connect(m, wiring.flipped(sums), lane.sums)
            wiring.connect(m, lane.chunks, chunks)
            for i, port in enumerate(lane.tiles):
                wiring.connect(m, wiring.flipped(self.tiles[row * config.mesh_cols + first + i]), port)
            for source, sink in ((loader.parameters, lane.parameters), (loader.clamps, lane.clamps)):
                ours = source.payload.rows[row] & source.payload.lanes[number]
                m.d.comb += [sink.payload.eq(source.payload), sink.valid.eq(source.valid & ours)]
            m.d.comb += [lane.patterns.payload.eq(pattern), lane.patterns.valid.eq(has_pattern)]
            idle.append(lane.idle)
        m.d.comb += self.busy.eq(loader.busy | ~Cat(*idle).all() | ~writer.idle)
        return m
