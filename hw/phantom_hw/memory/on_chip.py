"""A memory on the chip in front of external memory, at the first addresses of the AXI4 manager."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.config import PAGE
from phantom_hw.memory.axi import READ, WRITE, AXI4Signature, Response
from phantom_hw.memory.parameters import BusParameters
from phantom_hw.memory.ram import ByteRam, RamInstance

__all__ = ["OnChipMemory"]


class OnChipMemory(wiring.Component):
    """An AXI4 subordinate with a memory; what does not lie in it goes on to external memory.

    Word ``i`` of the bus, ``i < words``, is in the memory here, all others are external. Everything keeps the order of
    its addresses, as with identifier 0 only: data and responses of one place wait for those of the other that were
    asked for before. Bursts are of kind INCR and of whole words. External memory sees what is its own and nothing else,
    by the rules that the managers keep: a burst's first beat does not wait for ``aw.ready``.

    A word that is written is there for every address that is taken after its response. Contents survive everything but
    a loss of power, and are not known after that.

    Parameters
    ----------
    parameters : BusParameters
    words : int
        Words of the bus in the memory: whole pages of 4 KiB, so that no burst lies in both memories.
    ram_inside : bool
        Otherwise the RAM is the module of :func:`~.ram.ram_verilog`, which is emitted elsewhere.

    Members
    -------
    read : In, AXI4Signature with AR and R
    write : In, AXI4Signature with AW, W and B
    external_read, external_write : Out, AXI4Signature

    Latency: a read takes 3 cycles from AR to its first beat, a write 1 from its last beat to the response; external
    memory's own signals pass in the same cycle. Throughput: 1 beat a cycle in each direction; a cycle passes between a
    beat from here and one of external memory. ``parameters.outstanding`` bursts may be under way in each direction.

    Raises
    ------
    ValueError
        ``words`` is not a positive number of whole pages.
    """

    def __init__(self, parameters: BusParameters, words: int, ram_inside: bool = True):
        page = PAGE // parameters.word_bytes
        if type(words) is not int or words <= 0 or words % page:
            raise ValueError(f"words must be a positive multiple of {page}, not {words!r}")
        p = self._parameters = parameters
        self._words, self._ram = words, ByteRam if ram_inside else RamInstance
        sides = {"read": READ, "write": WRITE}
        buses = {name: AXI4Signature(p.address_width, p.data_width, p.id_width, channels)
                 for name, channels in sides.items()}
        super().__init__({
            **{name: In(bus) for name, bus in buses.items()},
            **{f"external_{name}": Out(bus) for name, bus in buses.items()},
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.ram = ram = self._ram(self._parameters.data_width, self._words)
        self._read(m, ram)
        self._write(m, ram)
        return m

    def _burst_layout(self) -> data.StructLayout:
        """A burst that is under way: whether it is here, its first word here, and its beats less one."""
        return data.StructLayout({"here": 1, "word": ceil_log2(self._words), "len": 8})

    def _queue(self, m: Module, name: str, address) -> tuple[SyncFIFO, data.View, Signal]:
        """A queue of bursts, its oldest one, and whether what is offered at ``address`` lies here."""
        p, here = self._parameters, Signal(name=f"{name}_here")
        m.submodules[name] = queue = SyncFIFO(width=self._burst_layout().size, depth=p.outstanding)
        word = address.addr[p.byte_bits:]
        entering = data.View(self._burst_layout(), queue.w_data)
        m.d.comb += [here.eq(word < self._words), entering.here.eq(here), entering.word.eq(word),
                     entering.len.eq(address.len)]
        return queue, data.View(self._burst_layout(), queue.r_data), here

    def _read(self, m: Module, ram) -> None:
        """Beats of the oldest burst: of the RAM, which holds what it has read, or of external memory."""
        bus, external = self.read, self.external_read
        reads, oldest, here = self._queue(m, "reads", bus.ar.payload)
        beats = Signal(8)  # of the oldest burst that were read
        loads, passes, valid, last = Signal(), Signal(), Signal(), Signal()
        here_payload = Signal.like(bus.r.payload)
        m.d.comb += [
            external.ar.payload.eq(bus.ar.payload),
            external.ar.valid.eq(bus.ar.valid & ~here & reads.w_rdy),
            bus.ar.ready.eq(reads.w_rdy & (here | external.ar.ready)),
            reads.w_en.eq(bus.ar.valid & bus.ar.ready),
            ram.read_enable.eq(loads), ram.read_address.eq(oldest.word + beats),
            loads.eq(reads.r_rdy & oldest.here & (~valid | bus.r.ready)),
            here_payload.data.eq(ram.read_data), here_payload.resp.eq(Response.OKAY), here_payload.last.eq(last),
            bus.r.payload.eq(Mux(valid, here_payload, external.r.payload)),
            passes.eq(reads.r_rdy & ~oldest.here & ~valid),
            bus.r.valid.eq(valid | (passes & external.r.valid)),
            external.r.ready.eq(passes & bus.r.ready),
        ]
        moves, ends = Signal(), Signal()
        m.d.comb += [moves.eq(loads | (external.r.valid & external.r.ready)), ends.eq(beats == oldest.len),
                     reads.r_en.eq(moves & ends)]
        with m.If(moves):
            m.d.sync += beats.eq(Mux(ends, 0, beats + 1))
        with m.If(loads):
            m.d.sync += [valid.eq(1), last.eq(ends)]
        with m.Elif(bus.r.ready):
            m.d.sync += valid.eq(0)

    def _write(self, m: Module, ram) -> None:
        """Beats of the oldest burst go to the RAM or on; responses in the order of the bursts."""
        bus, external = self.write, self.external_write
        writes, oldest, here = self._queue(m, "writes", bus.aw.payload)
        # bursts whose beats have all passed: whether they are here
        m.submodules.answers = answers = SyncFIFO(width=1, depth=self._parameters.outstanding)
        # a burst is in the queue from its offer on, so that its beats do not wait until it is taken
        noted, known = Signal(), Signal()
        m.d.comb += [
            known.eq(noted | writes.w_rdy), writes.w_en.eq(bus.aw.valid & ~noted),
            external.aw.payload.eq(bus.aw.payload),
            external.aw.valid.eq(bus.aw.valid & ~here & known),
            bus.aw.ready.eq(known & (here | external.aw.ready)),
        ]
        m.d.sync += noted.eq(bus.aw.valid & known & ~bus.aw.ready)
        beats, moves = Signal(8), Signal()  # beats of the oldest burst that passed
        goes = writes.r_rdy & answers.w_rdy
        m.d.comb += [
            external.w.payload.eq(bus.w.payload),
            external.w.valid.eq(bus.w.valid & goes & ~oldest.here),
            bus.w.ready.eq(goes & (oldest.here | external.w.ready)),
            moves.eq(bus.w.valid & bus.w.ready),
            ram.write_address.eq(oldest.word + beats), ram.write_data.eq(bus.w.payload.data),
            ram.write_enable.eq(Mux(moves & oldest.here, bus.w.payload.strb, 0)),
            writes.r_en.eq(moves & (beats == oldest.len)),
            answers.w_en.eq(writes.r_en), answers.w_data.eq(oldest.here),
        ]
        with m.If(moves):
            m.d.sync += beats.eq(Mux(writes.r_en, 0, beats + 1))
        done = Signal()  # the oldest response is that of a burst here
        m.d.comb += [
            done.eq(answers.r_rdy & answers.r_data),
            Cat(bus.b.payload).eq(Mux(done, 0, Cat(external.b.payload))),
            bus.b.valid.eq(answers.r_rdy & (done | external.b.valid)),
            external.b.ready.eq(answers.r_rdy & ~done & bus.b.ready),
            answers.r_en.eq(bus.b.valid & bus.b.ready),
        ]
