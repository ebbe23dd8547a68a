"""A decoder between a memory and units that stall as they like, and what it must do with a command stream."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from amaranth.hdl import Value
from amaranth.sim import Simulator
from command_reference import UNIT_NAMES, Reference
from phantom_hw.config import PhantomConfig
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.decoder import CommandDecoder
from phantom_hw.soc.status import State, Status

COMMAND = 64


@dataclass
class Job:
    """One job and how its surroundings behave.

    ``stall`` is the share of cycles in which anyone stalls; ``errors`` gives (code, address) by the cycle;
    ``deaf`` units never take anything, ``stuck`` ones never become idle again, also not under halt.
    """

    stream: bytes
    base: int = 0x4000
    count: int | None = None
    stall: float = 0.4
    errors: dict[int, tuple[int, int]] = field(default_factory=dict)
    abort_at: int | None = None
    watchdog: int = 0
    deaf: frozenset[str] = frozenset()
    stuck: frozenset[str] = frozenset()
    silent_memory: bool = False
    longest: int = 12  # cycles that a unit works on a command


@dataclass
class Outcome:
    """What came of a job."""

    code: int
    index: int
    address: int
    taken: list[tuple[str, int]]
    times: list[tuple[int, int]]  # of each command taken: from the cycle of taking to the last busy one
    retired: int
    requests: list[int]
    cycles: int
    busy: bool


def predicted(reference: Reference, job: Job) -> tuple[list[tuple[str, int]], Status, int]:
    """Commands handed out, how the job ends, and at which command; nothing but malformed commands goes wrong."""
    size = 1 << reference.config.address_width
    handed = []
    if job.base % COMMAND or job.base >= size:
        return [], Status.BAD_ADDRESS, 0
    count = len(job.stream) // COMMAND if job.count is None else job.count
    for index in range(count):
        if job.base + index * COMMAND >= size:
            return handed, Status.BAD_ADDRESS, index
        command = job.stream[index * COMMAND:(index + 1) * COMMAND]
        code = reference.status(command)
        if code != Status.OK or command[0] == 1:
            return handed, code, index
        if reference.unit(command):
            handed.append((reference.unit(command), reference.payload(command)))
    return handed, Status.END_MISSING, count


class Surroundings:
    """Drives all inputs of the decoder a cycle at a time, and looks at all outputs."""

    def __init__(self, dut: CommandDecoder, job: Job, rng: np.random.Generator):
        self.dut, self.bytes, self.job, self.rng = dut, len(dut.data.payload) // 8, job, rng
        self.words: deque[int] = deque()
        self.left = dict.fromkeys(UNIT_NAMES, 0)  # cycles that a unit is still busy
        self.taken: list[tuple[str, int]] = []
        self.times: list[list] = []
        self.owner: dict[str, int] = {}
        self.requests: list[int] = []
        self.before: dict[str, tuple[bool, int]] = {}
        self.retired = self.running = 0
        self.halted = False

    def moves(self) -> bool:
        """Not stalled in this cycle."""
        return bool(self.rng.random() >= self.job.stall)

    def drive(self, ctx, cycle: int) -> None:
        dut, job = self.dut, self.job
        offers = bool(self.words) and self.moves() and not job.silent_memory
        ctx.set(dut.data.valid, offers)
        ctx.set(dut.data.payload, self.words[0] if offers else int(self.rng.integers(2**63)))
        ctx.set(dut.request.ready, self.moves())
        for name in UNIT_NAMES:
            ctx.set(getattr(dut, name).ready, name not in job.deaf and self.moves())
        ctx.set(dut.busy, sum((self.left[name] > 0) << bit for bit, name in enumerate(UNIT_NAMES)))
        code, address = job.errors.get(cycle, (0, 0))
        ctx.set(dut.error, code)
        ctx.set(dut.error_address, address)
        ctx.set(dut.abort_job, job.abort_at == cycle)

    def look(self, ctx, cycle: int) -> None:
        """Check the handshakes and note what is transferred."""
        dut = self.dut
        assert ctx.get(dut.data.ready)
        halt = ctx.get(dut.halt)
        for name in (*UNIT_NAMES, "request"):
            port = getattr(dut, name)
            valid, payload = ctx.get(port.valid), ctx.get(Value.cast(port.payload))
            held, old = self.before.get(name, (False, 0))
            assert not held or (valid and payload == old), f"{name} took its offer back in cycle {cycle}"
            assert not (valid and not held and self.halted), f"{name} is offered something after an error"
            self.before[name] = (bool(valid and not ctx.get(port.ready)), payload)
            if name == "request" and valid and ctx.get(port.ready):
                self._request(ctx, port.payload)
            elif valid and ctx.get(port.ready):
                self.owner[name] = len(self.taken)
                self.taken.append((name, payload))
                self.times.append([cycle, cycle])
                self.left[name] = 1 + int(self.rng.integers(self.job.longest)) if not halt else 1
            elif self.left[name] if name in self.left else False:
                self.times[self.owner[name]][1] = cycle
                if name not in self.job.stuck:
                    self.left[name] = min(self.left[name], 3) - 1 if halt else self.left[name] - 1
        self.halted = bool(halt)
        if ctx.get(dut.data.valid):
            self.words.popleft()
        self.retired += ctx.get(dut.retired)

    def _request(self, ctx, payload) -> None:
        address, size = ctx.get(payload.address), ctx.get(payload.bytes)
        assert size == COMMAND
        self.requests.append(address)
        place = address - self.job.base
        command = self.job.stream[place:place + COMMAND].ljust(COMMAND, b"\xa5")
        self.words.extend(int.from_bytes(command[i:i + self.bytes], "little") for i in range(0, COMMAND, self.bytes))


def run_jobs(config: PhantomConfig, jobs: list[Job], seed: int, prefetch: int = 2,
             limit: int = 5000) -> list[Outcome]:
    """Run jobs one after another on one decoder."""
    print(f"seed {seed}")
    dut, rng, outcomes = CommandDecoder(CommandSet(config), prefetch), np.random.default_rng(seed), []

    async def bench(ctx):
        assert ctx.get(dut.status.state) == State.IDLE and ctx.get(dut.status.code) == Status.OK
        for job in jobs:
            around = Surroundings(dut, job, rng)
            ctx.set(dut.start, 1)
            ctx.set(dut.address, job.base)
            ctx.set(dut.count, len(job.stream) // COMMAND if job.count is None else job.count)
            ctx.set(dut.watchdog, job.watchdog)
            await ctx.tick()
            for cycle in range(limit):
                # a second start must not matter, and neither may what the host writes meanwhile
                ctx.set(dut.start, int(rng.random() < 0.1))
                ctx.set(dut.address, int(rng.integers(2**63)))
                ctx.set(dut.count, int(rng.integers(2**32)))
                around.drive(ctx, cycle)
                around.look(ctx, cycle)
                done = ctx.get(dut.done)
                assert ctx.get(dut.status.state) != State.IDLE and ctx.get(dut.status.code) == Status.RUNNING
                if done:
                    ctx.set(dut.start, 0)
                await ctx.tick()
                if done:
                    break
            else:
                raise TimeoutError(f"no end within {limit} cycles")
            assert ctx.get(dut.status.state) == State.IDLE and not ctx.get(dut.halt)
            outcomes.append(Outcome(
                ctx.get(dut.status.code), ctx.get(dut.failed_index), ctx.get(dut.failed_address), around.taken,
                [tuple(times) for times in around.times], around.retired, around.requests, cycle,
                any(around.left.values())))
            ctx.set(dut.data.valid, 0)
            for _ in range(int(rng.integers(3))):
                await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(outcomes) == len(jobs)
    return outcomes


def check(reference: Reference, job: Job, outcome: Outcome) -> None:
    """A job in which nothing but malformed commands goes wrong."""
    handed, code, index = predicted(reference, job)
    assert (outcome.code, outcome.index) == (code, index + (code == Status.OK))
    assert outcome.taken == handed
    assert outcome.retired == index + (code == Status.OK)
    if code != Status.OK:
        assert outcome.address == job.base + index * COMMAND
    count = len(job.stream) // COMMAND if job.count is None else job.count
    assert outcome.requests == [job.base + COMMAND * i for i in range(len(outcome.requests))]
    assert len(outcome.requests) <= count
    assert not outcome.busy
    check_fences(reference, job, outcome)


def check_fences(reference: Reference, job: Job, outcome: Outcome) -> None:
    """What comes after a FENCE is handed out when what was before it is finished."""
    number, finished_by = 0, 0
    for index in range(len(job.stream) // COMMAND):
        command = job.stream[index * COMMAND:(index + 1) * COMMAND]
        if number == len(outcome.taken) or reference.status(command) != Status.OK:
            return
        if command[0] == 2:
            mask = reference.values(command)[0]
            ends = [end for (unit, _), (_, end) in zip(outcome.taken[:number], outcome.times, strict=False)
                    if mask >> UNIT_NAMES.index(unit) & 1]
            finished_by = max([finished_by, *ends])
        elif reference.unit(command):
            assert outcome.times[number][0] > finished_by, f"command {index} did not wait"
            number += 1
