"""Our models of block RAMs and multipliers: a design full of them gives the same digest mapped and not."""

from types import SimpleNamespace

import pytest
from amaranth.back import rtlil, verilog
from amaranth.hdl import Cat, ClockDomain, ClockSignal, Elaboratable, Module, Signal, signed
from amaranth.lib.memory import Memory
from phantom_fpga import netlist
from phantom_fpga.boards import PROBES, TOP
from phantom_fpga.synthesis import Synthesis, synthesize
from phantom_fpga.usage import count

CYCLES = 3000
BLOCKS = {"ecp5": {"DP16KD", "MULT18X18D"}, "ice40": {"SB_RAM40_4K", "SB_MAC16"},
          "gowin": {"DPB", "DPX9B", "SDPX9B", "SP", "SPX9", "MULT9X9", "MULT18X18"}}


class Digest(Elaboratable):
    """RAMs of each width with a write and a read port, ROMs, and multipliers of each signedness, on random stimuli."""

    def __init__(self):
        self.clk, self.led, self.done, self.digest = Signal(), Signal(), Signal(), Signal(32)

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain(reset_less=True)
        m.d.comb += ClockSignal().eq(self.clk)
        noise = Signal(63, init=0x1234567)
        m.d.sync += noise.eq(Cat(noise[61] ^ noise[62], noise[:62]) ^ (noise >> 29 << 7))
        results = []
        for width, bits in ((1, 14), (2, 13), (4, 12), (8, 11), (9, 11), (16, 10), (18, 10), (32, 9), (36, 9)):
            ram = Memory(shape=width, depth=1 << bits, init=range(1 << min(bits, width)), attrs={"ram_style": "block"})
            m.submodules[f"ram{width}"] = ram
            write, read = ram.write_port(), ram.read_port()
            # few addresses, so that what is written is read back; never the one that is being written
            low = min(bits, 6)
            m.d.comb += [
                write.addr.eq(noise[5:5 + low] << bits - low), write.data.eq(noise[7:7 + width]),
                write.en.eq(noise[3] | noise[11]), read.addr.eq(noise[30:30 + low] << bits - low),
                read.en.eq((read.addr != write.addr) & noise[20]),
            ]
            results.append(read.data)
            words = [index * 77 & (1 << width) - 1 for index in range(1 << bits)]
            rom = Memory(shape=width, depth=1 << bits, init=words, attrs={"ram_style": "block"})
            m.submodules[f"rom{width}"] = rom
            port = rom.read_port()
            m.d.comb += [port.addr.eq(noise[17:]), port.en.eq(noise[40])]
            results.append(port.data)
        for width, is_signed in ((9, False), (9, True), (16, False), (16, True), (17, True)):
            left, right = (Signal(signed(width) if is_signed else width) for _ in range(2))
            product = Signal(2 * width)
            m.d.sync += [left.eq(noise[2:]), right.eq(noise[31:]), product.eq(left * right)]
            results.append(product)
        time = Signal(range(CYCLES + 1))
        for index, value in enumerate(results):
            kept = Signal(32, name=f"kept{index}")
            m.d.sync += kept.eq(kept.rotate_left(5) ^ value ^ (value >> 32))
            results[index] = kept
        total = Signal(32)
        m.d.comb += total.eq(sum(kept.rotate_left(index % 32) for index, kept in enumerate(results)))
        with m.If(time != CYCLES):
            m.d.sync += [time.eq(time + 1), self.digest.eq(total)]
        m.d.comb += [self.done.eq(time == CYCLES), self.led.eq(self.done)]
        return m


def convert(backend):
    dut = Digest()
    names = ("clk_0__io", "led_0__io", *PROBES.values())
    ports = zip(names, (dut.clk, dut.led, dut.done, dut.digest), strict=True)
    return backend.convert(dut, name=TOP, ports={name: (signal, None) for name, signal in ports}, emit_src=False)


@pytest.fixture(scope="module")
def bare():
    """A board of a family that has only a clock."""
    platform = SimpleNamespace(default_clk="clk", request=lambda *_, **__: SimpleNamespace(invert=[False]))
    return lambda device: SimpleNamespace(device=device, leds=1, platform=lambda: platform)


@pytest.fixture(scope="module")
def expected(tmp_path_factory, bare):
    """The digest of the design as it is written."""
    folder = tmp_path_factory.mktemp("bare")
    source = folder / "top.netlist.v"
    source.write_text(convert(verilog))
    unmapped = Synthesis("ecp5", TOP, folder / "none", source, count({}, "ecp5"), folder / "log")
    run = netlist.simulate(bare("ecp5-85f"), unmapped, folder, max_cycles=CYCLES + 10)
    assert run.done
    return run.checksum


@pytest.mark.verify  # a minute each
@pytest.mark.parametrize(("family", "device"), [("ecp5", "ecp5-85f"), ("ice40", "up5k"), ("gowin", "gw2ar-18")])
def test_cells_behave_as_what_they_were_made_from(family, device, expected, bare, tmp_path):
    mapped = synthesize(convert(rtlil), family, TOP, tmp_path, probes={})
    assert set(mapped.usage.cells) >= BLOCKS[family]
    run = netlist.simulate(bare(device), mapped, tmp_path, max_cycles=CYCLES + 10)
    assert (run.done, run.checksum) == (True, expected)
