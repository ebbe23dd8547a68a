"""A RAM with a write port that has an enable for each byte, and a read port."""

from __future__ import annotations

from amaranth.hdl import ClockSignal, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

__all__ = ["RAM_MODULE", "ByteRam", "RamInstance", "ram_ports", "ram_verilog"]

RAM_MODULE = "phantom_on_chip_ram"
"""The module that an implementation on silicon replaces by its memory macros."""


def ram_ports(width: int, words: int) -> dict[str, wiring.Member]:
    """The members of a :class:`ByteRam`."""
    address = ceil_log2(words)
    return {"write_enable": In(width // 8), "write_address": In(address), "write_data": In(width),
            "read_enable": In(1), "read_address": In(address), "read_data": Out(width)}


class ByteRam(wiring.Component):
    """The RAM itself.

    What is read in the cycle in which it is written is not defined; nor are the contents before the first write.

    Parameters
    ----------
    width : int
        Bits of a word, a multiple of 8.
    words : int

    Members
    -------
    write_enable : In
        A bit for each byte.
    write_address, write_data : In
    read_enable, read_address : In
    read_data : Out
        Stays until the next ``read_enable``.

    Latency: 1 cycle.
    """

    def __init__(self, width: int, words: int):
        self._width, self._words = width, words
        super().__init__(ram_ports(width, words))

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=self._width, depth=self._words, init=[])
        write, read = memory.write_port(granularity=8), memory.read_port()
        m.d.comb += [
            write.en.eq(self.write_enable), write.addr.eq(self.write_address), write.data.eq(self.write_data),
            read.en.eq(self.read_enable), read.addr.eq(self.read_address), self.read_data.eq(read.data),
        ]
        return m


class RamInstance(wiring.Component):
    """A :class:`ByteRam` as an instance of the module of :func:`ram_verilog`; the same parameters and members.

    Amaranth gives initial contents to each bit of a memory. For a RAM of megabytes that takes minutes.
    """

    def __init__(self, width: int, words: int):
        super().__init__(ram_ports(width, words))

    def elaborate(self, platform):
        m = Module()
        flows = {name: "i" if member.flow is In else "o" for name, member in self.signature.members.items()}
        m.submodules.ram = Instance(RAM_MODULE, i_clk=ClockSignal(),
                                    **{f"{flow}_{name}": getattr(self, name) for name, flow in flows.items()})
        return m


def ram_verilog(width: int, words: int) -> str:
    """The RAM as Verilog 2001, module ``phantom_on_chip_ram``."""
    def port(member: wiring.Member, name: str) -> str:
        direction = "input  wire" if member.flow is In else "output reg "
        return f"  {direction} [{member.shape - 1}:0] {name}"

    members = ram_ports(width, words)
    header = ",\n".join(["  input  wire clk", *(port(member, name) for name, member in members.items())])
    return f"""\
module {RAM_MODULE} (
{header}
);
  reg [{width - 1}:0] memory [{words - 1}:0];
  always @(posedge clk) begin : ports
    integer i;
    for (i = 0; i < {width // 8}; i = i + 1)
      if (write_enable[i]) memory[write_address][8 * i +: 8] <= write_data[8 * i +: 8];
    if (read_enable[0]) read_data <= memory[read_address];
  end
endmodule
"""
