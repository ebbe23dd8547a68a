"""The command decoder against a reference that predicts what is handed out and how the job ends."""

import gc
from dataclasses import replace

import numpy as np
import pytest
from command_reference import NAMES, Reference
from decoder_bench import COMMAND, Job, check, predicted, run_jobs
from phantom_hw.config import PhantomConfig
from phantom_hw.emit import component_verilog
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.decoder import CommandDecoder
from phantom_hw.soc.isa import COMMANDS, Command
from phantom_hw.soc.status import State, Status

TINY = PhantomConfig.preset("tiny")
WIDE = replace(TINY, bus_width=512)
REFERENCE = Reference(TINY)
END = REFERENCE.pack("END", [])
ERRORS = {Status.ILLEGAL_OPCODE, Status.BAD_VERSION, Status.RESERVED_BITS, Status.OUT_OF_RANGE}


def random_stream(rng, reference, length, spoil=False):
    """Commands with fences between them and END behind, one of them spoilt if wanted."""
    names = [str(rng.choice([*NAMES, "FENCE"])) for _ in range(length)]
    stream = [reference.random(rng, name) for name in names] + [reference.pack("END", [])]
    if spoil:
        victim = rng.integers(len(stream))
        stream[victim] = reference.spoilt(rng, stream[victim])
    return b"".join(stream)


@pytest.mark.parametrize(("bus_width", "address_width", "prefetch", "preset"), [
    (64, 40, 2, "tiny"), (64, 64, 16, "paper"), (128, 33, 4, "tiny"), (256, 40, 2, "ulx3s"), (512, 64, 2, "tiny")])
def test_streams(bus_width, address_width, prefetch, preset):
    rng = np.random.default_rng(bus_width + prefetch)
    config = replace(PhantomConfig.preset(preset), bus_width=bus_width, address_width=address_width)
    reference = Reference(config)
    jobs = [Job(random_stream(rng, reference, length), stall=stall, base=int(rng.integers(2**20)) * COMMAND)
            for length in (0, 1, 6, 12) for stall in (0, 0.2, 0.7)]
    outcomes = run_jobs(config, jobs, 1, prefetch)
    for job, outcome in zip(jobs, outcomes, strict=True):
        assert predicted(reference, job)[1] == Status.OK
        check(reference, job, outcome)


def fuzz(seed, jobs, bus_width):
    rng = np.random.default_rng(seed)
    listed = [Job(random_stream(rng, REFERENCE, int(rng.integers(3)), spoil=True), stall=rng.choice([0, 0.5]))
              for _ in range(jobs)]
    outcomes = run_jobs(replace(TINY, bus_width=bus_width), listed, seed)
    for job, outcome in zip(listed, outcomes, strict=True):
        check(REFERENCE, job, outcome)
    return {outcome.code for outcome in outcomes}


@pytest.mark.parametrize(("seed", "bus_width"), [(1, 64), (2, 256), (3, 512)])
def test_malformed_commands(seed, bus_width):
    assert fuzz(seed, 100, bus_width) >= ERRORS


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(10, 20))
def test_many_malformed_commands(seed):
    assert fuzz(seed, 600, [64, 128, 256, 512][seed % 4]) >= ERRORS


