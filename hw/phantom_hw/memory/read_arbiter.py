"""Several readers at one memory interface."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from phantom_hw.core.logic import any_of, one_hot_select
from phantom_hw.memory.align import ByteAligner, dense_layout, word_layout
from phantom_hw.memory.burst import request_layout
from phantom_hw.memory.parameters import BusParameters

__all__ = ["ReadArbiter"]

MAX_CLIENTS = 16


class ReadArbiter(wiring.Component):
    """Lets clients read in turn, and gives each the bytes that it asked for from byte 0 of a word on.

    Of the clients that ask in a cycle the one with the lowest number comes first; the last ``fair`` clients take turns.
    A request that was taken is not overtaken any more. The data come in the order in which the requests were taken: a
    client that does not take its data blocks the others. A request that the manager refuses leaves its client waiting,
    until a reset.

    Parameters
    ----------
    parameters : BusParameters
    clients : int
        1..16.
    fair : int
        How many of them take turns, 0..``clients``.

    Members
    -------
    requests : In, array of streams of request_layout
        One for each client.
    data : Out, array of streams of dense_layout
        One for each client; ``last`` ends a request.
    manager_request : Out, stream of request_layout
        To :class:`~.read_manager.ReadManager`.
    manager_words : In, stream of word_layout
        From it.
    idle : Out
        All requests that were taken are answered.

    Latency: 1 cycle for requests, ``ByteAligner.LATENCY`` for data. Throughput: 1 request and 1 word a cycle. At most
    :meth:`depth` requests are under way.

    Raises
    ------
    ValueError
        ``clients`` or ``fair`` out of its range.
    """

    LATENCY = ByteAligner.LATENCY

    def __init__(self, parameters: BusParameters, clients: int, fair: int = 0):
        if type(clients) is not int or not 1 <= clients <= MAX_CLIENTS:
            raise ValueError(f"clients must be an integer in 1..{MAX_CLIENTS}, not {clients!r}")
        if type(fair) is not int or not 0 <= fair <= clients:
            raise ValueError(f"fair must be an integer in 0..{clients}, not {fair!r}")
        self._parameters, self._clients, self._fair = parameters, clients, fair
        request = request_layout(parameters)
        super().__init__({
            "requests": In(stream.Signature(request)).array(clients),
            "data": Out(stream.Signature(dense_layout(parameters.data_width))).array(clients),
            "manager_request": Out(stream.Signature(request)),
            "manager_words": In(stream.Signature(word_layout(parameters.data_width))),
            "idle": Out(1),
        })

    @staticmethod
    def depth(parameters: BusParameters) -> int:
        """Requests that may be under way: at least 16, and as many as the bursts that may be."""
        return max(16, parameters.outstanding)

    def elaborate(self, platform):
        m = Module()
        # whose requests are under way, the oldest first
        m.submodules.owners = owners = SyncFIFO(width=bits_for(self._clients - 1), depth=self.depth(self._parameters))
        m.submodules.aligner = aligner = ByteAligner(self._parameters.data_width)
        self._ask(m, owners)
        wiring.connect(m, wiring.flipped(self.manager_words), aligner.source)
        m.d.comb += [aligner.start.eq(0), aligner.cancel.eq(0), self.idle.eq(~owners.r_rdy)]
        word = aligner.sink
        with m.Switch(owners.r_data):
            for number, port in enumerate(self.data):
                m.d.comb += port.payload.eq(word.payload)
                with m.Case(number):
                    m.d.comb += [port.valid.eq(word.valid & owners.r_rdy), word.ready.eq(port.ready & owners.r_rdy)]
        m.d.comb += owners.r_en.eq(word.valid & word.ready & word.payload.last)
        return m

    def _ask(self, m: Module, owners: SyncFIFO) -> None:
        """Choose a request into the register that offers it to the manager."""
        offer, free = self.manager_request, Signal()
        m.d.comb += free.eq(owners.w_rdy & (~offer.valid | offer.ready))
        asks, first = Signal(self._clients), self._clients - self._fair  # of those that take turns
        had = Signal(self._clients)  # those that had their turn in this round
        m.d.comb += asks.eq(Cat(port.valid for port in self.requests))
        waiting = asks & ~had
        eligible = Mux(asks[:first].any() | ~waiting.any(), asks, waiting)
        chosen_one = Signal(self._clients)
        m.d.comb += chosen_one.eq(eligible & (~eligible + 1)[:self._clients])
        m.d.comb += [
            *(port.ready.eq(free & one) for port, one in zip(self.requests, chosen_one, strict=True)),
            owners.w_en.eq(asks.any() & free),
            owners.w_data.eq(any_of([Mux(one, number, 0) for number, one in enumerate(chosen_one)])),
        ]
        chosen = one_hot_select(list(chosen_one), [port.payload.as_value() for port in self.requests])
        if self._fair > 1:
            turns = chosen_one & Const(-1 << first & (1 << self._clients) - 1, self._clients)
            with m.If(owners.w_en & turns.any()):
                m.d.sync += had.eq(Mux(waiting.any(), had | turns, turns))
        with m.If(offer.ready):
            m.d.sync += offer.valid.eq(0)
        with m.If(owners.w_en):
            m.d.sync += [offer.valid.eq(1), offer.payload.eq(chosen)]
