"""The half of the AXI4 manager that reads."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from phantom_hw.memory.align import word_layout
from phantom_hw.memory.axi import CACHE, PROT, READ, AXI4Signature, Burst
from phantom_hw.memory.buffer import WordBuffer
from phantom_hw.memory.burst import BurstSplitter, burst_layout, request_layout
from phantom_hw.memory.control import JobControl, error_layout
from phantom_hw.memory.parameters import BusParameters

__all__ = ["ReadManager"]


class ReadManager(wiring.Component):
    """Read any bytes of the memory, in the order of the requests.

    Requests are split into aligned bursts of whole words. A burst is issued only when all of its beats have a place in
    the buffer, so that ``r.ready`` is always high and a slow consumer never blocks the bus. Beats that no burst asked
    for are ignored. The number of a burst's beats is counted; ``r.last`` is not needed.

    A response that is an error does not stop anything: the words come to their end, with whatever data the bus gave,
    and ``error`` says so until ``clear``. A request that is not legal (no bytes, more than 2^24, beyond the end of the
    address space) is not read, and the manager cancels everything until ``clear``.

    From ``cancel`` on no burst is issued but the one that is offered on AR already, requests are taken and dropped, and
    so are the words, those under way too. This lasts until ``cancel`` has gone and ``idle`` is high.

    Parameters
    ----------
    parameters : BusParameters

    Members
    -------
    requests : In, stream of request_layout
    words : Out, stream of word_layout
        The words of the bus that hold the bytes asked for, and which bytes these are; ``last`` ends a request.
        ``cancel`` withdraws what is offered.
    bus : Out, AXI4Signature with AR and R
    cancel, clear : In
    idle : Out
        No request, burst or word is inside.
    error : Out, error_layout
        The first error since ``clear``.

    Latency: 3 cycles from request to AR, 2 from R to word. Throughput: 1 word a cycle, 1 burst a cycle.
    """

    def __init__(self, parameters: BusParameters):
        self._parameters = p = parameters
        super().__init__({
            "requests": In(stream.Signature(request_layout(p))),
            "words": Out(stream.Signature(word_layout(p.data_width))),
            "bus": Out(AXI4Signature(p.address_width, p.data_width, p.id_width, READ)),
            "cancel": In(1), "clear": In(1), "idle": Out(1), "error": Out(error_layout(p)),
        })

    def elaborate(self, platform):
        m = Module()
        p = self._parameters
        m.submodules.splitter = splitter = BurstSplitter(p)
        m.submodules.control = control = JobControl(p)
        # bursts whose beats have not all come; words on their way to the consumer
        m.submodules.flying = flying = SyncFIFO(width=burst_layout(p).size, depth=p.outstanding)
        m.submodules.buffer = buffer = WordBuffer(word_layout(p.data_width), p.buffer)
        cancelling = control.cancelling
        m.d.comb += [
            splitter.requests.payload.eq(self.requests.payload),
            splitter.requests.valid.eq(self.requests.valid & ~cancelling),
            self.requests.ready.eq(splitter.requests.ready | cancelling),
            splitter.cancel.eq(cancelling),
            control.cancel.eq(self.cancel), control.clear.eq(self.clear), self.error.eq(control.error),
            control.refused.eq(splitter.refused), control.request.eq(self.requests.payload.address),
            control.idle.eq(self.idle),
            self.words.payload.eq(buffer.sink.payload),
            self.words.valid.eq(buffer.sink.valid & ~cancelling),
            buffer.sink.ready.eq(self.words.ready | cancelling),
        ]
        issue = self._issue(m, splitter, flying, cancelling)
        self._receive(m, flying, buffer, control)

        free = Signal(range(p.buffer + 1), init=p.buffer)  # places of the buffer that no burst has asked for
        taken = Mux(issue, splitter.bursts.payload.len + 1, 0)
        m.d.sync += free.eq(free - taken + (buffer.sink.valid & buffer.sink.ready))
        m.d.comb += [
            splitter.bursts.ready.eq(issue),
            issue.eq(splitter.bursts.valid & (splitter.bursts.payload.len < free) & flying.w_rdy & ~cancelling
                     & (~self.bus.ar.valid | self.bus.ar.ready)),
            self.idle.eq((free == p.buffer) & ~splitter.busy & ~self.bus.ar.valid),
        ]
        return m

    def _issue(self, m: Module, splitter: BurstSplitter, flying: SyncFIFO, cancelling) -> Signal:
        """The register that offers bursts on AR; returns the signal that loads it."""
        p, ar, burst = self._parameters, self.bus.ar, splitter.bursts.payload
        issue = Signal()
        m.d.comb += [
            ar.payload.id.eq(0), ar.payload.size.eq(p.byte_bits), ar.payload.burst.eq(Burst.INCR),
            ar.payload.cache.eq(CACHE), ar.payload.prot.eq(PROT),
            flying.w_data.eq(burst), flying.w_en.eq(issue),
        ]
        word, length = Signal(p.word_address_width, reset_less=True), Signal(8, reset_less=True)
        m.d.comb += [ar.payload.addr.eq(Cat(Const(0, p.byte_bits), word)), ar.payload.len.eq(length)]
        with m.If(ar.ready):
            m.d.sync += ar.valid.eq(0)
        with m.If(issue):
            m.d.sync += [ar.valid.eq(1), word.eq(burst.word), length.eq(burst.len)]
        return issue

    def _receive(self, m: Module, flying: SyncFIFO, buffer: WordBuffer, control: JobControl) -> None:
        """Note for each beat which of its bytes were asked for."""
        p, r = self._parameters, self.bus.r
        burst = data.View(burst_layout(p), flying.r_data)
        word = buffer.source.payload
        beats, inside = Signal(8), Signal()  # beats of the burst that have come; there are some
        arrives, ends, begin, end = Signal(), Signal(), Signal(p.byte_bits), Signal(p.byte_bits)
        m.d.comb += [
            r.ready.eq(1),
            arrives.eq(r.valid & flying.r_rdy),
            ends.eq(beats == burst.len),
            begin.eq(Mux(inside, 0, burst.begin)), end.eq(Mux(ends, burst.end, p.word_bytes - 1)),
            word.data.eq(r.payload.data), word.offset.eq(begin), word.count.eq(end - begin + 1),
            word.last.eq(ends & burst.last),
            buffer.source.valid.eq(arrives), flying.r_en.eq(arrives & ends),
            control.answered.eq(arrives), control.response.eq(r.payload.resp),
            control.burst.eq(Cat(Const(0, p.byte_bits), burst.word)),
        ]
        with m.If(arrives):
            m.d.sync += [beats.eq(Mux(ends, 0, beats + 1)), inside.eq(~ends)]
