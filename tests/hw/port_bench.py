"""Any ports of a block in the simulator: sources, sinks and a memory that stall at random, and a limit of cycles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from amaranth.hdl import Value
from amaranth.sim import Simulator

__all__ = ["PortBench", "assert_same"]

QUIET = 40
"""Cycles that are watched after everything came: nothing more may."""


async def _taken(ctx, port) -> None:
    """Wait until what a port offers is taken."""
    ready = False
    while not ready:
        _, _, ready = await ctx.tick().sample(port.ready)


class PortBench:
    """A block whose streams are fed and collected, whatever array they are in.

    Parameters
    ----------
    dut : Component
    seed : int
        Of all stalls; printed, so that a failure can be repeated.
    stall : float
        Probability that a side pauses in a cycle.
    """

    def __init__(self, dut, seed: int, stall: float = 0.0):
        print(f"seed {seed}")
        self.dut, self.rng, self.stall, self.cycle = dut, np.random.default_rng(seed), stall, 0
        self.open_feeds = 0
        self._benches: list[Callable] = []

    def source(self, port, payloads: list[int], after: Callable[[int], bool] = lambda number: True) -> list[int]:
        """Feed payloads, number i when ``after(i)`` holds; the list will have the cycles of the transfers."""
        rng, times = self.rng.spawn(1)[0], []
        self.open_feeds += 1

        async def feed(ctx):
            for number, payload in enumerate(payloads):
                while not after(number) or rng.random() < self.stall:
                    await ctx.tick()
                ctx.set(Value.cast(port.payload), payload)
                ctx.set(port.valid, 1)
                await _taken(ctx, port)
                times.append(self.cycle)
                ctx.set(port.valid, 0)
            self.open_feeds -= 1

        self._benches.append(feed)
        return times

    def sink(self, port, take: Callable[[int], None] | None = None, stall: float | None = None) -> list[tuple]:
        """The list that will hold (payload, cycle) of all transfers; an offer must stay."""
        rng, got = self.rng.spawn(1)[0], []
        stall = self.stall if stall is None else stall

        async def collect(ctx):
            waiting = None
            while True:
                ctx.set(port.ready, rng.random() >= stall)
                _, _, valid, ready, payload = await ctx.tick().sample(port.valid, port.ready, Value.cast(port.payload))
                assert waiting is None or (valid and payload == waiting), "an offer was withdrawn or changed"
                waiting = payload if valid and not ready else None
                if valid and ready:
                    got.append((payload, self.cycle))
                    if take:
                        take(payload)

        self._benches.append(collect)
        return got

    def background(self, bench: Callable) -> None:
        """Add a testbench that runs as long as the others."""
        self._benches.append(bench)

    def memory(self, request, data, read: Callable[[int, int], bytes], width: int) -> list[tuple[int, int]]:
        """Answer requests {address, length} in order, in words that count from byte 0; the list of the requests."""
        rng, size, asked, words = self.rng.spawn(1)[0], width // 8, [], []

        def take(payload: int) -> None:
            fields = request.payload.shape().from_bits(payload)
            asked.append((int(fields.address), int(fields.length)))
            text = read(*asked[-1])
            for at in range(0, len(text), size):
                piece = text[at:at + size]
                junk = bytes(rng.integers(0, 256, size - len(piece), dtype=np.uint8))
                words.append({"data": int.from_bytes(piece + junk, "little"), "count": len(piece),
                              "last": at + size >= len(text)})

        async def answer(ctx):
            while True:
                while not words or rng.random() < self.stall:
                    await ctx.tick()
                ctx.set(data.payload, words.pop(0))
                ctx.set(data.valid, 1)
                await _taken(ctx, data)
                ctx.set(data.valid, 0)

        self.sink(request, take)
        self._benches.append(answer)
        return asked

    def each_cycle(self, look: Callable) -> None:
        """Call ``look(ctx)`` in every cycle before its clock edge."""
        async def watch(ctx):
            while True:
                look(ctx)
                await ctx.tick()

        self._benches.append(watch)

    def run(self, done: Callable, limit: int, then: Callable | None = None, *, fed: bool = True) -> None:
        """Simulate until all is fed and ``done(ctx)`` holds for ``QUIET`` cycles, ``limit`` cycles at most.

        Without ``fed``, sources need not be through.
        """
        async def watch(ctx):
            quiet = 0
            while quiet < QUIET:
                await ctx.tick()
                self.cycle += 1
                if self.cycle >= limit:
                    raise TimeoutError(f"not done after {limit} cycles; {self.open_feeds} sources are not through")
                quiet = 0 if (fed and self.open_feeds) or not done(ctx) else quiet + 1
            if then is not None:
                then(ctx)

        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        for bench in self._benches:
            simulator.add_testbench(bench, background=True)
        simulator.add_testbench(watch)
        simulator.run()


def assert_same(name: str, got: list, expected: list) -> None:
    """Two lists are equal; otherwise say how long they are and where they differ first (pytest would take minutes)."""
    if got != expected:
        pairs = zip(got, expected, strict=False)
        place = next((i for i, (one, other) in enumerate(pairs) if one != other), min(len(got), len(expected)))
        raise AssertionError(f"{name}: {len(got)} instead of {len(expected)}; at {place}: "
                             f"{got[place:place + 1]!r} instead of {expected[place:place + 1]!r}")
