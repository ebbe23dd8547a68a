"""The half of the AXI4 manager that writes."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from phantom_hw.memory.align import ByteAligner, word_layout
from phantom_hw.memory.axi import CACHE, PROT, WRITE, AXI4Signature, Burst
from phantom_hw.memory.buffer import WordBuffer
from phantom_hw.memory.burst import BurstSplitter, burst_layout, request_layout
from phantom_hw.memory.control import JobControl, error_layout
from phantom_hw.memory.parameters import BusParameters

__all__ = ["RequestMarker", "WriteManager"]


class RequestMarker(wiring.Component):
    """Tell of each data word how many of its bytes belong to the request, and where the request begins in memory.

    Parameters
    ----------
    parameters : BusParameters

    Members
    -------
    requests : In, stream of request_layout
        Legal ones only.
    data : In, stream of words
        Of each request its bytes, from byte 0 of a word on.
    words : Out, stream of word_layout
    start : Out
        Index in its word of the request's first byte in memory; belongs to the word.
    cancel : In
        Forget the request. Neither requests nor data are taken.
    busy : Out
        Data of a request are missing.

    Latency: 1 cycle for a request, none for data. Throughput: 1 word a cycle.
    """

    def __init__(self, parameters: BusParameters):
        self._parameters = p = parameters
        super().__init__({
            "requests": In(stream.Signature(request_layout(p))),
            "data": In(stream.Signature(p.data_width)),
            "words": Out(stream.Signature(word_layout(p.data_width))),
            "start": Out(p.byte_bits),
            "cancel": In(1),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p, request, word = self._parameters, self.requests.payload, self.words.payload
        active, final, moves, free = Signal(), Signal(), Signal(), Signal()
        left, tail = Signal(len(request.length) - p.byte_bits), Signal(p.byte_bits)  # words and bytes, less one each
        start, length = Signal.like(self.start), Signal.like(request.length)
        m.d.comb += [
            self.words.valid.eq(active & self.data.valid & ~self.cancel),
            self.data.ready.eq(active & self.words.ready & ~self.cancel),
            word.data.eq(self.data.payload), word.offset.eq(0), word.last.eq(final),
            word.count.eq(Mux(final, tail + 1, p.word_bytes)),
            self.start.eq(start), self.busy.eq(active),
            moves.eq(self.words.valid & self.words.ready),
            free.eq(~active | (moves & final)), self.requests.ready.eq(free & ~self.cancel),
            length.eq(request.length - 1),
        ]
        with m.If(moves):
            m.d.sync += [left.eq(left - 1), final.eq(left == 1)]
        with m.If(free):
            m.d.sync += [
                active.eq(self.requests.valid), left.eq(length[p.byte_bits:]), tail.eq(length[:p.byte_bits]),
                final.eq(length[p.byte_bits:] == 0), start.eq(request.address[:p.byte_bits]),
            ]
        with m.If(self.cancel):
            m.d.sync += active.eq(0)
        return m


class WriteManager(wiring.Component):
    """Write any bytes of the memory, in the order of the requests; no other byte is touched.

    Requests are split into aligned bursts of whole words, data shifted to the alignment of the address. A burst is
    issued only when all of its data are buffered: its beats follow each other without a gap, however slow the producer
    is. A burst's first beat is never offered before its AW is, and never waits for ``aw.ready``. ``b.ready`` is always
    high. Responses that no burst waits for are ignored.

    A response that is an error does not stop anything: ``error`` says so until ``clear``. A request that is not legal
    (no bytes, more than 2^24, beyond the end of the address space) is not written, and the manager cancels everything
    until ``clear``.

    From ``cancel`` on no burst is issued. The data of bursts that were issued are sent to their end; requests and data
    are taken and dropped. This lasts until ``cancel`` has gone and ``idle`` is high.

    Parameters
    ----------
    parameters : BusParameters

    Members
    -------
    requests : In, stream of request_layout
        Is taken independently of the data.
    data : In, stream of words
        Of each request its bytes, from byte 0 of a word on; the rest of its last word is ignored.
    bus : Out, AXI4Signature with AW, W and B
    cancel, clear : In
    idle : Out
        No request or data are inside, and all responses have come.
    error : Out, error_layout
        The first error since ``clear``.

    Latency: 4 cycles from the last data word of a burst to its AW, one more to its first beat. Throughput: 1 word a
    cycle, 1 burst a cycle.
    """

    PLANNED = 4
    """Bursts that wait for their data, beyond those in the splitter: short requests do not wait for each other."""

    def __init__(self, parameters: BusParameters):
        self._parameters = p = parameters
        super().__init__({
            "requests": In(stream.Signature(request_layout(p))),
            "data": In(stream.Signature(p.data_width)),
            "bus": Out(AXI4Signature(p.address_width, p.data_width, p.id_width, WRITE)),
            "cancel": In(1), "clear": In(1), "idle": Out(1), "error": Out(error_layout(p)),
        })

    def elaborate(self, platform):
        m = Module()
        p = self._parameters
        m.submodules.splitter = splitter = BurstSplitter(p)
        m.submodules.marker = marker = RequestMarker(p)
        m.submodules.aligner = aligner = ByteAligner(p.data_width)
        m.submodules.control = control = JobControl(p)
        # bursts that wait for data, that are being sent, that wait for their response; words to send
        size = burst_layout(p).size
        m.submodules.planned = planned = SyncFIFO(width=size, depth=self.PLANNED)
        m.submodules.sending = sending = SyncFIFO(width=size, depth=p.outstanding)
        m.submodules.waiting = waiting = SyncFIFO(width=p.word_address_width, depth=p.outstanding)
        m.submodules.buffer = buffer = WordBuffer(p.data_width, p.buffer)
        cancelling = control.cancelling
        wiring.connect(m, marker.words, aligner.source)
        self._take(m, splitter, marker, control)
        m.d.comb += [
            splitter.cancel.eq(cancelling), marker.cancel.eq(cancelling), aligner.cancel.eq(cancelling),
            aligner.start.eq(marker.start),
            planned.w_data.eq(splitter.bursts.payload), planned.w_en.eq(splitter.bursts.valid & ~cancelling),
            splitter.bursts.ready.eq(planned.w_rdy),
            buffer.source.payload.eq(aligner.sink.payload.data), buffer.source.valid.eq(aligner.sink.valid),
            aligner.sink.ready.eq(buffer.source.ready),
            self.idle.eq(~Cat(splitter.busy, marker.busy, aligner.busy, planned.r_rdy, waiting.r_rdy, sending.r_rdy,
                              ~buffer.empty, self.bus.aw.valid, self.bus.w.valid).any()),
        ]
        self._issue(m, planned, sending, waiting, buffer, cancelling)
        self._send(m, sending, buffer, cancelling)
        self._answer(m, waiting, control)
        return m

    def _take(self, m: Module, splitter: BurstSplitter, marker: RequestMarker, control: JobControl) -> None:
        """Hand a request over to splitter and marker at the same time; drop everything when cancelled."""
        requests, cancelling = self.requests, control.cancelling
        m.d.comb += [
            splitter.requests.payload.eq(requests.payload), marker.requests.payload.eq(requests.payload),
            splitter.requests.valid.eq(requests.valid & marker.requests.ready & ~cancelling),
            marker.requests.valid.eq(requests.valid & splitter.requests.ready & ~splitter.refused & ~cancelling),
            requests.ready.eq((splitter.requests.ready & marker.requests.ready) | cancelling),
            marker.data.payload.eq(self.data.payload), marker.data.valid.eq(self.data.valid),
            self.data.ready.eq(marker.data.ready | cancelling),
            control.cancel.eq(self.cancel), control.clear.eq(self.clear), self.error.eq(control.error),
            control.refused.eq(splitter.refused), control.request.eq(requests.payload.address),
            control.idle.eq(self.idle),
        ]

    def _issue(self, m: Module, planned: SyncFIFO, sending: SyncFIFO, waiting: SyncFIFO, buffer: WordBuffer,
               cancelling) -> None:
        """Offer a burst on AW, from a register, when all of its data are buffered."""
        p, aw = self._parameters, self.bus.aw
        burst = data.View(burst_layout(p), planned.r_data)
        stored = Signal(range(p.buffer + 2))  # words in the buffer that belong to no issued burst
        issue, enters = Signal(), Signal()
        word, length = Signal(p.word_address_width, reset_less=True), Signal(8, reset_less=True)
        m.d.comb += [
            issue.eq(planned.r_rdy & (burst.len < stored) & sending.w_rdy & waiting.w_rdy & ~cancelling
                     & (~aw.valid | aw.ready)),
            planned.r_en.eq(issue | cancelling),
            sending.w_data.eq(burst), sending.w_en.eq(issue),
            waiting.w_data.eq(burst.word), waiting.w_en.eq(issue),
            enters.eq(buffer.source.valid & buffer.source.ready),
            aw.payload.id.eq(0), aw.payload.size.eq(p.byte_bits), aw.payload.burst.eq(Burst.INCR),
            aw.payload.cache.eq(CACHE), aw.payload.prot.eq(PROT),
            aw.payload.addr.eq(Cat(Const(0, p.byte_bits), word)), aw.payload.len.eq(length),
        ]
        m.d.sync += stored.eq(Mux(cancelling, 0, stored + enters - Mux(issue, burst.len + 1, 0)))
        with m.If(aw.ready):
            m.d.sync += aw.valid.eq(0)
        with m.If(issue):
            m.d.sync += [aw.valid.eq(1), word.eq(burst.word), length.eq(burst.len)]

    def _send(self, m: Module, sending: SyncFIFO, buffer: WordBuffer, cancelling) -> None:
        """Offer the words of issued bursts on W, from a register; when cancelled, drop the words of no burst."""
        p, w = self._parameters, self.bus.w
        burst = data.View(burst_layout(p), sending.r_data)
        beats, inside = Signal(8), Signal()  # beats of the burst that were sent; there are some
        load, ends, begin, end = Signal(), Signal(), Signal(p.byte_bits), Signal(p.byte_bits)
        payload = Signal.like(w.payload, reset_less=True)
        m.d.comb += [
            load.eq(sending.r_rdy & buffer.sink.valid & (~w.valid | w.ready)),
            ends.eq(beats == burst.len),
            begin.eq(Mux(inside, 0, burst.begin)), end.eq(Mux(ends, burst.end, p.word_bytes - 1)),
            sending.r_en.eq(load & ends),
            buffer.sink.ready.eq(load | (cancelling & ~sending.r_rdy)),
            w.payload.eq(payload),
        ]
        with m.If(w.ready):
            m.d.sync += w.valid.eq(0)
        with m.If(load):
            m.d.sync += [
                w.valid.eq(1), payload.data.eq(buffer.sink.payload), payload.last.eq(ends),
                payload.strb.eq(Cat(begin == 0, *((begin <= i) & (end >= i) for i in range(1, p.word_bytes)))),
                beats.eq(Mux(ends, 0, beats + 1)), inside.eq(~ends),
            ]

    def _answer(self, m: Module, waiting: SyncFIFO, control: JobControl) -> None:
        """Take responses; they come in the order of the bursts."""
        p, b = self._parameters, self.bus.b
        m.d.comb += [
            b.ready.eq(1), waiting.r_en.eq(b.valid),
            control.answered.eq(b.valid & waiting.r_rdy), control.response.eq(b.payload.resp),
            control.burst.eq(Cat(Const(0, p.byte_bits), waiting.r_data)),
        ]