def test_every_reserved_bit_and_every_bound():
    """Each bit of an otherwise empty command, and the values just outside of every range."""
    jobs = []
    for bit in range(16, 512, 5):
        word = int.from_bytes(END, "little") | 1 << bit
        jobs.append(Job(word.to_bytes(COMMAND, "little"), stall=0))
    rng = np.random.default_rng(1)
    for name in [*NAMES, "FENCE"]:
        for place, (field, _, _, low, high) in enumerate(REFERENCE.spans[name]):
            highest = high - high % field.multiple
            for value in {low - 1, low, high, high + 1, highest, highest - 1, highest - field.multiple // 2}:
                values = REFERENCE.values(REFERENCE.random(rng, name))
                values[place] = value
                if value % 2**field.width == value or field.signed:
                    jobs.append(Job(REFERENCE.pack(name, values) + END, stall=0))
    outcomes = run_jobs(WIDE, jobs, 1)
    for job, outcome in zip(jobs, outcomes, strict=True):
        check(REFERENCE, job, outcome)
    assert {outcome.code for outcome in outcomes} == {Status.OK, Status.RESERVED_BITS, Status.OUT_OF_RANGE}


@pytest.mark.parametrize("address_width", [32, 48, 64])
def test_alignment_of_addresses(address_width):
    """Every bit of an address alone, and all of them: legal if it is a bit of the bus and not below the alignment."""
    config = replace(WIDE, address_width=address_width)
    reference, jobs = Reference(config), []
    addresses = [1 << bit for bit in range(64)] + [0, 2**address_width - 8, 2**address_width - 4, 2**64 - 1, 2**64 - 8]
    for address in addresses:
        jobs.append(Job(reference.pack("LOAD_PROGRAM", [address, 1, 0]) + END, stall=0))
    for address, job, outcome in zip(addresses, jobs, run_jobs(config, jobs, 1), strict=True):
        legal = address % 8 == 0 and address < 2**address_width
        assert outcome.code == (Status.OK if legal else Status.OUT_OF_RANGE), hex(address)
        check(reference, job, outcome)


# --- the stream itself ------------------------------------------------------------------------------------

def test_bounds_of_the_stream():
    rng = np.random.default_rng(5)
    body = random_stream(rng, REFERENCE, 4)
    top = 2**TINY.address_width
    jobs = [
        Job(body[:-COMMAND]), Job(body, count=2), Job(body, count=0),
        Job(body, base=0x4020), Job(body, base=top), Job(body, base=top + 0x40), Job(body, base=2**63),
        Job(body, base=top - len(body)), Job(body, base=top - 2 * COMMAND),
        Job(body[:-COMMAND], base=top - 4 * COMMAND),
    ]
    outcomes = run_jobs(TINY, jobs, 2, 4)
    for job, outcome in zip(jobs, outcomes, strict=True):
        check(REFERENCE, job, outcome)
    assert [outcome.code for outcome in outcomes] == [
        *[Status.END_MISSING] * 3, *[Status.BAD_ADDRESS] * 4, Status.OK, Status.BAD_ADDRESS, Status.END_MISSING]


def test_nothing_is_read_behind_the_stream():
    body = random_stream(np.random.default_rng(6), REFERENCE, 5)
    [outcome] = run_jobs(TINY, [Job(body, longest=60)], 3, 16)
    assert outcome.code == Status.OK
    assert outcome.requests == [0x4000 + COMMAND * i for i in range(6)]


def test_latency_and_rate():
    """Without stalls a command takes its words and LATENCY - 1 cycles."""
    commands = b"".join(REFERENCE.random(np.random.default_rng(i), "ROWS") for i in range(9)) + END
    for config in (TINY, WIDE):
        [outcome] = run_jobs(config, [Job(commands, stall=0, longest=1)], 4, 4)
        times = [start for start, _ in outcome.times]
        assert set(np.diff(times)) == {512 // config.bus_width + CommandDecoder.LATENCY - 1}, times


# --- errors from outside ----------------------------------------------------------------------------------

@pytest.mark.parametrize("config", [TINY, WIDE], ids=["64", "512"])
def test_errors_of_units_and_aborts(config):
    rng = np.random.default_rng(config.bus_width)
    jobs = []
    for i in range(60):
        job = Job(random_stream(rng, REFERENCE, 8), stall=rng.choice([0, 0.3]), longest=20)
        cycle = int(rng.integers(16 * 512 // config.bus_width + 64))
        if i % 3 == 2:
            job.abort_at = cycle
        else:
            code = int(rng.choice([Status.READ_DECODE_ERROR, Status.WRITE_SLAVE_ERROR, Status.MALFORMED_DATA]))
            job.errors = {cycle: (code, int(rng.integers(2**63))), cycle + 2: (int(Status.READ_SLAVE_ERROR), 1)}
        jobs.append(job)
    ended = 0
    for job, outcome in zip(jobs, run_jobs(config, jobs, 6, 4), strict=True):
        handed = predicted(REFERENCE, job)[0]
        assert outcome.taken == handed[:len(outcome.taken)] and not outcome.busy
        if outcome.code == Status.OK:
            check(REFERENCE, job, outcome)
            ended += 1
        elif job.abort_at is not None:
            assert outcome.code == Status.ABORTED
            assert outcome.address == job.base + COMMAND * outcome.index
        else:
            [first, *_] = job.errors.values()
            assert (outcome.code, outcome.address) == first
    assert 0 < ended < len(jobs) / 2


def test_an_error_outside_of_a_job_means_nothing():
    rng = np.random.default_rng(9)
    dut_jobs = [Job(END), Job(random_stream(rng, REFERENCE, 2))]
    for outcome, job in zip(run_jobs(TINY, dut_jobs, 1), dut_jobs, strict=True):
        check(REFERENCE, job, outcome)


# --- watchdog ---------------------------------------------------------------------------------------------

ROWS = REFERENCE.random(np.random.default_rng(0), "ROWS")
PARAMETERS = REFERENCE.random(np.random.default_rng(0), "PARAMETERS")


@pytest.mark.parametrize("job", [
    Job(ROWS + PARAMETERS + END, deaf=frozenset({"results"}), watchdog=50),
    Job(ROWS + PARAMETERS + END, stuck=frozenset({"stream_moving"}), watchdog=50),
    Job(ROWS + PARAMETERS + END, silent_memory=True, watchdog=50),
], ids=["deaf unit", "stuck unit", "silent memory"])
def test_watchdog(job):
    job.stall = 0
    [outcome] = run_jobs(TINY, [job], 1)
    assert outcome.code == Status.WATCHDOG
    assert 100 < outcome.cycles < 200  # once to notice, once more because the units do not become idle
    assert outcome.taken == predicted(REFERENCE, job)[0][:len(outcome.taken)]


def test_watchdog_leaves_a_slow_job_alone():
    body = random_stream(np.random.default_rng(3), REFERENCE, 6)
    job = Job(body, stall=0, longest=40, watchdog=45)
    [outcome] = run_jobs(TINY, [job], 1)
    check(REFERENCE, job, outcome)


def test_the_job_after_a_stuck_one_waits_for_the_units():
    stuck = Job(ROWS + END, deaf=frozenset({"stream_moving"}), watchdog=40, stall=0)
    following = Job(PARAMETERS + END, watchdog=400, stall=0)
    first, second = run_jobs(TINY, [stuck, following], 1)
    assert first.code == Status.WATCHDOG and first.taken == []
    # what was offered in the first job is taken in the second one
    assert second.code == Status.OK
    assert [name for name, _ in second.taken] == ["stream_moving", "results"]


# --- other command sets -----------------------------------------------------------------------------------

def test_a_unit_with_two_commands():
    """Moving a command to another unit needs no other change: the payload becomes a union."""
    import amaranth.sim
    moved = [Command(c.name, c.meaning, "results" if c.name == "FILL_MOVING" else c.unit, c.fields) for c in COMMANDS]
    commands = CommandSet(WIDE, commands=moved)
    dut = CommandDecoder(commands, 2)
    fill = REFERENCE.random(np.random.default_rng(1), "FILL_MOVING")
    words = [int.from_bytes(command, "little") for command in (PARAMETERS, fill, END)]
    seen = []

    async def bench(ctx):
        ctx.set(dut.count, len(words))
        ctx.set(dut.request.ready, 1)
        ctx.set(dut.results.ready, 1)
        ctx.set(dut.start, 1)
        asked = 0
        for _ in range(60):
            ctx.set(dut.data.valid, asked)
            ctx.set(dut.data.payload, words[0] if words else 0)
            if asked:
                words.pop(0)
            asked = ctx.get(dut.request.valid)
            if ctx.get(dut.results.valid):
                payload = dut.results.payload
                seen.append(ctx.get(payload.command))
                part = payload.operands.fill_moving if seen[-1] else payload.operands.parameters
                seen.append({name: ctx.get(getattr(part, name)) for name in part.shape().members})
            await ctx.tick()
            ctx.set(dut.start, 0)
        assert ctx.get(dut.status.state) == State.IDLE and ctx.get(dut.status.code) == Status.OK

    simulator = amaranth.sim.Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == [0, dict(commands.decode(PARAMETERS).values), 1, dict(commands.decode(fill).values)]


@pytest.mark.parametrize(("arguments", "message"), [
    ((CommandSet(),), "commands must be in a configuration, not None"),
    ((CommandSet(WIDE, commands=[Command("END", "", "")], words=2),),
     "bus_width must be at most 64, the bits of a command, not 512"),
    ((CommandSet(TINY), 3), "prefetch must be 2, 4, 8 or 16, not 3"),
])
@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_wrong_parameters(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        CommandDecoder(*arguments)
    gc.collect()


def test_verilog_passes_lint(tmp_path, lint):
    lint(component_verilog(CommandDecoder(CommandSet(TINY)), "decoder"), "decoder")
