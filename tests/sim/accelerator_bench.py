"""The cocotb bench of the whole accelerator; cocotb imports it inside the simulation.

Host and memory are cocotbext-axi's, with pauses on every channel; the memory lies beyond 4 GiB. Inputs change right
after a rising edge, and the monitor looks at the falling edge.
"""

from __future__ import annotations

import os
import random

import cocotb
import numpy as np
from accelerator_cases import AXI, Case, random_case
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiResp, AxiSlaveRead, AxiSlaveWrite
from cocotbext.axi.sparse_memory import SparseMemory
from phantom_hw.soc.csr import CsrMap
from phantom_hw.soc.status import Status

PERIOD = 10  # ns
LIMIT = 60_000  # cycles of a job
BASE = 5 << 32
PAGE = 4096
SEED = int(os.environ["PHANTOM_SEED"])
OFFSETS = {placed.register.name: (placed.offset, 4 * placed.register.words) for placed in CsrMap.placed()}
DRIVEN = {"ar": ("araddr", "arlen", "arsize", "arburst", "arid"),
          "aw": ("awaddr", "awlen", "awsize", "awburst", "awid"),
          "w": ("wdata", "wstrb", "wlast")}


class RamRead(AxiSlaveRead):
    """A memory with one place that cannot be read."""

    fault = -1

    async def _read(self, address, length):
        if address <= self.fault < address + length:
            raise OSError("seeded fault")
        return self.target.read(address, length)


class RamWrite(AxiSlaveWrite):
    """A memory with one place that cannot be written, which notes all that is."""

    fault = -1

    async def _write(self, address, data):
        if address <= self.fault < address + len(data):
            raise OSError("seeded fault")
        self.written.append((address, len(data)))
        self.target.write(address, data)


class Host:
    """The accelerator between a host and a memory."""

    def __init__(self, dut):
        self.dut, self.rng = dut, random.Random(SEED)
        self.memory = SparseMemory(1 << AXI.address_width)
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        bus = AxiBus.from_prefix(dut, "m_axi")
        self.read_ram = RamRead(bus.read, dut.clk, dut.rst, target=self.memory)
        self.write_ram = RamWrite(bus.write, dut.clk, dut.rst, target=self.memory)
        self.write_ram.written = []
        write, read = self.master.write_if, self.master.read_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel,
                        self.read_ram.ar_channel, self.read_ram.r_channel, self.write_ram.aw_channel,
                        self.write_ram.w_channel, self.write_ram.b_channel):
            channel.set_pause_generator(self._pauses())

    def _pauses(self):
        while True:
            yield self.rng.random() < 0.3

    async def reset(self):
        cocotb.start_soon(Clock(self.dut.clk, PERIOD, unit="ns").start())
        self.dut.rst.value = 1
        for _ in range(4):
            await RisingEdge(self.dut.clk)
        self.dut.rst.value = 0
        await RisingEdge(self.dut.clk)
        cocotb.start_soon(self._watch())

    def _value(self, name):
        return int(getattr(self.dut, f"m_axi_{name}").value)

    async def _watch(self):
        """What is offered stays until it is taken; no burst crosses a page."""
        held = dict.fromkeys(DRIVEN)
        while True:
            await FallingEdge(self.dut.clk)
            for name, fields in DRIVEN.items():
                offered = tuple(map(self._value, fields)) if self._value(f"{name}valid") else None
                assert held[name] in (None, offered), f"{name} was withdrawn or changed while it waited"
                held[name] = None if self._value(f"{name}ready") else offered
                if offered and name != "w":
                    address, last = offered[0], offered[0] + (offered[1] + 1 << offered[2]) - 1
                    assert address // PAGE == last // PAGE, f"a burst at {address:#x} crosses a page"

    async def write(self, name, value):
        offset, size = OFFSETS[name]
        answer = await with_timeout(self.master.write(offset, value.to_bytes(size, "little")), LIMIT * PERIOD, "ns")
        assert answer.resp == AxiResp.OKAY

    async def read(self, name):
        answer = await with_timeout(self.master.read(*OFFSETS[name]), LIMIT * PERIOD, "ns")
        assert answer.resp == AxiResp.OKAY
        return int.from_bytes(answer.data, "little")

    async def run(self, case: Case):
        """Run a job; its status. Nothing is written outside of the output."""
        job = case.job
        for address, data in job.image.segments:
            self.memory.write(address, bytes(data))
        self.memory.write(job.input.address, bytes(job.input.encode(case.activations)))
        [form] = job.outputs
        self.memory.write(form.address, b"\xa5" * form.bytes)
        self.write_ram.written.clear()
        for name, value in (("interrupt_status", 3), ("interrupt_enable", 3), ("command_address", job.commands),
                            ("command_count", job.count), ("watchdog", 5000), ("write_first", form.address),
                            ("write_last", form.address + form.bytes - 1), ("control", 1)):
            await self.write(name, value)
        await with_timeout(RisingEdge(self.dut.irq), LIMIT * PERIOD, "ns")
        for address, size in self.write_ram.written:
            assert form.address <= address <= address + size <= form.address + form.bytes
        status = Status(await self.read("status") >> 8 & 15)
        assert await self.read("interrupt_status") == (1 if status is Status.OK else 2)
        return status

    async def check(self, case: Case):
        """Run a job that must give what it must give."""
        assert await self.run(case) is Status.OK
        [form] = case.job.outputs
        got = form.decode(np.frombuffer(self.memory.read(form.address, form.bytes), np.uint8))
        assert np.array_equal(got, case.expected[0])
        await self.write("interrupt_status", 3)


def cases():
    """Two layers, one behind the other in memory."""
    first = random_case(AXI, "conv3x3", SEED, BASE)
    return [first, random_case(AXI, "pointwise", SEED, (first.end // PAGE + 1) * PAGE)]


@cocotb.test()
async def layers(dut):
    """Golden values."""
    host = Host(dut)
    await host.reset()
    for case in cases():
        await host.check(case)


@cocotb.test()
async def errors(dut):
    """An error ends the job, and the next one runs."""
    host = Host(dut)
    await host.reset()
    case, _ = cases()
    [form] = case.job.outputs
    for ram, fault, status in (
        (host.read_ram, case.job.input.address, Status.READ_SLAVE_ERROR),
        (host.write_ram, form.address, Status.WRITE_SLAVE_ERROR),
        (host.write_ram, form.address + form.bytes - form.slot_pitch, Status.WRITE_SLAVE_ERROR),
    ):
        ram.fault = fault
        assert await host.run(case) is status
        assert fault - PAGE < await host.read("failed_address") <= fault
        ram.fault = -1
        await host.write("interrupt_status", 3)
        await host.check(case)
