"""The register bank: an AXI4-Lite subordinate made from the description of the CSR map."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from phantom_hw.memory.axi import AXI4LiteSignature, Response
from phantom_hw.soc.csr import Access, Bits, CsrMap, Register

__all__ = ["CsrBank"]

WORD = AXI4LiteSignature.DATA_WIDTH


class CsrBank(wiring.Component):
    """All CSRs.

    An address that is not mapped gives DECERR; a write to a register that is read only and a read of one that is write
    only give SLVERR; neither changes anything. The two lowest bits of an address do not count. Bits without a meaning
    read as 0 and ignore what is written.

    Parameters
    ----------
    csr_map : CsrMap
    address_width : int
        Bits of an address of the bus, enough for all offsets.

    Members
    -------
    bus : In, AXI4LiteSignature
        AW and W in any order; one write and one read at a time.
    clear : In
        Clears the performance counters.
    irq : Out
        The interrupt: an event is set that is enabled.
    (name of the bits) : In or Out
        For every part of a register that is not constant. Read only: In, the value; of a counter what is added in this
        cycle. Read and write: Out, the value. Write 1 to clear: In, sets the bit. Write only: Out, the bits written
        as 1, for one cycle.

    Latency: an answer comes 2 cycles after the address, or after the later of address and data. Throughput: a read in 3
    cycles, a write in 2.

    Raises
    ------
    ValueError
        ``address_width`` is too small.
    """

    def __init__(self, csr_map: CsrMap, address_width: int = 12):
        self._map, self._placed = csr_map, csr_map.placed()
        end = max(placed.offset + 4 * placed.register.words for placed in self._placed)
        if address_width < bits_for(end - 1):
            raise ValueError(f"address_width must be an integer in {bits_for(end - 1)}..64, not {address_width!r}")
        members = {"bus": In(AXI4LiteSignature(address_width)), "clear": In(1), "irq": Out(1)}
        for register in (placed.register for placed in self._placed if placed.register.constant is None):
            flow = In if register.access in (Access.RO, Access.W1C) else Out
            for part in register.bits:
                width = bits_for(register.counter(csr_map.config)) if register.counter else part.width
                members[part.name] = flow(width, init=part.reset) if flow is Out else flow(width)
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        address, written, strobe, commits = self._write_channels(m)
        words: dict[int, Value] = {}  # what is read, by the number of the word
        pairs: list[tuple[int, Value]] = []  # number of a counter's low word, and the counter
        for placed in self._placed:
            first, register = placed.offset * 8 // WORD, placed.register
            selects = [commits & (address == first + number) for number in range(register.words)]
            value = self._register(m, register, selects, written, strobe)
            for number in range(register.words):
                words[first + number] = value[number * WORD:(number + 1) * WORD]
            if register.counter:
                pairs.append((first, value))
        self._read_channels(m, words, pairs)
        return m

    # --- registers --------------------------------------------------------------------------------------

    def _register(self, m: Module, register: Register, selects: list[Value], written: Value, strobe: Value) -> Value:
        """Build a register; what is read of it. ``selects`` tells for each of its words that it is written."""
        constant = self._map.constant(register)
        if constant is not None:
            return Const(constant, WORD)
        # for each bit of the register: it is written in this cycle, and what
        enables = Cat((select & strobe[lane]).replicate(8) for select in selects for lane in range(len(strobe)))
        data = written.replicate(register.words)
        value = Signal(WORD * register.words, name=f"read_{register.name}")
        for part in register.bits:
            place = slice(part.lsb, part.lsb + part.width)
            m.d.comb += value[place].eq(self._part(m, register, part, enables[place], data[place]))
        return value

    def _part(self, m: Module, register: Register, part: Bits, enable: Value, data: Value) -> Value:
        """Build a part of a register; what is read of it."""
        port = getattr(self, part.name)
        if register.counter:
            count = Signal(part.width, name=f"{part.name}_count")
            m.d.sync += count.eq(Mux(self.clear, 0, count + port))
            return count
        if register.access is Access.RO:
            return port
        if register.access is Access.WO:
            m.d.sync += port.eq(enable & data)
            return Const(0, part.width)
        if register.access is Access.RW:
            m.d.sync += port.eq((port & ~enable) | (data & enable))
            return port
        event = Signal(part.width, name=f"{part.name}_event")
        m.d.sync += event.eq((event & ~(enable & data)) | port)
        with m.If((event & getattr(self, self._map.ENABLES[part.name])).any()):
            m.d.comb += self.irq.eq(1)
        return event

    # --- bus --------------------------------------------------------------------------------------------

    def _write_channels(self, m: Module) -> tuple[Value, Value, Value, Value]:
        """AW, W and B; the number of the word, data and strobe of a write, and whether it happens in this cycle."""
        aw, w, b = self.bus.aw, self.bus.w, self.bus.b
        address, data, strobe = Signal(len(aw.payload.addr) - 2), Signal(WORD), Signal(WORD // 8)
        has_address, has_data, commits = Signal(), Signal(), Signal()
        m.d.comb += [
            aw.ready.eq(~has_address), w.ready.eq(~has_data), commits.eq(has_address & has_data & ~b.valid),
        ]
        with m.If(aw.ready):
            m.d.sync += [address.eq(aw.payload.addr[2:]), has_address.eq(aw.valid)]
        with m.If(w.ready):
            m.d.sync += [data.eq(w.payload.data), strobe.eq(w.payload.strb), has_data.eq(w.valid)]
        with m.If(b.ready):
            m.d.sync += b.valid.eq(0)
        with m.If(commits):
            m.d.sync += [has_address.eq(0), has_data.eq(0), b.valid.eq(1),
                         b.payload.resp.eq(self._response(address, refused=Access.RO))]
        return address, data, strobe, commits

    def _read_channels(self, m: Module, words: dict[int, Value], pairs: list[tuple[int, Value]]) -> None:
        """AR and R."""
        ar, r = self.bus.ar, self.bus.r
        address, has_address, reads = Signal(len(ar.payload.addr) - 2), Signal(), Signal()
        high = Signal(WORD)  # half of the counter whose low half was read last
        m.d.comb += [ar.ready.eq(~has_address & ~r.valid), reads.eq(has_address & ~r.valid)]
        with m.If(ar.ready):
            m.d.sync += [address.eq(ar.payload.addr[2:]), has_address.eq(ar.valid)]
        with m.If(r.ready):
            m.d.sync += r.valid.eq(0)
        kept = {first + 1: high for first, _ in pairs}
        with m.If(reads):
            m.d.sync += [has_address.eq(0), r.valid.eq(1), r.payload.data.eq(0),
                         r.payload.resp.eq(self._response(address, refused=Access.WO))]
            with m.Switch(address):
                for number, value in {**words, **kept}.items():
                    with m.Case(number):
                        m.d.sync += r.payload.data.eq(value)
            for first, counter in pairs:
                with m.If(address == first):
                    m.d.sync += high.eq(counter[WORD:])

    def _response(self, address: Value, refused: Access) -> Value:
        """The answer to an access that registers of the kind ``refused`` do not allow."""
        mapped: list[Value] = []
        forbidden: list[Value] = []
        for placed in self._placed:
            for number in range(placed.register.words):
                here = address == placed.offset * 8 // WORD + number
                (forbidden if placed.register.access is refused else mapped).append(here)
        return Mux(Cat(mapped).any(), Response.OKAY, Mux(Cat(forbidden).any(), Response.SLVERR, Response.DECERR))
