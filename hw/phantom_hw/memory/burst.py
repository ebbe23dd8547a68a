"""From requests for any bytes to bursts that AXI4 allows."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.memory.parameters import BusParameters

__all__ = ["LENGTH_BITS", "MAX_LENGTH", "BurstSplitter", "burst_layout", "request_layout"]

MAX_LENGTH = 1 << 24
"""Bytes that one request may have."""
LENGTH_BITS = 25


def request_layout(parameters: BusParameters) -> data.StructLayout:
    """A request: the address of its first byte, and its length in bytes, 1..``MAX_LENGTH``."""
    return data.StructLayout({"address": parameters.address_width, "length": LENGTH_BITS})


def burst_layout(parameters: BusParameters) -> data.StructLayout:
    """A burst.

    ``word`` is the number of its first word in memory and ``len`` its beats less one, as in ``AxLEN``. ``begin`` is the
    index of the first byte wanted in the first beat, ``end`` that of the last byte wanted in the last beat. ``last``
    ends a request.
    """
    return data.StructLayout({
        "word": parameters.word_address_width, "len": 8, "begin": parameters.byte_bits, "end": parameters.byte_bits,
        "last": 1,
    })


class BurstSplitter(wiring.Component):
    """Split requests into bursts of whole words; each ends with its request or at a multiple of ``burst_words``.

    As that divides 4 KiB, no burst crosses such a boundary. A request is legal if it has 1 to 2^24 bytes and ends
    within the address space. One that is not is taken, reported in that very cycle, and gives no burst.

    Parameters
    ----------
    parameters : BusParameters

    Members
    -------
    requests : In, stream of request_layout
    bursts : Out, stream of burst_layout
    refused : Out
        A request that is not legal is offered in this cycle.
    cancel : In
        Forget everything; what is offered is withdrawn. No request is taken.
    busy : Out
        A request is not completely split yet, or its last burst was not taken.

    Latency: 2 cycles. Throughput: 1 burst a cycle.
    """

    LATENCY = 2

    def __init__(self, parameters: BusParameters):
        self._parameters = parameters
        super().__init__({
            "requests": In(stream.Signature(request_layout(parameters))),
            "bursts": Out(stream.Signature(burst_layout(parameters))),
            "refused": Out(1),
            "cancel": In(1),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p, request = self._parameters, self.requests.payload
        low_bits = p.byte_bits + p.burst_bits
        fields = {"block": p.address_width - low_bits, "first": p.burst_bits, "left": LENGTH_BITS + 1 - p.byte_bits,
                  "last_word": p.burst_bits, "begin": p.byte_bits, "end": p.byte_bits}
        state = Signal(data.StructLayout(fields), reset_less=True)  # the rest of a request, in blocks of burst_words
        active, final = Signal(), Signal()  # there is a rest; it is the last block

        # the last byte, counted from the beginning of the first byte's block; and whether it is in the address space
        span, reach = Signal(LENGTH_BITS + 1), Signal(LENGTH_BITS + 1)
        legal = Signal()
        m.d.comb += [
            span.eq(request.address[:low_bits] + request.length - 1),
            reach.eq(request.address[:LENGTH_BITS] + request.length - 1),
            legal.eq((request.length != 0) & (request.length <= MAX_LENGTH)
                     & ~(reach[LENGTH_BITS] & request.address[LENGTH_BITS:].all())),
            self.refused.eq(self.requests.valid & self.requests.ready & ~legal),
        ]
        moves, free = Signal(), Signal()  # a burst goes to the output; a request may come
        m.d.comb += [
            moves.eq(active & (~self.bursts.valid | self.bursts.ready)),
            free.eq(~active | (moves & final)),
            self.requests.ready.eq(free & ~self.cancel),
            self.busy.eq(active | self.bursts.valid),
        ]
        with m.If(moves):
            m.d.sync += [
                state.block.eq(state.block + 1), state.first.eq(0), state.begin.eq(0), state.left.eq(state.left - 1),
                final.eq(state.left == 1),
            ]
        with m.If(free):
            blocks = span >> low_bits
            m.d.sync += [
                state.block.eq(request.address[low_bits:]), state.first.eq(request.address[p.byte_bits:low_bits]),
                state.begin.eq(request.address[:p.byte_bits]), state.left.eq(blocks),
                state.last_word.eq(span[p.byte_bits:low_bits]), state.end.eq(span[:p.byte_bits]),
                final.eq(blocks == 0), active.eq(self.requests.valid & legal),
            ]
        self._output(m, state, moves, final)
        with m.If(self.cancel):
            m.d.sync += [active.eq(0), self.bursts.valid.eq(0)]
        return m

    def _output(self, m: Module, state, moves: Signal, final: Signal) -> None:
        """The register that offers the bursts."""
        p, burst = self._parameters, self.bursts.payload
        top = Mux(final, state.last_word, p.burst_words - 1)
        with m.If(self.bursts.ready):
            m.d.sync += self.bursts.valid.eq(0)
        with m.If(moves):
            m.d.sync += [
                self.bursts.valid.eq(1), burst.last.eq(final), burst.begin.eq(state.begin),
                burst.word.eq((state.block << p.burst_bits) | state.first),
                burst.len.eq((top - state.first)[:p.burst_bits] if p.burst_bits else Const(0)),
                burst.end.eq(Mux(final, state.end, p.word_bytes - 1)),
            ]
