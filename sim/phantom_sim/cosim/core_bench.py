"""The cocotb bench of one core; cocotb imports it inside the simulation.

Inputs change right after a rising edge, and everything is looked at at the falling edge, when it has settled: what
is valid and ready there is transferred by the next rising edge.
"""

from __future__ import annotations

import os
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.handle import SimHandleBase
from cocotb.task import Task
from cocotb.triggers import FallingEdge, RisingEdge, with_timeout
from numpy.typing import NDArray

from phantom_sim.cosim.batch import Case, load_batch

PERIOD = 10  # ns
RESET_CYCLES = 2
SLACK = 100_000  # cycles beyond the expected ones before a run counts as hung


def _integers(words: NDArray[np.uint32]) -> list[int]:
    """Payloads as Python integers."""
    return [int.from_bytes(row.astype("<u4").tobytes(), "little") for row in words]


class Source:
    """Sends beats on a stream, each after its gap."""

    def __init__(self, dut: SimHandleBase, name: str):
        self.clock = dut.clk
        self.payload, self.valid, self.ready = (getattr(dut, f"{name}__{end}") for end in ("payload", "valid", "ready"))
        self.valid.value = 0
        self.payload.value = 0

    async def send(self, words: NDArray[np.uint32], gaps: NDArray[np.int64]) -> None:
        """Send all beats; call it right after a rising edge, returns right after the last transfer."""
        mask = (1 << len(self.payload)) - 1
        for payload, gap in zip(_integers(words), gaps.tolist(), strict=True):
            if gap:
                self.valid.value = 0
                self.payload.value = payload ^ mask
                for _ in range(gap):
                    await RisingEdge(self.clock)
            self.valid.value = 1
            self.payload.value = payload
            while True:
                await FallingEdge(self.clock)
                taken = int(self.ready.value)
                await RisingEdge(self.clock)
                if taken:
                    break
        self.valid.value = 0


class Sink:
    """Takes beats from a stream, ready by a pattern; checks that a waiting beat holds."""

    def __init__(self, dut: SimHandleBase, name: str):
        self.clock = dut.clk
        self.payload, self.valid, self.ready = (getattr(dut, f"{name}__{end}") for end in ("payload", "valid", "ready"))
        self.ready.value = 0

    async def receive(self, count: int, pattern: NDArray[np.bool_]) -> list[tuple[int, int]]:
        """Take ``count`` beats; their cycles (from 0, the one that begins now) and payloads."""
        beats: list[tuple[int, int]] = []
        held: int | None = None
        cycle = 0
        while len(beats) < count:
            ready = bool(pattern[cycle % len(pattern)])
            self.ready.value = int(ready)
            await FallingEdge(self.clock)
            valid = int(self.valid.value)
            payload = int(self.payload.value) if valid else None
            assert held is None or payload == held, f"result beat {len(beats)} changed while it waited, cycle {cycle}"
            held = payload if not ready else None
            if valid and ready:
                assert payload is not None
                beats.append((cycle, payload))
            await RisingEdge(self.clock)
            cycle += 1
        self.ready.value = 0
        return beats


class Bench:
    """A core with its drivers."""

    def __init__(self, dut: SimHandleBase):
        self.dut = dut
        self.layer, self.moving, self.stationary = (Source(dut, name) for name in ("layer", "moving", "stationary"))
        self.result = Sink(dut, "result")

    async def start(self) -> None:
        """Start the clock and reset."""
        Clock(self.dut.clk, PERIOD, unit="ns", impl="gpi").start()
        await self.reset()

    async def reset(self) -> None:
        """Reset; returns right after a rising edge."""
        self.dut.rst.value = 1
        for _ in range(RESET_CYCLES + 1):
            await RisingEdge(self.dut.clk)
        self.dut.rst.value = 0

    async def configure(self, case: Case) -> None:
        """Hand over the layer once the core is idle; cycle 0 begins on return."""
        while True:
            await FallingEdge(self.dut.clk)
            idle = int(self.dut.idle.value)
            await RisingEdge(self.dut.clk)
            if idle:
                break
        await self.layer.send(case.layer, np.zeros(1, np.int64))

    def feed(self, case: Case) -> list[Task]:
        """Start the senders of a case."""
        return [cocotb.start_soon(self.moving.send(case.moving, case.moving_gaps)),
                cocotb.start_soon(self.stationary.send(case.stationary, case.stationary_gaps))]

    async def run(self, case: Case, name: str) -> None:
        """Run a case and compare everything."""
        await self.configure(case)
        senders = self.feed(case)
        expected_cycles = case.result_cycles.tolist()
        limit = (expected_cycles[-1] + SLACK) * PERIOD
        beats = await with_timeout(
            cocotb.start_soon(self.result.receive(len(case.results), case.result_ready)), limit, "ns")
        assert [payload for _, payload in beats] == _integers(case.results), f"{name}: values differ"
        cycles = [cycle for cycle, _ in beats]
        assert cycles == expected_cycles, f"{name}: {cycles[-1]} cycles, the model has {expected_cycles[-1]}"
        for sender in senders:
            assert sender.done(), f"{name}: beats are left over"


def _batch() -> list[Case]:
    return load_batch(Path(os.environ["PHANTOM_BATCH"]))[1]


@cocotb.test()
async def values_and_cycles(dut: SimHandleBase) -> None:
    """All cases, one after another without reset."""
    bench = Bench(dut)
    await bench.start()
    for number, case in enumerate(_batch()):
        await bench.run(case, f"case {number}")


@cocotb.test()
async def reset_in_a_run(dut: SimHandleBase) -> None:
    """Reset in the middle of each case; the case that follows shows no trace of it."""
    bench = Bench(dut)
    await bench.start()
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    for number, case in enumerate(_batch()):
        await bench.configure(case)
        running = [*bench.feed(case), cocotb.start_soon(bench.result.receive(len(case.results), case.result_ready))]
        for _ in range(int(rng.integers(1, case.result_cycles[-1] + 1))):
            await RisingEdge(dut.clk)
        for task in running:
            task.cancel()
        for source in (bench.moving, bench.stationary):
            source.valid.value = 0
        bench.result.ready.value = 0
        await bench.reset()
        await bench.run(case, f"case {number} after a reset")
