"""The cocotb bench of the AXI4 managers; cocotb imports it inside the simulation.

The memory is cocotbext-axi's model of a subordinate, which checks the rules of bursts by itself; what it does not
check, a monitor does in each cycle. Inputs change right after a rising edge, and everything is looked at at the falling
edge, when it has settled.
"""

from __future__ import annotations

import functools
import logging
import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiResp, AxiSlaveRead, AxiSlaveWrite
from cocotbext.axi.sparse_memory import SparseMemory
from memory_top import CONFIGURATIONS
from phantom_hw.memory.burst import LENGTH_BITS, MAX_LENGTH
from phantom_hw.memory.control import ErrorKind

PERIOD = 10  # ns
LIMIT = 400_000  # cycles before a step counts as hung
REGION = 1 << 16
NAME, SCALE = os.environ["PHANTOM_MEMORY"], int(os.environ["PHANTOM_SCALE"])
P = CONFIGURATIONS[NAME]


class Faults:
    """Addresses that answer with an error, and random latencies; mixed into the halves of the RAM."""

    def __init__(self, *arguments, rng=None, channel="", **keywords):
        self.faults: dict[int, AxiResp] = {}
        self.rng, self.latency, self.failed = rng, 0, AxiResp.OKAY
        super().__init__(*arguments, **keywords)
        answers = getattr(self, f"{channel}_channel")
        send = answers.send

        async def send_kind(answer):
            if getattr(answer, f"{channel}resp") == AxiResp.SLVERR:
                setattr(answer, f"{channel}resp", self.failed)
            await send(answer)

        answers.send = send_kind

    async def pass_or_fail(self, address, length):
        """Wait, then fail if there is a fault among the bytes."""
        if self.latency and self.rng.random() < 0.1:
            for _ in range(self.rng.randrange(self.latency)):
                await RisingEdge(self.clock)
        hit = [at for at in self.faults if address <= at < address + length]
        if hit:
            self.failed = self.faults[hit[0]]
            raise OSError("seeded fault")


class RamRead(Faults, AxiSlaveRead):
    async def _read(self, address, length):
        await self.pass_or_fail(address, length)
        return self.target.read(address, length)


class RamWrite(Faults, AxiSlaveWrite):
    async def _write(self, address, data):
        await self.pass_or_fail(address, len(data))
        self.target.write(address, data)


class Ports:
    """The ports of the configuration under test, and clock and reset."""

    def __init__(self, dut):
        self.clk, self.rst, self._dut = dut.clk, dut.rst, dut

    def __getattr__(self, name):
        return getattr(self._dut, f"{NAME}_{name}")


class Monitor:
    """Checks the rules that the RAM does not check, and notes what went over the bus."""

    DRIVEN = {  # noqa: RUF012 (constant)
        "ar": ("araddr", "arlen", "arsize", "arburst", "arid"), "aw": ("awaddr", "awlen", "awsize", "awburst", "awid"),
        "w": ("wdata", "wstrb", "wlast"),
    }

    def __init__(self, dut):
        self.dut = dut
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.held: dict[str, tuple | None] = dict.fromkeys(self.DRIVEN)
        self.bursts: dict[str, list[tuple[int, int]]] = {"ar": [], "aw": []}  # address and beats
        self.finished = {"ar": 0, "aw": 0}  # bursts that got their last beat or their response
        self.most = {"ar": 0, "aw": 0}  # most bursts outstanding
        self.sent = 0  # bursts whose last beat was taken
        self.inside = False  # a burst's first beat was offered, its last was not taken

    def value(self, name: str) -> int:
        return int(getattr(self.dut, f"m_axi_{name}").value)

    async def run(self) -> None:
        """Look at each cycle."""
        while True:
            await FallingEdge(self.dut.clk)
            if int(self.dut.rst.value):
                self.reset()
            else:
                self.look()

    def look(self) -> None:
        """Check one cycle."""
        for name, fields in self.DRIVEN.items():
            offered = tuple(map(self.value, fields)) if self.value(f"{name}valid") else None
            assert self.held[name] in (None, offered), f"{name} was withdrawn or changed while it waited"
            self.held[name] = None if self.value(f"{name}ready") else offered
            if name == "w":
                self.look_at_data(offered)
            else:
                if offered and not self.held[name]:
                    self.bursts[name].append((offered[0], offered[1] + 1))
                outstanding = len(self.bursts[name]) + bool(self.held[name]) - self.finished[name]
                assert outstanding <= P.outstanding, f"{outstanding} bursts outstanding on {name}"
                self.most[name] = max(self.most[name], outstanding)
        assert self.value("rready") and self.value("bready"), "responses are blocked"
        self.finished["ar"] += self.value("rvalid") and self.value("rlast")
        self.finished["aw"] += self.value("bvalid")

    def look_at_data(self, offered: tuple | None) -> None:
        """The data channel, after the address channel."""
        assert offered or not self.inside, "a gap in the data of a burst"
        if offered:
            assert self.sent < len(self.bursts["aw"]) + bool(self.held["aw"]), "data before their address"
            ends = not self.held["w"] and offered[2]
            self.sent += bool(ends)
            self.inside = not ends


