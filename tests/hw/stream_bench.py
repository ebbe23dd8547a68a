"""Streams of a block in the simulator: whoever feeds or takes stalls at random, and nothing may take forever."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Value
from amaranth.sim import Simulator

__all__ = ["StreamBench"]

QUIET = 24
"""Cycles that are watched after everything came: nothing more may."""


class StreamBench:
    """A block whose input streams are fed and whose output streams are collected until they are complete.

    Parameters
    ----------
    dut : Component
    seed : int
        Of all stalls; printed, so that a failure can be repeated.
    stall : float
        Probability that a side pauses in a cycle, 0..1.
    """

    def __init__(self, dut, seed: int, stall: float = 0.0):
        print(f"seed {seed}")
        self.dut, self._seed, self._stall = dut, seed, stall
        self.cycle = 0
        self.times: dict[str, list[int]] = {}
        """For each stream the cycles of its transfers."""
        self._feeds: list[tuple[str, list[int]]] = []
        self._stalls: dict[str, float] = {}
        self._after: dict[str, tuple[str, ...]] = {}
        self._results: dict[str, tuple[list[int], int]] = {}

    def feed(self, name: str, payloads: list[int]) -> None:
        """Payloads, as integers, for an input stream."""
        self._feeds.append((name, payloads))
        self.times[name] = []

    def after(self, name: str, *others: str) -> None:
        """Feed a stream only when others have been fed."""
        self._after[name] = others

    def collect(self, name: str, count: int, stall: float | None = None) -> list[int]:
        """The list that will hold what an output stream gives; one more than ``count`` is an error.

        ``stall`` is for this stream alone.
        """
        self._stalls[name] = self._stall if stall is None else stall
        self._results[name] = ([], count)
        self.times[name] = []
        return self._results[name][0]

    def _source(self, name: str, payloads: list[int], pauses: np.random.Generator):
        port = getattr(self.dut, name)

        async def feed(ctx):
            while any(len(self.times[other]) < len(dict(self._feeds)[other]) for other in self._after.get(name, ())):
                await ctx.tick()
            for payload in payloads:
                while pauses.random() < self._stall:
                    await ctx.tick()
                ctx.set(Value.cast(port.payload), payload)
                ctx.set(port.valid, 1)
                await ctx.tick().until(port.ready)
                self.times[name].append(self.cycle)
                ctx.set(port.valid, 0)

        return feed

    def _sink(self, name: str, pauses: np.random.Generator):
        port, (got, count) = getattr(self.dut, name), self._results[name]

        async def collect(ctx):
            waiting = None
            while True:
                ctx.set(port.ready, pauses.random() >= self._stalls[name])
                _, _, valid, ready, payload = await ctx.tick().sample(port.valid, port.ready, Value.cast(port.payload))
                assert waiting is None or (valid and payload == waiting), f"{name}: an offer was withdrawn or changed"
                waiting = payload if valid and not ready else None
                if valid and ready:
                    assert len(got) < count, f"{name}: more than {count} payloads"
                    got.append(payload)
                    self.times[name].append(self.cycle)

        return collect

    def run(self, limit: int, then=None) -> None:
        """Simulate until every collected stream is complete, ``limit`` cycles at most; then await ``then(ctx)``."""
        async def watch(ctx):
            quiet = 0
            while quiet < QUIET:
                await ctx.tick()
                self.cycle += 1
                missing = {name: count - len(got) for name, (got, count) in self._results.items() if len(got) < count}
                assert self.cycle < limit, f"after {limit} cycles still missing: {missing}"
                quiet = 0 if missing else quiet + 1
            if then is not None:
                await then(ctx)

        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        pauses = iter(np.random.default_rng(self._seed).spawn(len(self._feeds) + len(self._results)))
        for name, payloads in self._feeds:
            simulator.add_testbench(self._source(name, payloads, next(pauses)), background=True)
        for name in self._results:
            simulator.add_testbench(self._sink(name, next(pauses)), background=True)
        simulator.add_testbench(watch)
        simulator.run()
