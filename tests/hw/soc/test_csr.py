"""The CSR map, and the control plane behind cocotbext-axi's AXI4-Lite manager under Verilator."""

import gc
from dataclasses import fields, replace

import numpy as np
import pytest
from amaranth.sim import Simulator
from phantom_hw.config import PhantomConfig
from phantom_hw.emit import component_verilog
from phantom_hw.memory.axi import FlatPorts
from phantom_hw.soc import csr
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.control import ControlPlane
from phantom_hw.soc.csr import Access, CsrMap
from phantom_hw.soc.csr_bank import CsrBank
from phantom_sim.cosim import build_cosim, runner

TOP = "control_plane"
TESTS = 5


def run_bench(preset: str, seed: int, bus_width: int, address_width: int) -> None:
    """Run all tests of the bench."""
    config = replace(PhantomConfig.preset(preset), bus_width=bus_width, address_width=address_width)
    top = FlatPorts(ControlPlane(CommandSet(config)), {"bus": "s_axil"})
    names = ["clk", "rst", *("__".join(map(str, path)) for path, _, _ in top.signature.flatten(top))]
    built = build_cosim(component_verilog(top, TOP), TOP, names)
    ran = runner.run_bench("csr_bench", TOP, built, seed=seed,
                           environment={"PHANTOM_PRESET": preset, "PHANTOM_SEED": str(seed),
                                        "PHANTOM_BUS_WIDTH": str(bus_width),
                                        "PHANTOM_ADDRESS_WIDTH": str(address_width)})
    assert ran == TESTS


@pytest.mark.xdist_group("cosim")
def test_control_plane():
    run_bench("tiny", 1, 64, 64)


@pytest.mark.verify
@pytest.mark.xdist_group("cosim")
@pytest.mark.parametrize(("seed", "bus_width", "address_width"), [(2, 64, 32), (3, 256, 40), (4, 512, 64)])
def test_control_plane_long(seed, bus_width, address_width):
    run_bench("ulx3s", seed, bus_width, address_width)


def test_a_pair_of_reads_gives_one_value(monkeypatch):
    """With counters that overflow their low halves all the time; another counter is read between the halves."""
    *others, counters, configuration = csr.BLOCKS
    fast = tuple(replace(one, counter=lambda config: 2**40) for one in counters.registers)
    monkeypatch.setattr(csr, "BLOCKS", (*others, replace(counters, registers=fast), configuration))
    offsets = {one.register.name: one.offset for one in CsrMap.placed()}
    bank, rng = CsrBank(CsrMap(PhantomConfig.preset("tiny"))), np.random.default_rng(1)
    values = {"cycles": 0, "commands": 0}

    async def read(ctx, offset):
        """The data, and the value of each counter when they were taken."""
        ctx.set(bank.bus.ar.valid, 1)
        ctx.set(bank.bus.ar.payload.addr, offset)
        history = []
        for _ in range(20):
            for name in values:
                ctx.set(getattr(bank, name), added := int(rng.integers(2**40)))
                history.append((name, values[name]))
                values[name] = (values[name] + added) % 2**64
            answered, accepted = ctx.get(bank.bus.r.valid), ctx.get(bank.bus.ar.ready)
            result = ctx.get(bank.bus.r.payload.data)
            ctx.set(bank.bus.r.ready, answered)
            await ctx.tick()
            if answered:
                return result, history
            if accepted:
                ctx.set(bank.bus.ar.valid, 0)
        raise TimeoutError("no answer")

    async def bench(ctx):
        for _ in range(60):
            name, other = ("cycles", "commands") if rng.random() < 0.5 else ("commands", "cycles")
            low, history = await read(ctx, offsets[name])
            if rng.random() < 0.5:
                await read(ctx, offsets["magic"])
            if rng.random() < 0.5:
                await read(ctx, offsets[other] + 4)
            high, _ = await read(ctx, offsets[name] + 4)
            assert (name, high << 32 | low) in history

    simulator = Simulator(bank)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert min(values.values()) > 2**48


def test_offsets():
    placed = CsrMap.placed()
    taken = [offset for one in placed for offset in range(one.offset, one.offset + 4 * one.register.words)]
    assert len(taken) == len(set(taken))
    assert all(one.offset % (4 * one.register.words) == 0 for one in placed)
    assert len({one.register.name for one in placed}) == len(placed)
    for one in placed:
        parts = [bit for part in one.register.bits for bit in range(part.lsb, part.lsb + part.width)]
        assert len(parts) == len(set(parts)) and max(parts) < 32 * one.register.words


def test_every_field_of_the_configuration_is_there():
    names = {one.register.name for one in CsrMap.placed() if one.register.name.startswith("config_")}
    expected = {f"config_{field.name}" for field in fields(PhantomConfig)} - {"config_name"}
    assert names == expected | {f"config_name{word}" for word in range(4)}


def test_names_that_are_no_ascii():
    long = CsrMap(replace(PhantomConfig.preset("tiny"), name="größer als sechzehn"))
    words = [one.register.constant(long) for one in CsrMap.placed() if one.register.name.startswith("config_name")]
    assert b"".join(word.to_bytes(4, "little") for word in words) == b"gr??er als sechz"


def test_blocks_must_not_overlap(monkeypatch):
    first, *rest = csr.BLOCKS
    monkeypatch.setattr(csr, "BLOCKS", (replace(first, registers=first.registers * 20), *rest))
    with pytest.raises(ValueError, match=r"^Control must begin at 0x[0-9a-f]+ or later, not 0x40$"):
        CsrMap.placed()


def test_ports_must_differ(monkeypatch):
    first, second, *rest = csr.BLOCKS
    double = replace(second, registers=(*second.registers, second.registers[0]))
    monkeypatch.setattr(csr, "BLOCKS", (first, double, *rest))
    with pytest.raises(ValueError, match=r"^the parts of registers need different names, not 'start' twice$"):
        CsrMap.placed()


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_too_few_address_bits():
    with pytest.raises(ValueError, match=r"^address_width must be an integer in 10\.\.64, not 9$"):
        CsrBank(CsrMap(PhantomConfig.preset("tiny")), 9)
    gc.collect()


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_every_part_has_a_port():
    bank = CsrBank(CsrMap(PhantomConfig.preset("tiny")))
    ports = set(bank.signature.members) - {"bus", "clear", "irq"}
    assert ports == {part.name for one in CsrMap.placed() if one.register.constant is None
                     for part in one.register.bits}
    assert {one.register.access for one in CsrMap.placed()} == set(Access)
    del bank
    gc.collect()


def test_verilog_passes_lint(lint):
    plane = ControlPlane(CommandSet(PhantomConfig.preset("tiny")))
    lint(component_verilog(FlatPorts(plane, {"bus": "s_axil"}), TOP), TOP)
