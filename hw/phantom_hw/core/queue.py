"""Queue for results: whoever pushes has reserved a place before."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

__all__ = ["ResultQueue"]


class ResultQueue(wiring.Component):
    """``SLOTS`` places in LUT-RAM between a pipeline that cannot stop and a stream.

    Members
    -------
    push : In, 1; payload : In
        Only into a place that is free: the source keeps count.
    result : Out, stream of payloads
    taken : Out
        A payload leaves in this cycle.

    Latency: ``LATENCY`` cycles. Throughput: 1 payload a cycle.
    """

    SLOTS = 16
    LATENCY = 1

    def __init__(self, payload):
        super().__init__({
            "push": In(1),
            "payload": In(payload),
            "result": Out(stream.Signature(payload)),
            "taken": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        shape = self.result.signature.members["payload"].shape
        memory = Memory(shape=shape, depth=self.SLOTS, init=[], attrs={"ram_style": "distributed"})
        m.submodules.memory = memory
        write, read = memory.write_port(), memory.read_port(domain="comb")
        back, front = Signal(ceil_log2(self.SLOTS) + 1), Signal(ceil_log2(self.SLOTS) + 1)
        m.d.comb += [
            write.en.eq(self.push), write.addr.eq(back), write.data.eq(self.payload),
            read.addr.eq(front), self.result.payload.eq(read.data), self.result.valid.eq(back != front),
            self.taken.eq(self.result.valid & self.result.ready),
        ]
        m.d.sync += [back.eq(back + self.push), front.eq(front + self.taken)]
        return m
