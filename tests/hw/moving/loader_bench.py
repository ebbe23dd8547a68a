"""The loader of the moving buffers in the simulator, with a memory behind it and the golden model beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from amaranth.hdl import Value
from amaranth.sim import Simulator
from phantom_golden.slots import slot_bytes, to_bytes
from phantom_golden.sparse import encode
from phantom_hw.config import PhantomConfig
from phantom_hw.memory.align import dense_layout
from phantom_hw.memory.burst import request_layout
from phantom_hw.memory.parameters import bus_parameters
from phantom_hw.memory.slots import SlotError
from phantom_hw.moving.layouts import write_layout
from phantom_hw.moving.loader import MovingLoader
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.layouts import unit_layout

__all__ = ["Fill", "Load", "LoaderBench", "drawn_fill", "drawn_load", "places"]

QUIET = 24
"""Cycles that are watched after the unit said that it is done."""


@dataclass
class Load:
    """A LOAD_MOVING and the positions of its slots, by (channel, line, slot)."""

    fields: dict[str, int]
    contents: dict[tuple[int, int, int], np.ndarray]

    def slots(self) -> list[tuple[int, np.ndarray]]:
        """Address and positions of each slot, in order."""
        f = self.fields
        return [(f["address"] + c * f["channel_pitch"] + l * f["line_pitch"] + s * f["slot_pitch"],
                 self.contents[c, l, s])
                for c in range(f["channels"]) for l in range(f["lines"]) for s in range(f["slots"])]

    def parts(self, config: PhantomConfig) -> list[list[tuple[int, int]]]:
        """Place and value of each position, slot by slot."""
        f, result = self.fields, []
        slot_rows = 1 if f["slots"] > 1 else -(-f["last_positions"] // f["width"])
        for (c, l, s), values in self.contents.items():
            result.append([])
            for q, value in enumerate(values.tolist()):
                row, x = (0, s * f["positions"] + q) if f["slots"] > 1 else divmod(q, f["width"])
                x += f["x"]
                place = (f["offset"] + c * f["channel_step"] + (l * slot_rows + row) * f["row_step"]
                         + x % f["stride"] * f["phase_step"] + x // f["stride"])
                wide = config.operand_width if f["signed"] else config.act_width
                result[-1].append((place % config.moving_positions, value & (1 << wide) - 1))
        return result


@dataclass
class Fill:
    """A FILL_MOVING."""

    fields: dict[str, int]

    def parts(self, config: PhantomConfig) -> list[list[tuple[int, int]]]:
        """Place and value of each zero, row by row."""
        f = self.fields
        return [[((f["offset"] + i * f["step"] + k) % config.moving_positions, 0) for k in range(f["length"])]
                for i in range(f["count"])]


def places(command: Load | Fill, config: PhantomConfig) -> list[tuple[int, int]]:
    """Place and value of all that a command writes, in order."""
    return [write for part in command.parts(config) for write in part]


def _distinct(written: list[tuple[int, int]]) -> bool:
    """No place is written twice: then the order within a command does not matter."""
    return len({place for place, _ in written}) == len(written)


def _values(rng: np.random.Generator, config: PhantomConfig, count: int, is_signed: bool) -> np.ndarray:
    width = config.act_width
    values = rng.integers(1, 1 << width - 1 if is_signed else 1 << width, count)
    if is_signed:
        values = values * rng.choice([-1, 1], count)
    return np.where(rng.random(count) < rng.choice([0.0, 0.2, 0.5, 0.9, 1.0]), values, 0)


def drawn_load(rng: np.random.Generator, config: PhantomConfig, **fixed: int) -> Load:
    """A load that writes no place twice."""
    for _ in range(10_000):
        slots = int(rng.choice([1, 1, 2, 3]))
        positions = int(rng.integers(1, config.chunk + 1))
        f = {
            "channels": int(rng.integers(1, 4)), "lines": int(rng.integers(1, 4)), "slots": slots,
            "positions": positions,
            "last_positions": int(rng.integers(1, positions + 1)) if rng.random() < 0.5 else positions,
            "width": int(rng.integers(positions if slots > 1 else 1, config.chunk + 1)),
            "stride": int(rng.choice([1, 1, 2, 3, 4, config.moving_link, config.moving_link + 1,
                                      rng.integers(1, 256)])),
            "signed": int(rng.integers(2)), "rows": int(rng.integers(1, 1 << config.mesh_rows)),
            "x": int(rng.choice([0, 1, 3, rng.integers(1 << 16)])),
            "offset": int(rng.integers(config.moving_positions)), **fixed,
        }
        highest = config.moving_positions - 1
        longest = (f["slots"] * f["positions"]) // f["stride"] + 2
        phase = int(rng.integers(longest, longest + 9))
        row = int(rng.integers(min(f["stride"], f["slots"] * f["positions"]) * longest, highest + 1)) \
            if rng.random() < 0.3 else f["stride"] * phase + int(rng.integers(4))
        rows = f["lines"] * (1 if f["slots"] > 1 else -(-f["last_positions"] // f["width"]))
        steps = {"phase_step": phase, "row_step": row, "channel_step": rows * row + int(rng.integers(9))}
        f |= {name: min(step, highest) if rng.random() < 0.9 else step & highest for name, step in steps.items()}
        f |= {name: value for name, value in fixed.items() if name in steps}
        # in memory any of the three may be the innermost
        size = slot_bytes(config.chunk, config.act_width, 8)
        for name in rng.permutation(["channel", "line", "slot"]).tolist():
            f[f"{name}_pitch"] = size
            size = size * f[f"{name}s"] + 8 * int(rng.integers(3))
        load = Load(f, {})
        for c in range(f["channels"]):
            for l in range(f["lines"]):
                for s in range(f["slots"]):
                    count = f["last_positions" if s == f["slots"] - 1 else "positions"]
                    load.contents[c, l, s] = _values(rng, config, count, bool(f["signed"]))
        if _distinct(places(load, config)):
            f["address"] = 0
            return load
    raise AssertionError("no load found")


def drawn_fill(rng: np.random.Generator, config: PhantomConfig) -> Fill:
    """A fill, of which rows may overlap."""
    return Fill({
        "offset": int(rng.integers(config.moving_positions)), "length": int(rng.integers(1, 40)),
        "count": int(rng.integers(1, 5)), "step": int(rng.integers(config.moving_positions)),
        "rows": int(rng.integers(1, 1 << config.mesh_rows))})


@dataclass
class LoaderBench:
    """A loader, commands for it, and a memory with their slots.

    Parameters
    ----------
    config : PhantomConfig
    seed : int
        Of all contents and stalls; printed.
    stall : float
        Probability that a side pauses in a cycle.
    latency : int
        Most cycles from a request to its first word.
    gap : int
        Cycles before each word of the bus.
    """

    config: PhantomConfig
    seed: int
    stall: float = 0.0
    latency: int = 0
    gap: int = 0
    memory: dict[int, int] = field(default_factory=dict)
    writes: list[dict] = field(default_factory=list)
    requests: list[tuple[int, int]] = field(default_factory=list)
    times: dict[str, list[int]] = field(default_factory=lambda: {"command": [], "request": [], "data": [], "write": []})
    cycle: int = 0
    words: int = 0
    """Words of the bus that were requested."""
    error: SlotError = SlotError.NONE
    tampers: dict[int, Callable[[bytes], bytes]] = field(default_factory=dict)
    """By the place of a request: what the memory makes of its bytes."""

    def __post_init__(self):
        print(f"seed {self.seed}")
        self.rng = np.random.default_rng(self.seed)
        self.dut = MovingLoader(self.config)
        self._free = 8 * int(self.rng.integers(1, 100))

    def store(self, load: Load) -> None:
        """Put the slots of a load behind what is in memory, with arbitrary bytes behind the values."""
        load.fields["address"] = self._free
        config = self.config
        for address, values in load.slots():
            padded = np.zeros(config.chunk, np.int64)
            padded[:len(values)] = values
            stored = to_bytes(encode(padded, config.chunk), config.act_width, signed=bool(load.fields["signed"]))
            used = -(-config.chunk // 8) + -(-int((values != 0).sum()) * config.act_width // 8)
            content = stored.tobytes()[:used] + self.rng.bytes(slot_bytes(config.chunk, config.act_width, 8) - used)
            assert address not in self.memory, "slots overlap"
            self.memory |= {address + i: byte for i, byte in enumerate(content)}
        self._free = -(-max(self.memory) // 8) * 8 + 8

    def expected_requests(self, load: Load) -> list[tuple[int, int]]:
        """Address and length of each."""
        return [(address, -(-self.config.chunk // 8) + -(-len(values) * self.config.act_width // 8))
                for address, values in load.slots()]

    def _command(self, command: Load | Fill) -> int:
        commands = CommandSet(self.config, address_width=self.config.address_width)
        layout = unit_layout(commands, next(unit for unit in commands.units if unit.name == "load_moving"))
        name = "load_moving" if isinstance(command, Load) else "fill_moving"
        operands = layout["operands"].shape.members[name]
        return int(isinstance(command, Fill)) | operands.const(command.fields).as_bits() << layout["operands"].offset

    def _words(self, address: int, length: int) -> list[int]:
        """The words of the bus of a request."""
        size, layout = self.config.bus_width // 8, dense_layout(self.config.bus_width)
        content = bytes(self.memory[address + i] for i in range(length))
        content = self.tampers.get(len(self.requests) - 1, bytes)(content)
        return [layout.const({"data": int.from_bytes(content[i:i + size], "little"), "count": len(content[i:i + size]),
                              "last": i + size >= len(content)}).as_bits() for i in range(0, len(content), size)]

    def run(self, commands: list[Load | Fill], limit: int | None = None) -> None:
        """Carry out commands, ``limit`` cycles at most, and see that the unit says in time that it is done."""
        dut = self.dut
        total = sum(len(places(command, self.config)) for command in commands)
        slots = sum(len(command.contents) for command in commands if isinstance(command, Load))
        limit = limit or 500 + int((8 * total + 60 * len(commands) + slots * (20 + 2 * self.latency))
                                   / (1 - self.stall) ** 2)
        feeding, memory, taking = self.rng.spawn(3)
        waiting: list[tuple[int, list[int]]] = []  # when it may come, and the words

        async def feed(ctx):
            for command in commands:
                while feeding.random() < self.stall:
                    await ctx.tick()
                ctx.set(Value.cast(dut.command.payload), self._command(command))
                ctx.set(dut.command.valid, 1)
                await ctx.tick().until(dut.command.ready)
                self.times["command"].append(self.cycle)
                ctx.set(dut.command.valid, 0)
                assert ctx.get(dut.busy), "not busy in the cycle after a command"

        async def take_requests(ctx):
            layout, held = request_layout(bus_parameters(self.config)), None
            while True:
                ctx.set(dut.request.ready, memory.random() >= self.stall)
                _, _, valid, ready, bits = await ctx.tick().sample(
                    dut.request.valid, dut.request.ready, Value.cast(dut.request.payload))
                assert held is None or (valid and held == bits), "a request was withdrawn or changed"
                held = bits if valid and not ready else None
                if valid and ready:
                    request = layout.from_bits(bits)
                    self.requests.append((request.address, request.length))
                    self.times["request"].append(self.cycle)
                    delay = self.latency if self.stall == 0 else int(memory.integers(self.latency + 1))
                    waiting.append((self.cycle + delay, self._words(*self.requests[-1])))
                    self.words += len(waiting[-1][1])

        async def give_data(ctx):
            while True:
                while not waiting or waiting[0][0] > self.cycle:
                    await ctx.tick()
                for word in waiting.pop(0)[1]:
                    if self.gap:
                        await ctx.tick().repeat(self.gap)
                    while memory.random() < self.stall:
                        await ctx.tick()
                    ctx.set(Value.cast(dut.data.payload), word)
                    ctx.set(dut.data.valid, 1)
                    await ctx.tick().until(dut.data.ready)
                    self.times["data"].append(self.cycle)
                    ctx.set(dut.data.valid, 0)

        async def take(ctx):
            layout, held = write_layout(self.config), None
            while True:
                ctx.set(dut.write.ready, taking.random() >= self.stall)
                _, _, valid, ready, bits = await ctx.tick().sample(
                    dut.write.valid, dut.write.ready, Value.cast(dut.write.payload))
                assert held is None or (valid and held == bits), "a write was withdrawn or changed"
                held = bits if valid and not ready else None
                if valid and ready:
                    write = layout.from_bits(bits)
                    self.writes.append({"rows": write.rows, "place": write.place, "count": write.count,
                                        "values": [write.values[i] for i in range(self.config.moving_link)]})
                    self.times["write"].append(self.cycle)

        async def watch(ctx):
            quiet = 0
            while quiet < QUIET:
                await ctx.tick()
                self.cycle += 1
                assert self.cycle < limit, f"not done after {limit} cycles"
                done = len(self.times["command"]) == len(commands) and not ctx.get(dut.busy)
                if quiet == 0 and done:
                    written = len(self.writes)
                    assert len(self.times["data"]) == self.words, "done before the data have come"
                assert done or quiet == 0, "busy again"
                quiet = quiet + 1 if done else 0
            assert len(self.writes) == written, "a write after the unit was done"
            self.error = ctx.get(dut.error)

        simulator = Simulator(dut)
        simulator.add_clock(1e-6)
        for process in (feed, take_requests, give_data, take):
            simulator.add_testbench(process, background=True)
        simulator.add_testbench(watch)
        simulator.run()

    def check(self, commands: list[Load | Fill], damaged: bool = False) -> None:
        """Compare the buffers that the writes make with those that the commands ask for.

        If slots are ``damaged``, what they may have written is not looked at.
        """
        config, doubtful = self.config, np.zeros((self.config.mesh_rows, self.config.moving_positions), bool)
        start = self.rng.integers(1 << config.operand_width, size=(config.mesh_rows, config.moving_positions))
        got, expected = start.copy(), start.copy()
        for command in commands:
            for row in range(config.mesh_rows):
                if command.fields["rows"] >> row & 1:
                    for place, value in places(command, config):
                        expected[row, place] = value
        for write in self.writes:
            assert 1 <= write["count"] <= config.moving_link
            assert 1 <= write["rows"] < 1 << config.mesh_rows
            for row in range(config.mesh_rows):
                if write["rows"] >> row & 1:
                    for i in range(write["count"]):
                        got[row, (write["place"] + i) % config.moving_positions] = write["values"][i]
        if damaged:
            self._mark(commands, doubtful)
            assert doubtful.any() and not doubtful.all()
        np.testing.assert_array_equal(np.where(doubtful, 0, got), np.where(doubtful, 0, expected))
        assert sum(write["count"] for write in self.writes) == sum(len(places(c, config)) for c in commands)
        assert self.requests == [request for command in commands if isinstance(command, Load)
                                 for request in self.expected_requests(command)]

    def _mark(self, commands: list[Load | Fill], doubtful: np.ndarray) -> None:
        """Mark the places whose last value is from a tampered slot."""
        request = 0
        for command in commands:
            for slot in command.parts(self.config):
                damaged = isinstance(command, Load) and request in self.tampers
                request += isinstance(command, Load)
                for row in range(self.config.mesh_rows):
                    if command.fields["rows"] >> row & 1:
                        doubtful[row, [place for place, _ in slot]] = damaged
