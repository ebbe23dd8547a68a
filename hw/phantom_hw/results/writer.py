"""Chunks of several lanes to slots in external memory."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.config import PhantomConfig
from phantom_hw.core.logic import one_hot_select
from phantom_hw.memory.burst import request_layout
from phantom_hw.memory.parameters import bus_parameters
from phantom_hw.memory.sparse_writer import SparseEncoder
from phantom_hw.mesh.node import StreamBuffer
from phantom_hw.moving.queue import ShortQueue
from phantom_hw.results.layouts import SLOT_UNIT, chunk_layout

__all__ = ["ResultWriter"]


class ResultWriter(wiring.Component):
    """Encode chunks as slots and write each slot with one request, as long as the bytes that are used.

    Sources take turns, slot by slot: after a slot of one comes a slot of the next that has one.

    Parameters
    ----------
    config : PhantomConfig
    sources : int
        Streams of chunks, 1 or more.

    Members
    -------
    chunks : In, array of ``sources`` streams of chunk_layout
    request : Out, stream of request_layout
        One a slot, at ``SLOT_UNIT`` times its address modulo the address space.
    data : Out, stream of words of the bus
        Of each slot its bytes, from byte 0 of a word on; the rest of its last word is zero.
    idle : Out
        Nothing is inside.

    Latency: at most ``LATENCY`` cycles from a chunk's last beat to the slot's first word if no other source has a slot.
    Throughput: 1 word of the bus a cycle, also if data wait for some cycles while their request is checked; each source
    1 beat a cycle.

    Raises
    ------
    ValueError
        ``sources`` is out of its range.
    """

    LATENCY = SparseEncoder.LATENCY + 1 + ShortQueue.LATENCY

    def __init__(self, config: PhantomConfig, sources: int):
        if sources < 1:
            raise ValueError(f"sources must be at least 1, not {sources!r}")
        self._config, self._bus = config, bus_parameters(config)
        super().__init__({
            "chunks": In(stream.Signature(chunk_layout(config))).array(sources),
            "request": Out(stream.Signature(request_layout(self._bus))),
            "data": Out(stream.Signature(self._bus.data_width)),
            "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        encoders = []
        for i, chunks in enumerate(self.chunks):
            m.submodules[f"encoder_{i}"] = encoder = SparseEncoder(
                self._config, self._bus.word_bytes, chunk_layout(self._config))
            wiring.connect(m, wiring.flipped(chunks), encoder.source)
            encoders.append(encoder)
        m.submodules.requests = requests = StreamBuffer(request_layout(self._bus))
        # short slots follow each other without a gap although a request is checked for some cycles before its data go
        m.submodules.words = words = ShortQueue(self._bus.data_width)
        wiring.connect(m, requests.sink, wiring.flipped(self.request))
        wiring.connect(m, words.sink, wiring.flipped(self.data))

        owner = Signal(len(encoders), init=1)  # whose slot leaves, a bit each
        slots, sinks = ([getattr(encoder, name) for encoder in encoders] for name in ("slots", "sink"))
        slot, word = _chosen(m, owner, slots, "slot"), _chosen(m, owner, sinks, "word")
        slot_offered = (owner & Cat(port.valid for port in slots)).any()
        word_offered = (owner & Cat(port.valid for port in sinks)).any()
        m.d.comb += [
            requests.source.valid.eq(slot_offered), words.source.valid.eq(word_offered),
            requests.source.payload.address.eq((slot.slot * SLOT_UNIT)[:self._bus.address_width]),
            requests.source.payload.length.eq(slot.bytes), words.source.payload.eq(word.data),
            *(port.ready.eq(owner[i] & requests.source.ready) for i, port in enumerate(slots)),
            *(port.ready.eq(owner[i] & words.source.ready) for i, port in enumerate(sinks)),
            self.idle.eq(Cat(*(encoder.idle for encoder in encoders), ~self.request.valid, ~words.busy).all()),
        ]
        stays = (slot_offered & ~requests.source.ready) | (word_offered & ~(words.source.ready & word.last))
        offered = Cat(encoder.slots.valid | encoder.sink.valid for encoder in encoders)
        with m.If(~stays & offered.any()):
            m.d.sync += owner.eq(_first_after(owner, offered))
        return m


def _chosen(m: Module, owner: Signal, ports: Sequence, name: str):
    """The payload of the port that ``owner`` names."""
    chosen = Signal(ports[0].payload.shape(), name=name)
    m.d.comb += Value.cast(chosen).eq(one_hot_select(list(owner), [Value.cast(port.payload) for port in ports]))
    return chosen


def _first_after(owner: Signal, candidates: Value) -> Value:
    """The first set bit of the candidates behind the owner's, going round; the owner's own comes last."""
    behind = candidates & Cat(owner[:i].any() if i else Const(0) for i in range(len(owner)))
    chosen = Mux(behind.any(), behind, candidates)
    return chosen & (~chosen + 1)[:len(owner)]
