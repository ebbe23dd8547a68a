"""From external memory into a table on the chip."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, exact_log2

from phantom_hw.memory.align import dense_layout
from phantom_hw.memory.burst import request_layout
from phantom_hw.memory.parameters import BusParameters
from phantom_hw.memory.records import RecordUnpacker

__all__ = ["TableLoader"]


class TableLoader(wiring.Component):
    """Read records that follow each other in memory, and write them to consecutive places of a table.

    Behind the table's last place comes its first one. Requests go out ahead of the data of earlier commands.

    Parameters
    ----------
    parameters : BusParameters
    record_bytes : int
        A multiple of 8.
    places : int
        Of the table, a power of two.
    tag : int
        Bits of ``tag``, at least 1.

    Members
    -------
    command : In, stream of {address, count, offset, tag}
        Loads ``count`` (1..places) records from ``address`` to the places from ``offset`` on.
    request : Out, stream of request_layout
        One for each command.
    data : In, stream of dense_layout
    write : Out, stream of {place, tag, record}, always ready
        ``tag`` is the command's.
    busy : Out
        From the cycle after a command was taken to the one in which its last record is written.

    Latency: 1 cycle from command to request and from data to write. Throughput: 1 record or 1 word a cycle, whichever
    is slower; the commands cost nothing.

    Raises
    ------
    ValueError
        ``places`` is no power of two, or ``tag`` is less than 1.
    """

    DEPTH = 4
    """Commands whose requests are under way."""

    def __init__(self, parameters: BusParameters, record_bytes: int, places: int, tag: int = 1):
        if type(places) is not int or places < 2 or places & (places - 1):
            raise ValueError(f"places must be a power of two from 2 on, not {places!r}")
        if type(tag) is not int or tag < 1:
            raise ValueError(f"tag must be an integer from 1 on, not {tag!r}")
        self._parameters, self._record_bytes = parameters, record_bytes
        self._span = data.StructLayout({"place": exact_log2(places), "left": bits_for(places), "tag": tag})
        super().__init__({
            "command": In(stream.Signature(data.StructLayout({
                "address": parameters.address_width, "count": bits_for(places), "offset": exact_log2(places),
                "tag": tag}))),
            "request": Out(stream.Signature(request_layout(parameters))),
            "data": In(stream.Signature(dense_layout(parameters.data_width))),
            "write": Out(stream.Signature(data.StructLayout({
                "place": exact_log2(places), "tag": tag, "record": 8 * record_bytes}), always_ready=True)),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.spans = spans = SyncFIFO(width=self._span.size, depth=self.DEPTH)
        m.submodules.records = records = RecordUnpacker(self._parameters.data_width, self._record_bytes)
        self._ask(m, spans)
        wiring.connect(m, wiring.flipped(self.data), records.source)

        head, span = data.View(self._span, spans.r_data), Signal(self._span)  # what is being written
        active, ends = Signal(), Signal()
        m.d.comb += [
            self.write.valid.eq(records.sink.valid & active),
            self.write.payload.record.eq(records.sink.payload),
            self.write.payload.place.eq(span.place), self.write.payload.tag.eq(span.tag),
            ends.eq(self.write.valid & (span.left == 1)),
            spans.r_en.eq(~active | ends),
            self.busy.eq(spans.r_rdy | active),
        ]
        with m.If(spans.r_en):
            m.d.sync += [active.eq(spans.r_rdy), span.eq(head)]
        with m.Elif(self.write.valid):
            m.d.sync += [span.place.eq(span.place + 1), span.left.eq(span.left - 1)]
        return m

    def _ask(self, m: Module, spans: SyncFIFO) -> None:
        """Turn a command into a request, and note what its data are for."""
        command, free = self.command.payload, Signal()
        span = data.View(self._span, spans.w_data)
        m.d.comb += [
            free.eq(~self.request.valid | self.request.ready),
            self.command.ready.eq(spans.w_rdy & free), spans.w_en.eq(self.command.valid & free),
            span.place.eq(command.offset), span.left.eq(command.count), span.tag.eq(command.tag),
        ]
        with m.If(free):
            m.d.sync += [
                self.request.valid.eq(self.command.valid & spans.w_rdy),
                self.request.payload.address.eq(command.address),
                self.request.payload.length.eq(command.count * self._record_bytes),
            ]
