"""The cocotb bench of the control plane; cocotb imports it inside the simulation.

The bus is driven by cocotbext-axi's manager, which delays each channel at random; a monitor checks the rules of the
channels in each cycle. Inputs change right after a rising edge and are looked at at the falling edge.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp
from phantom_hw.config import PhantomConfig
from phantom_hw.soc.assembler import assemble
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.csr import WATCHDOG_RESET, Access, CsrMap
from phantom_hw.soc.status import State, Status

PERIOD = 10  # ns
LIMIT = 100_000  # cycles
CONFIG = replace(PhantomConfig.preset(os.environ["PHANTOM_PRESET"]), bus_width=int(os.environ["PHANTOM_BUS_WIDTH"]),
                 address_width=int(os.environ["PHANTOM_ADDRESS_WIDTH"]))
MAP = CsrMap(CONFIG)
OFFSETS = {placed.register.name: placed.offset for placed in MAP.placed()}
CONSTANTS = {placed.offset: placed.register.constant(MAP) for placed in MAP.placed() if placed.register.constant}
UNITS = [unit.name for unit in CommandSet().units]
LOAD = "LOAD_PROGRAM address=0 count=1 offset=0\n"
COUNTERS = ["busy_threads", "moving_starved", "stationary_starved", "drain", "read_beats", "write_beats"]


class Host:
    """The bus, a memory with a command stream, and units that are busy for a while."""

    def __init__(self, dut, rng):
        self.dut, self.rng = dut, rng
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.pauses = True
        self.memory: dict[int, bytes] = {}
        self.counts = dict.fromkeys(COUNTERS, 0)
        self.added = dict.fromkeys(COUNTERS, 0)
        write, read = self.master.write_if, self.master.read_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
            channel.set_pause_generator(self._pauses())

    def _pauses(self):
        while True:
            yield self.pauses and self.rng.random() < 0.5

    async def reset(self):
        dut = self.dut
        for name in (*COUNTERS, "error", "error_address", "progress", "busy", "data__valid", "data__payload"):
            getattr(dut, name).value = 0
        dut.request__ready.value = 1
        for name in UNITS:
            getattr(dut, f"{name}__ready").value = 1
        cocotb.start_soon(Clock(dut.clk, PERIOD, unit="ns").start())
        dut.rst.value = 1
        for _ in range(3):
            await RisingEdge(dut.clk)
        dut.rst.value = 0
        await RisingEdge(dut.clk)
        cocotb.start_soon(self._surround())
        cocotb.start_soon(self._watch())

    async def _surround(self):
        """Answer requests, keep units busy, add to the counters."""
        dut, rng, words, left = self.dut, self.rng, [], [0] * len(UNITS)
        while True:
            dut.data__valid.value = bool(words) and rng.random() < 0.6
            dut.data__payload.value = words[0] if words else 0
            dut.busy.value = sum((cycles > 0) << bit for bit, cycles in enumerate(left))
            adds = {name: rng.randrange(len(getattr(dut, name)) + 1) % 2 for name in COUNTERS}
            for name, added in adds.items():
                getattr(dut, name).value = added
            await FallingEdge(dut.clk)
            for name in COUNTERS:
                self.added[name] += adds[name]
            if int(dut.data__valid.value):
                words.pop(0)
            if int(dut.request__valid.value):
                payload = int(dut.request__payload.value)
                address, size = payload & (1 << CONFIG.address_width) - 1, payload >> CONFIG.address_width
                code = self.memory[address]
                assert size == len(code) == 64
                step = CONFIG.bus_width // 8
                words += [int.from_bytes(code[i:i + step], "little") for i in range(0, 64, step)]
            for bit, name in enumerate(UNITS):
                left[bit] = rng.randrange(1, 20) if int(getattr(dut, f"{name}__valid").value) else max(left[bit] - 1, 0)
            await RisingEdge(dut.clk)

    async def _watch(self):
        """An answer stays until it is taken, and there is none without a question."""
        dut, held, open_ = self.dut, {}, {"b": [0, 0], "r": [0]}
        while True:
            await FallingEdge(dut.clk)
            for channel, parts in (("b", ("bresp",)), ("r", ("rresp", "rdata"))):
                valid = int(getattr(dut, f"s_axil_{channel}valid").value)
                ready = int(getattr(dut, f"s_axil_{channel}ready").value)
                value = [int(getattr(dut, f"s_axil_{part}").value) for part in parts]
                assert channel not in held or (valid and held[channel] == value), f"{channel} changed while it waited"
                held.pop(channel, None)
                if valid:
                    assert min(open_[channel]) > 0, f"{channel} without a question"
                    if ready:
                        open_[channel] = [count - 1 for count in open_[channel]]
                    else:
                        held[channel] = value
            for channel, index, answer in (("aw", 0, "b"), ("w", 1, "b"), ("ar", 0, "r")):
                valid, ready = (int(getattr(dut, f"s_axil_{channel}{end}").value) for end in ("valid", "ready"))
                open_[answer][index] += valid & ready

    async def write(self, offset: int, data: bytes) -> AxiResp:
        return (await with_timeout(self.master.write(offset, data), LIMIT * PERIOD, "ns")).resp

    async def read(self, offset: int, length: int = 4) -> tuple[int, AxiResp]:
        answer = await with_timeout(self.master.read(offset, length), LIMIT * PERIOD, "ns")
        return int.from_bytes(answer.data, "little"), answer.resp

    async def get(self, name: str, length: int = 4) -> int:
        value, answer = await self.read(OFFSETS[name], length)
        assert answer == AxiResp.OKAY
        return value

    async def put(self, name: str, value: int, length: int = 4) -> None:
        assert await self.write(OFFSETS[name], value.to_bytes(length, "little")) == AxiResp.OKAY

    async def run(self, text: str, base: int, count: int | None = None) -> None:
        """Start a stream."""
        code = assemble(text, CommandSet(CONFIG))
        for place in range(0, len(code), 64):
            self.memory[base + place] = code[place:place + 64]
        await self.put("command_address", base, 8)
        await self.put("command_count", len(code) // 64 if count is None else count)
        await self.put("control", 1)

    async def finish(self) -> Status:
        """Wait for the end of the job."""
        for _ in range(1000):
            status = await self.get("status")
            if status & 3 == State.IDLE:
                return Status(status >> 8)
            assert Status(status >> 8) == Status.RUNNING
        raise TimeoutError("the job does not end")


async def start(dut) -> Host:
    host = Host(dut, random.Random(int(os.environ["PHANTOM_SEED"])))
    await host.reset()
    return host


@cocotb.test()
async def identification_and_configuration(dut):
    """All constants, in any order; the magic word and some fields spelt out."""
    host = await start(dut)
    offsets = list(CONSTANTS) * 2
    host.rng.shuffle(offsets)
    for offset in offsets:
        assert await host.read(offset) == (CONSTANTS[offset], AxiResp.OKAY)
    assert (await host.get("magic")).to_bytes(4, "little") == b"PHTM"
    assert (await host.get("config_name0", 16)).to_bytes(16, "little").rstrip(b"\0").decode() == CONFIG.name[:16]
    assert await host.get("config_threads") == CONFIG.threads
    assert await host.get("config_bus_width") == len(dut.data__payload)
    assert await host.get("config_address_width") == len(dut.request__payload) - 7
    assert await host.get("config_tds") == (CONFIG.tds == "out_of_order")
    assert await host.get("config_skip_empty") == CONFIG.skip_empty
    assert await host.get("watchdog") == WATCHDOG_RESET


@cocotb.test()
async def every_address(dut):
    """OKAY, SLVERR or DECERR for reads and writes of every word of the address space; nothing else changes."""
    host = await start(dut)
    host.pauses = False
    kinds = {placed.offset + 4 * word: placed.register.access
             for placed in MAP.placed() for word in range(placed.register.words)}
    for offset in range(0, 1 << 12, 4):
        kind = kinds.get(offset)
        wanted = AxiResp.DECERR if kind is None else AxiResp.SLVERR if kind is Access.WO else AxiResp.OKAY
        assert (await host.read(offset))[1] == wanted, hex(offset)
        wanted = AxiResp.DECERR if kind is None else AxiResp.SLVERR if kind is Access.RO else AxiResp.OKAY
        if kind is not Access.WO:
            assert await host.write(offset, b"\xff" * 4) == wanted, hex(offset)
    for offset, value in CONSTANTS.items():
        assert await host.read(offset) == (value, AxiResp.OKAY)
    for name, value in (("interrupt_enable", 3), ("command_count", 2**32 - 1), ("watchdog", 2**32 - 1)):
        assert await host.get(name) == value
    assert await host.get("command_address", 8) == 2**64 - 1
    assert await host.get("status") == 0


@cocotb.test()
async def strobes(dut):
    """Writes of single bytes at any place against a model of the memory."""
    host = await start(dut)
    names = {"command_address": 8, "command_count": 4, "watchdog": 4}
    model = {name: bytearray((await host.get(name, size)).to_bytes(size, "little")) for name, size in names.items()}
    for _ in range(80):
        name = host.rng.choice(list(names))
        first = host.rng.randrange(names[name])
        data = host.rng.randbytes(host.rng.randint(1, names[name] - first))
        assert await host.write(OFFSETS[name] + first, data) == AxiResp.OKAY
        model[name][first:first + len(data)] = data
        other = host.rng.choice(list(names))
        assert await host.get(other, names[other]) == int.from_bytes(model[other], "little")


@cocotb.test()
async def jobs_and_interrupts(dut):
    """Jobs that end well and badly, the interrupt, and the counters."""
    host = await start(dut)
    assert not int(dut.irq.value)
    await host.put("interrupt_enable", 1)
    for count in (1, 4):
        await host.run(LOAD * count + "FENCE units=load_program\nEND\n", 0x1000)
        assert await host.finish() == Status.OK
        assert int(dut.irq.value)
        assert await host.get("interrupt_status") == 1
        assert await host.get("commands", 8) == count + 2
        assert await host.get("cycles", 8) > 512 // CONFIG.bus_width * (count + 2)
        await host.put("interrupt_status", 2)
        assert int(dut.irq.value)
        await host.put("interrupt_status", 1)
        assert await host.get("interrupt_status") == 0 and not int(dut.irq.value)
    base = 0xFEDC_BA98_7654_0000 % (1 << CONFIG.address_width)
    await host.run(LOAD * 3, base)
    assert await host.finish() == Status.END_MISSING
    assert (await host.get("failed_index"), await host.get("failed_address", 8)) == (3, base + 3 * 64)
    assert await host.get("interrupt_status") == 2 and not int(dut.irq.value)
    await host.put("interrupt_enable", 2)
    assert int(dut.irq.value)
    # a start without effect while a job waits; then it is aborted
    dut.load_program__ready.value = 0
    await host.run(LOAD + "END\n", 0x4000)
    await host.put("control", 1)
    assert (await host.get("status")) & 3 == State.RUNNING
    await host.put("control", 2)
    assert (await host.get("status")) & 3 == State.STOPPING and int(dut.halt.value)
    dut.load_program__ready.value = 1
    assert await host.finish() == Status.ABORTED


@cocotb.test()
async def counters(dut):
    """Sums while a job runs, none afterwards, and pairs of reads that fit together."""
    host = await start(dut)
    dut.load_program__ready.value = 0
    await host.run(LOAD + "END\n", 0)
    first = {}
    for name in COUNTERS:
        first[name] = await host.get(name, 8)
        assert 0 < first[name] <= host.added[name]
    before = await host.get("cycles", 8)
    dut.load_program__ready.value = 1
    assert await host.finish() == Status.OK
    for name in COUNTERS:
        value = await host.get(name, 8)
        assert value == await host.get(name, 8) and value > first[name]
        assert value <= host.added[name]
    assert await host.get("cycles", 8) > before
    low, _ = await host.read(OFFSETS["cycles"])
    other, _ = await host.read(OFFSETS["commands"])
    assert (low, other) == (await host.get("cycles", 8), 2)