class Bench:
    """The managers between their drivers and a RAM."""

    def __init__(self, dut, name: str):
        bus = AxiBus.from_prefix(dut, f"{NAME}_m_axi")
        self.dut = dut = Ports(dut)
        self.rng = random.Random(f"{cocotb.RANDOM_SEED} {name}")
        print(f"seed {cocotb.RANDOM_SEED} {name}")
        self.stalls = {"requests": 0.0, "data": 0.0, "words": 0.0}
        logging.getLogger(f"cocotb.memory_top.{NAME}_m_axi").setLevel(logging.CRITICAL)
        self.tasks: list = []
        self.memory = SparseMemory(1 << P.address_width)
        make = functools.partial(dict, clock=dut.clk, reset=dut.rst, target=self.memory, rng=self.rng)
        self.ram_read = RamRead(bus.read, channel="r", **make())
        self.ram_write = RamWrite(bus.write, channel="b", **make())
        for channel in (self.ram_read.ar_channel, self.ram_write.aw_channel, self.ram_write.w_channel):
            channel.queue_occupancy_limit = 64
        self.monitor = Monitor(dut)
        for name in ("read_requests", "write_requests", "write_data"):
            getattr(dut, f"{name}__valid").value = 0
        for name in ("read_words__ready", "read_cancel", "write_cancel", "read_clear", "write_clear"):
            getattr(dut, name).value = 0

    # --- drivers ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Clock and reset, random memory."""
        Clock(self.dut.clk, PERIOD, unit="ns", impl="gpi").start()
        cocotb.start_soon(self.monitor.run())
        # a region anywhere on a page, or at the end of the address space
        last = (1 << P.address_width) - REGION
        self.base = last if self.rng.random() < 0.3 else self.rng.randrange(last) & ~0xFFF
        self.reference = bytearray(self.rng.randbytes(REGION))
        self.memory.write(self.base, bytes(self.reference))
        await self.reset()

    async def reset(self) -> None:
        """Stop the drivers and reset; returns right after a rising edge."""
        for task in self.tasks:
            task.cancel()
        self.tasks.clear()
        for name in ("read_requests", "write_requests", "write_data"):
            getattr(self.dut, f"{name}__valid").value = 0
        self.dut.read_words__ready.value = 0
        self.dut.rst.value = 1
        await self.cycles(3)
        self.dut.rst.value = 0
        await self.cycles(1)

    async def cycles(self, count: int) -> None:
        for _ in range(count):
            await RisingEdge(self.dut.clk)

    def pause(self, **probabilities: float) -> None:
        """Stalls of the channels aw, w, b, ar and r, and of the streams requests, data and words; 0 if not given."""
        def pauses(probability):
            rng = random.Random(self.rng.random())
            while True:
                yield rng.random() < probability
        for half in (self.ram_read, self.ram_write):
            for name in ("aw", "w", "b", "ar", "r"):
                channel = getattr(half, f"{name}_channel", None)
                if channel is not None:
                    channel.set_pause_generator(pauses(probabilities.get(name, 0.0)))
        self.stalls = {name: probabilities.get(name, 0.0) for name in self.stalls}

    async def offer(self, name: str, payloads: list[int]) -> None:
        """Send payloads on a stream; call it right after a rising edge."""
        valid, ready, payload = (getattr(self.dut, f"{name}__{end}") for end in ("valid", "ready", "payload"))
        stall = self.stalls[name.split("_")[1]]
        for value in payloads:
            while self.rng.random() < stall:
                payload.value = self.rng.getrandbits(len(payload))
                await RisingEdge(self.dut.clk)
            valid.value, payload.value = 1, value
            while True:
                await FallingEdge(self.dut.clk)
                taken = int(ready.value)
                await RisingEdge(self.dut.clk)
                if taken:
                    break
            valid.value = 0

    async def receive(self, count: int) -> list[bytes]:
        """Take the words of ``count`` requests; their bytes."""
        valid, ready, payload = (getattr(self.dut, f"read_words__{end}") for end in ("valid", "ready", "payload"))
        got, current = [], b""
        held = None
        while len(got) < count:
            open_now = self.rng.random() >= self.stalls["words"]
            ready.value = open_now
            await FallingEdge(self.dut.clk)
            offered = int(payload.value) if int(valid.value) else None
            assert held in (None, offered), "a word was withdrawn or changed while it waited"
            held = None if open_now else offered
            if offered is not None and open_now:
                data = (offered & (1 << P.data_width) - 1).to_bytes(P.word_bytes, "little")
                rest = offered >> P.data_width
                offset, rest = rest & P.word_bytes - 1, rest >> P.byte_bits
                size, last = rest & 2 * P.word_bytes - 1, rest >> P.byte_bits + 1
                assert 1 <= size <= P.word_bytes - offset
                current += data[offset:offset + size]
                if last:
                    got.append(current)
                    current = b""
            await RisingEdge(self.dut.clk)
        ready.value = 0
        return got

    def spawn(self, coroutine):
        task = cocotb.start_soon(coroutine)
        self.tasks.append(task)
        return task

    async def within_limit(self, task):
        """Wait for a task, not for ever."""
        return await with_timeout(task, LIMIT * PERIOD, "ns")

    async def idle(self, half: str) -> None:
        """Wait until a half is idle; returns right after a rising edge."""
        async def wait():
            while True:
                await FallingEdge(self.dut.clk)
                idle = int(getattr(self.dut, f"{half}_idle").value)
                await RisingEdge(self.dut.clk)
                if idle:
                    return
        await self.within_limit(cocotb.start_soon(wait()))

    def error(self, half: str) -> tuple[ErrorKind, int]:
        value = int(getattr(self.dut, f"{half}_error").value)
        return ErrorKind(value & 3), value >> 2

    # --- jobs ---------------------------------------------------------------------------------------

    def requests(self, count: int, most: int = 0) -> list[tuple[int, int]]:
        """Random requests (address, length) in the region, many of them across the end of a page."""
        most = most or min(16 * P.max_burst * P.word_bytes, REGION // 2)
        result = []
        for _ in range(count):
            length = min(self.rng.choice([1, 2, P.word_bytes, 4096, self.rng.randint(1, most)]), most)
            at = self.rng.choice([
                self.rng.randrange(REGION), self.rng.randrange(REGION) & ~0xFFF,
                (self.rng.randrange(REGION) & ~0xFFF) + 4096 - self.rng.randint(1, length),
            ])
            result.append((self.base + min(max(at, 0), REGION - length), length))
        return result

    def apart(self, count: int) -> list[tuple[int, int]]:
        """Random requests that do not overlap, so that the order of writes does not matter."""
        taken, result = bytearray(REGION), []
        while len(result) < count:
            (address, length), = self.requests(1, min(16 * P.max_burst * P.word_bytes, REGION // 2 // count))
            at = address - self.base
            if not any(taken[at:at + length]):
                taken[at:at + length] = b"x" * length
                result.append((address, length))
        return result

    @staticmethod
    def packed(requests: list[tuple[int, int]]) -> list[int]:
        return [length << P.address_width | address for address, length in requests]

    async def read(self, requests: list[tuple[int, int]]) -> list[bytes]:
        """Read; the bytes of each request."""
        self.spawn(self.offer("read_requests", self.packed(requests)))
        return await self.within_limit(self.spawn(self.receive(len(requests))))

    async def read_and_check(self, requests: list[tuple[int, int]]) -> None:
        got = await self.read(requests)
        expected = [bytes(self.reference[at - self.base:at - self.base + length]) for at, length in requests]
        assert list(map(len, got)) == [length for _, length in requests]
        assert got == expected
        await self.idle("read")

    def words(self, text: bytes) -> list[int]:
        """Dense words; what is behind the last byte is random."""
        size = P.word_bytes
        words = []
        for at in range(0, len(text), size):
            piece = text[at:at + size]
            words.append(int.from_bytes(piece + self.rng.randbytes(size - len(piece)), "little"))
        return words

    def send(self, requests: list[tuple[int, int]]) -> list:
        """Start the drivers of a write; the reference is what the memory must be in the end."""
        data = []
        for address, length in requests:
            text = self.rng.randbytes(length)
            self.reference[address - self.base:address - self.base + length] = text
            data += self.words(text)
        return [self.spawn(self.offer("write_requests", self.packed(requests))),
                self.spawn(self.offer("write_data", data))]

    async def write(self, requests: list[tuple[int, int]]) -> None:
        """Write, and wait for all responses."""
        for task in self.send(requests):
            await self.within_limit(task)
        await self.cycles(1)
        await self.idle("write")

    def settle(self, old: bytes, requests: list[tuple[int, int]]) -> None:
        """After a job that was broken off: what it should have written was written or not, all else is as before."""
        found = self.memory.read(self.base, REGION)
        wanted = bytearray(REGION)
        for address, length in requests:
            wanted[address - self.base:address - self.base + length] = b"x" * length
        for at in range(REGION):
            assert found[at] == old[at] or (wanted[at] and found[at] == self.reference[at]), f"{at:#x} of the region"
        self.reference = bytearray(found)

    def check_memory(self) -> None:
        """The whole region: what was written, and everything around it."""
        found = self.memory.read(self.base, REGION)
        wrong = [at for at in range(REGION) if found[at] != self.reference[at]]
        assert not wrong, f"{len(wrong)} bytes differ, the first at {wrong[0]:#x} of the region"


def modes(rng) -> list[dict[str, float]]:
    """Stalls: none, some everywhere, and each channel and stream on its own."""
    names = ("aw", "w", "b", "ar", "r", "requests", "data", "words")
    return [{}, dict.fromkeys(names, 0.3), {name: rng.choice([0.0, 0.3, 0.7]) for name in names},
            *({name: 0.8} for name in names)]


@cocotb.test()
async def random_jobs(dut) -> None:
    """Reads and writes at the same time, in regions of their own, job after job, under all stalls."""
    bench = Bench(dut, "jobs")
    dut = bench.dut
    await bench.start()
    for mode in modes(bench.rng) * SCALE:
        bench.pause(**mode)
        bench.ram_read.latency = bench.ram_write.latency = bench.rng.choice([0, 40])
        requests = bench.apart(16)
        half = len(requests) // 2
        reading = bench.spawn(bench.read_and_check(requests[half:]))
        await bench.write(requests[:half])
        await bench.within_limit(reading)
        bench.check_memory()
        assert bench.error("read")[0] == bench.error("write")[0] == ErrorKind.NONE
    bench.pause()
    assert len(bench.monitor.bursts["ar"]) == bench.monitor.finished["ar"] > 20
    assert len(bench.monitor.bursts["aw"]) == bench.monitor.finished["aw"] == bench.monitor.sent > 20
    for kind in ("ar", "aw"):
        for address, beats in bench.monitor.bursts[kind]:
            assert address % P.word_bytes == 0
            assert beats <= P.max_burst
            assert address % 4096 + beats * P.word_bytes <= 4096


@cocotb.test()
async def outstanding_bursts(dut) -> None:
    """With a slow memory, as many bursts are under way as may be, and never more."""
    bench = Bench(dut, "outstanding")
    dut = bench.dut
    await bench.start()
    bench.pause(r=0.9, b=0.97)
    requests = [(bench.base + 64 * i, 1 + i % 8) for i in range(60)]
    await bench.write(requests)
    bench.check_memory()
    await bench.read_and_check(requests)
    assert bench.monitor.most["ar"] == min(P.outstanding, P.buffer)
    assert bench.monitor.most["aw"] == P.outstanding


@cocotb.test()
async def responses_with_errors(dut) -> None:
    """The first failing burst is reported, with its kind, until it is cleared; all data come to their end."""
    bench = Bench(dut, "errors")
    dut = bench.dut
    await bench.start()
    for turn in range(4 * SCALE):
        kind = AxiResp.SLVERR if turn % 2 else AxiResp.DECERR
        other = AxiResp.DECERR if turn % 2 else AxiResp.SLVERR
        bench.pause(**dict.fromkeys(("ar", "r", "aw", "w", "b", "data", "words"), 0.2))
        requests = bench.apart(12)
        before = bytes(bench.reference)
        for half, ram, channel in (("read", bench.ram_read, "ar"), ("write", bench.ram_write, "aw")):
            bench.monitor.bursts[channel].clear()
            bench.monitor.finished[channel] = bench.monitor.sent = 0
            (early, length), (late, _) = requests[3], requests[7]
            at = early + bench.rng.randrange(length)
            ram.faults = {at: kind, late: other}
            if half == "read":
                got = await bench.read(requests)
                assert list(map(len, got)) == [length for _, length in requests]
                await bench.idle("read")
            else:
                await bench.write(requests)
            ram.faults = {}
            assert len(bench.monitor.bursts[channel]) == bench.monitor.finished[channel]
            failed = [start for start, beats in bench.monitor.bursts[channel]
                      if start <= at < start + beats * P.word_bytes
                      or start <= late < start + beats * P.word_bytes]
            found, address = bench.error(half)
            assert address == failed[0], f"{address:#x} is not the first burst that failed, {failed[0]:#x}"
            both = {AxiResp.SLVERR: ErrorKind.SLVERR, AxiResp.DECERR: ErrorKind.DECERR}
            start, beats = next(burst for burst in bench.monitor.bursts[channel] if burst[0] == address)
            inside = [fault for fault in (at, late) if start <= fault < start + beats * P.word_bytes]
            expected = {both[kind] if fault == at else both[other] for fault in inside}
            assert found in expected
            await bench.cycles(5)
            assert bench.error(half) == (found, address)
            getattr(dut, f"{half}_clear").value = 1
            await bench.cycles(1)
            getattr(dut, f"{half}_clear").value = 0
            await bench.cycles(1)
            assert bench.error(half)[0] == ErrorKind.NONE
        # a failed write may or may not have changed its word; nothing else may differ
        found = bytearray(bench.memory.read(bench.base, REGION))
        for fault in (at, late):
            word = (fault & -P.word_bytes) - bench.base
            for i in range(word, word + P.word_bytes):
                assert found[i] in (before[i], bench.reference[i])
                bench.reference[i] = found[i]
        bench.check_memory()


@cocotb.test()
async def illegal_requests(dut) -> None:
    """No bytes, too many, or beyond the end of the address space: refused, nothing on the bus, usable after clear."""
    bench = Bench(dut, "illegal")
    dut = bench.dut
    await bench.start()
    end = 1 << P.address_width
    for address, length in ((bench.base, 0), (bench.base + 5, MAX_LENGTH + 1), (bench.base, (1 << LENGTH_BITS) - 1),
                            (end - 1, 2), (end - 4096, 4097), (end - MAX_LENGTH + 1, MAX_LENGTH)):
        for half in ("read", "write"):
            before = {name: len(bursts) for name, bursts in bench.monitor.bursts.items()}
            follower = bench.requests(1)
            # the request after the illegal one must not get its data
            tasks = [bench.spawn(bench.offer(f"{half}_requests", bench.packed([(address, length), *follower])))]
            if half == "write":
                tasks.append(bench.spawn(bench.offer("write_data", [bench.rng.getrandbits(P.data_width)] * 20)))
            for task in tasks:
                await bench.within_limit(task)
            await bench.cycles(20)
            assert bench.error(half) == (ErrorKind.REQUEST, address)
            assert int(getattr(dut, f"{half}_idle").value)
            assert {name: len(bursts) for name, bursts in bench.monitor.bursts.items()} == before
            getattr(dut, f"{half}_clear").value = 1
            await bench.cycles(1)
            getattr(dut, f"{half}_clear").value = 0
            await bench.cycles(2)
            assert bench.error(half)[0] == ErrorKind.NONE
            if half == "read":
                await bench.read_and_check(follower)
            else:
                await bench.write(follower)
            bench.check_memory()


@cocotb.test()
async def reset_in_a_burst(dut) -> None:
    """A reset of the whole system in any cycle; the job that follows shows no trace of it."""
    bench = Bench(dut, "reset")
    dut = bench.dut
    await bench.start()
    for _ in range(8 * SCALE):
        bench.pause(**dict.fromkeys(("ar", "r", "aw", "w", "b", "words"), 0.3))
        requests = bench.apart(6)
        old = bytes(bench.reference)
        bench.spawn(bench.offer("read_requests", bench.packed(requests)))
        bench.spawn(bench.receive(len(requests)))
        bench.send(requests)
        await bench.cycles(bench.rng.randint(5, 150))
        await bench.reset()
        bench.settle(old, requests)
        await bench.read_and_check(bench.requests(3))
        await bench.write(bench.apart(3))
        bench.check_memory()


@cocotb.test()
async def cancelled_jobs(dut) -> None:
    """Cancelled in any cycle: no more bursts, everything drained, nothing astray, the next job complete."""
    bench = Bench(dut, "cancel")
    dut = bench.dut
    await bench.start()
    for _ in range(10 * SCALE):
        bench.pause(**bench.rng.choice([{}, dict.fromkeys(("ar", "r", "aw", "w", "b", "data", "words"), 0.4)]))
        requests = bench.apart(8)
        old = bytes(bench.reference)
        bench.spawn(bench.offer("read_requests", bench.packed(requests)))
        receiver = bench.spawn(bench.receive(len(requests)))
        bench.send(requests)
        await bench.cycles(bench.rng.randint(5, 200))
        receiver.cancel()
        dut.read_cancel.value = dut.write_cancel.value = 1
        await FallingEdge(dut.clk)
        assert not int(dut.read_words__valid.value)
        issued = {name: len(bench.monitor.bursts[name]) + bool(bench.monitor.held[name]) for name in ("ar", "aw")}
        await RisingEdge(dut.clk)
        await FallingEdge(dut.clk)
        # an offer made in the very cycle of the cancellation is still on the bus
        issued = {name: max(issued[name], len(bench.monitor.bursts[name]) + bool(bench.monitor.held[name]))
                  for name in issued}
        await RisingEdge(dut.clk)
        await bench.cycles(bench.rng.choice([0, 100]))
        for task in bench.tasks:
            task.cancel()
        for name in ("read_requests__valid", "write_requests__valid", "write_data__valid", "read_words__ready"):
            getattr(dut, name).value = 0
        if bench.rng.random() < 0.5:  # drained also if the cancellation was short
            dut.read_cancel.value = dut.write_cancel.value = 0
        await bench.idle("read")
        await bench.idle("write")
        dut.read_cancel.value = dut.write_cancel.value = 0
        for name in ("ar", "aw"):
            assert len(bench.monitor.bursts[name]) == issued[name] == bench.monitor.finished[name], name
        assert bench.monitor.sent == issued["aw"]
        bench.settle(old, requests)
        await bench.cycles(1)
        await bench.read_and_check(bench.requests(3))
        await bench.write(bench.apart(3))
        bench.check_memory()
