"""The accelerator survives everything: each way to end a job has its status, writes nothing astray, and leaves nothing.

After each of them the next job gives golden values, without reset.
"""

from collections import Counter

import numpy as np
import pytest
from accelerator_cases import COMMAND_BYTES, CONFIGS, attach, attempt, check, network_case, random_case, random_memory
from phantom_compiler.accelerator.commands import CommandStream
from phantom_hw.soc.status import Status
from phantom_sim.accelerator_simulator import AcceleratorSimulator, MemoryRange

SLVERR, DECERR = 2, 3
READ = {SLVERR: Status.READ_SLAVE_ERROR, DECERR: Status.READ_DECODE_ERROR}
WRITE = {SLVERR: Status.WRITE_SLAVE_ERROR, DECERR: Status.WRITE_DECODE_ERROR}
READERS = ("PARAMETERS", "LOAD_PROGRAM", "LOAD_STATIONARY", "LOAD_MOVING")
PAGE = 4096
END_OF_MEMORY = 1 << 32
WATCHDOG = 1500
USED_BYTES = 44
"""Bytes of a command in which fields lie, about."""


@pytest.fixture(scope="module")
def row():
    with AcceleratorSimulator(CONFIGS["row"]) as simulator:
        yield simulator


@pytest.fixture(scope="module", params=CONFIGS)
def simulator(request):
    with AcceleratorSimulator(CONFIGS[request.param]) as simulator:
        yield simulator


def case_of(simulator, seed=1, kind="conv3x3"):
    return random_case(simulator.config, kind, seed)


def word_at(config, address, **answers):
    """The word of the bus that an address lies in, as a range with errors."""
    size = config.bus_width // 8
    return MemoryRange(address // size * size, size, **answers)


# --- errors of the bus ------------------------------------------------------------------------------------

def place_to_read(case, what, rng):
    """An address that a kind of command reads."""
    if what == "commands":
        return case.job.commands + COMMAND_BYTES * int(rng.integers(case.job.count))
    addresses = [one.values["address"] for one in case.instructions() if one.name == what]
    address = addresses[int(rng.integers(len(addresses)))]
    if what == "LOAD_MOVING":
        return address  # the mask of the first slot
    first, size = case.segment(address)
    return first + int(rng.integers(size))


@pytest.mark.parametrize("response", READ)
@pytest.mark.parametrize("what", ["commands", *READERS])
def test_read_errors(row, what, response):
    for seed in range(4):
        rng = np.random.default_rng([seed, response, len(what)])
        case = case_of(row, seed, str(rng.choice(["conv3x3", "fully_connected", "pointwise"])))
        fault = word_at(row.config, place_to_read(case, what, rng), writable=False, read_response=response)
        result, _ = attempt(row, case, faults=[fault], memory=random_memory(rng))
        assert result.status is READ[response]
        assert fault.first - PAGE < result.failed_address < fault.first + fault.size
        check(row, case, memory=random_memory(rng))


@pytest.mark.parametrize("response", WRITE)
def test_write_errors(row, response):
    """Also in the very last word that is written."""
    case, rng = case_of(row, 3), np.random.default_rng(response)
    [form] = case.job.outputs
    slots = range(form.address, form.address + form.bytes, form.slot_pitch)
    for address in [*rng.choice(slots, min(12, len(slots)), replace=False), slots[0], slots[-1]]:
        fault = word_at(row.config, int(address), write_response=response)
        result, _ = attempt(row, case, faults=[fault], memory=random_memory(rng))
        assert result.status is WRITE[response], f"{address:#x}"
        assert fault.first - PAGE < result.failed_address < fault.first + fault.size
    check(row, case)


def test_an_error_of_the_last_answer_counts(row):
    """Every slot of a layer, whatever comes last."""
    case = case_of(row, 2, "one_pixel")
    [form] = case.job.outputs
    for address in range(form.address, form.address + form.bytes, form.slot_pitch):
        result, _ = attempt(row, case, faults=[word_at(row.config, address, write_response=SLVERR)],
                            memory={"latency": 1})
        assert result.status is Status.WRITE_SLAVE_ERROR, f"{address:#x} of {form}"
    check(row, case)


def test_an_error_behind_the_end_is_no_error_of_the_next_job(row):
    """Commands behind END may be read; an error there ends this job or nothing."""
    case, ends = case_of(row), Counter()
    stream = CommandStream(row.config)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        fault = word_at(row.config, case.job.commands + int(rng.integers(COMMAND_BYTES, 6 * COMMAND_BYTES)),
                        writable=False, read_response=SLVERR)
        result, _ = attempt(row, case, faults=[fault], change=replaced(case, stream.to_bytes()),
                            memory=random_memory(rng))
        ends[result.status] += 1
        check(row, case)
    assert set(ends) == {Status.OK, Status.READ_SLAVE_ERROR}


# --- addresses --------------------------------------------------------------------------------------------

def test_nothing_is_written_outside_of_the_window(simulator):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        case = case_of(simulator, seed)
        [form] = case.job.outputs
        first, last = form.address, form.address + form.bytes - 1
        if seed % 2:
            first += int(rng.integers(1, form.bytes))
        else:
            last = first + int(rng.integers(0, form.bytes - form.slot_pitch))
        result, content = attempt(simulator, case, memory=random_memory(rng), window=(first, last))
        assert result.status is Status.BAD_ADDRESS
        assert form.address <= result.failed_address < form.address + form.bytes
        assert result.failed_address < first or result.failed_address + form.slot_pitch > last
        assert (content[form.address:first] == 0xA5).all()
        assert (content[last + 1:form.address + form.bytes] == 0xA5).all()
        check(simulator, case, memory=random_memory(rng))


def test_wrong_slot_addresses_write_nothing(row):
    """Slots of the channels at random addresses, as wrong data in memory would give them."""
    case, rng = case_of(row, 4), np.random.default_rng(4)
    tables = [case.segment(one.values["address"]) for one in case.instructions() if one.name == "PARAMETERS"]

    def change(content):
        for first, size in tables:
            slots = content[first:first + size].view("<u4").reshape(-1, 4)[:, 2]
            slots[:] = rng.integers(0, 1 << 32, len(slots), dtype=np.uint32)

    for _ in range(5):
        result, content = attempt(row, case, change=change)
        assert result.status is Status.BAD_ADDRESS
        [form] = case.job.outputs
        assert (content[form.address:form.address + form.bytes] == 0xA5).all()
        check(row, case)


@pytest.mark.parametrize(("address", "status"), [
    (END_OF_MEMORY - COMMAND_BYTES, Status.READ_DECODE_ERROR), (END_OF_MEMORY, Status.BAD_ADDRESS),
    (1 << 63, Status.BAD_ADDRESS), (8, Status.BAD_ADDRESS), (1 << 30, Status.READ_DECODE_ERROR)])
def test_commands_that_are_not_in_memory(row, address, status):
    case = case_of(row)
    result, _ = attempt(row, case, address=address)
    assert result.status is status
    check(row, case)


def changed(case, number, **values):
    """The commands with other values in one of them."""
    stream = CommandStream(case.job.config)
    stream.instructions[:] = case.instructions()[:-1]
    stream.instructions[number].values.update(values)
    return stream.to_bytes()


def replaced(case, text):
    """A change of the memory that gives it other commands."""
    def change(content):
        data = np.frombuffer(text, np.uint8)
        assert len(data) <= len(case.stream())
        content[case.job.commands:case.job.commands + len(data)] = data

    return change


@pytest.mark.parametrize("what", READERS)
@pytest.mark.parametrize(("address", "allowed"), [
    (1 << 31, {Status.READ_DECODE_ERROR}),
    (END_OF_MEMORY - 8, {Status.READ_DECODE_ERROR, Status.BAD_ADDRESS})])
def test_operands_that_are_not_in_memory(row, what, address, allowed):
    case = case_of(row, 2, "fully_connected")
    for number in [i for i, one in enumerate(case.instructions()) if one.name == what][:3]:
        result, _ = attempt(row, case, change=replaced(case, changed(case, number, address=address)))
        assert result.status in allowed
        assert result.failed_address >= 1 << 31 or what == "LOAD_MOVING"  # slots may follow around the end
        check(row, case)


# --- data -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("fault", ["mask", "zero"])
def test_malformed_slots(simulator, fault):
    """A bit beyond the slot's positions, or a zero among the values; in any slot, the last one too."""
    chunk, width = simulator.config.chunk, simulator.config.act_width
    found = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        case = case_of(simulator, seed)
        form = case.job.input
        number = int(rng.integers(form.bytes // form.slot_pitch)) if seed % 3 else form.bytes // form.slot_pitch - 1
        line, slot = divmod(number % (form.channel_pitch // form.slot_pitch), form.slots)
        first = form.address + number * form.slot_pitch

        def change(content, first=first):
            if fault == "mask":
                content[first + (chunk - 1) // 8] |= 1 << (chunk - 1) % 8
            else:
                values = first + -(-chunk // 8)
                content[values:values + max(1, width // 8)] &= 0xF0 if width == 4 else 0

        content = attach(simulator, case)
        mask = int.from_bytes(bytes(content[first:first + -(-chunk // 8)]), "little")
        if form.positions(line, slot) == chunk if fault == "mask" else not mask:
            continue
        found += 1
        result, _ = attempt(simulator, case, change=change, memory=random_memory(rng))
        assert result.status is Status.MALFORMED_DATA, f"slot {number} of {form}"
        check(simulator, case, memory=random_memory(rng))
    assert found >= 3


def test_an_error_in_the_very_last_slot_counts(row):
    """The job ends with the load whose last slot is malformed."""
    case = case_of(row, 1)
    loads = [one for one in case.instructions() if one.name == "LOAD_MOVING"]
    stream = CommandStream(row.config)
    for one in loads[-1:]:
        stream.add(one.name, **one.values)
    values = loads[-1].values
    last = (values["address"] + (values["channels"] - 1) * values["channel_pitch"]
            + (values["lines"] - 1) * values["line_pitch"] + (values["slots"] - 1) * values["slot_pitch"])
    commands = replaced(case, stream.to_bytes())

    def change(content):
        commands(content)
        content[last] = content[last + 1] = 255
        content[last + 2:last + 2 + row.config.chunk] = 0

    result, _ = attempt(row, case, change=commands, count=2)
    assert result.status is Status.OK
    for latency in range(1, 12):
        result, _ = attempt(row, case, change=change, count=2, memory={"latency": latency})
        assert result.status is Status.MALFORMED_DATA
    check(row, case)


# --- ends -------------------------------------------------------------------------------------------------

def test_aborts(simulator):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        case, memory = case_of(simulator, seed % 3), random_memory(rng)
        cycles = check(simulator, case, memory=memory).cycles
        result, _ = attempt(simulator, case, memory=memory, abort_after=int(rng.integers(cycles)))
        assert result.status is Status.ABORTED
        check(simulator, case, memory=random_memory(rng))
    result, _ = attempt(simulator, case, abort_after=cycles * 50)  # when the job has ended long since
    assert result.status is Status.OK


def test_resets(simulator):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        case, memory = case_of(simulator, seed % 3), random_memory(rng)
        cycles = check(simulator, case, memory=memory).cycles
        attach(simulator, case, memory=memory)
        simulator.start(case.job.commands, case.job.count)
        assert not simulator.advance(int(rng.integers(cycles - 100)))
        simulator.reset()
        assert simulator.read("status") == simulator.read("command_address") == simulator.read("write_first") == 0
        assert simulator.read("write_last") == (1 << 64) - 1
        check(simulator, case, memory=random_memory(rng))


@pytest.mark.parametrize("missing", ["STREAM_MOVING", "STREAM_STATIONARY", "PARAMETERS"])
def test_half_a_job_runs_into_the_watchdog(simulator, missing):
    """Items without rows, or rows without items; without parameters the results are not those of anyone."""
    case = case_of(simulator)
    stream = CommandStream(simulator.config)
    stream.instructions[:] = [one for one in case.instructions()[:-1] if one.name != missing]
    result, _ = attempt(simulator, case, change=replaced(case, stream.to_bytes()), watchdog=WATCHDOG)
    if missing == "PARAMETERS":  # those of the job before, or none: nothing outside of the window in any case
        assert result.status in (Status.OK, Status.BAD_ADDRESS)
    else:
        assert result.status is Status.WATCHDOG and result.cycles < 20 * WATCHDOG
    check(simulator, case)


def test_a_memory_that_does_not_answer(row):
    """The watchdog ends the job though a read is under way; the next one waits for its end and then runs."""
    case = case_of(row)
    content = attach(row, case, memory={"latency": 3000})
    for _ in range(3):
        result = row.run(case.job.commands, case.job.count, watchdog=500)
        assert result.status is Status.WATCHDOG
    result = row.run(case.job.commands, case.job.count, watchdog=20_000)
    assert result.status is Status.OK
    assert np.array_equal(case.job.result(content), case.expected[0])


def test_a_memory_that_stops_in_between(row):
    """Wherever a job is: it runs into the watchdog, and the next one waits until the late answers have come."""
    case, ends = case_of(row), Counter()
    stream = CommandStream(row.config)
    for _ in range(6):
        stream.fence()
    short = replaced(case, stream.to_bytes())
    for cycles in (*range(20, 180, 5), *range(200, 3000, 170)):
        if len(case.stream()) and cycles < 180:  # END, and commands behind it
            short(attach(row, case, memory={"latency": 40}))
        else:
            attach(row, case, memory={"latency": 40})
        row.start(case.job.commands, case.job.count, watchdog=300)
        ended = row.advance(cycles)
        attach(row, case, memory={"latency": 1500})
        assert ended or row.advance(20_000)
        ends[Status(row.read("status") >> 8 & 15)] += 1
        check(row, case)
    assert set(ends) == {Status.OK, Status.WATCHDOG}


# --- anything ---------------------------------------------------------------------------------------------

def fuzzed(case, rng):
    """Commands with flipped bits, in another order, with some missing or cut off."""
    text = bytearray(case.stream())
    size, kind = len(text) // COMMAND_BYTES, int(rng.integers(6))
    if kind <= 2:
        for _ in range(int(rng.integers(1, 4))):
            place = int(rng.integers(size)) * COMMAND_BYTES + int(rng.integers(USED_BYTES))
            text[place] ^= 1 << int(rng.integers(8))
        return bytes(text)
    commands = [bytes(text[at:at + COMMAND_BYTES]) for at in range(0, len(text), COMMAND_BYTES)]
    if kind == 3:
        for _ in range(int(rng.integers(1, 4))):
            i, j = rng.integers(size, size=2)
            commands[i], commands[j] = commands[j], commands[i]
    elif kind == 4:
        for _ in range(int(rng.integers(1, 4))):
            del commands[int(rng.integers(len(commands)))]
    else:
        commands = commands[:int(rng.integers(size))]
    return b"".join(commands)


def case_to_fuzz(simulator, seed):
    """One layer, or a network with the vector unit."""
    if seed % 4 == 3:
        return network_case(simulator.config, seed % 5)
    return case_of(simulator, seed % 5, ["conv3x3", "pointwise", "grouped"][seed % 3])


def fuzz(simulator, seeds):
    """Run fuzzed jobs; how they ended."""
    ends = Counter()
    for seed in seeds:
        print(f"seed {seed}")
        rng = np.random.default_rng(seed)
        case = case_to_fuzz(simulator, seed)
        text = fuzzed(case, rng)

        def change(content, case=case, text=text):
            content[case.job.commands:case.job.commands + len(case.stream())] = 0
            replaced(case, text)(content)

        # a wrong count can make a long job: then the host ends it
        result, _ = attempt(simulator, case, change=change, memory=random_memory(rng), writable=[case.window],
                            watchdog=WATCHDOG, abort_after=60_000, max_cycles=60_000 + 20 * WATCHDOG)
        ends[result.status] += 1
        check(simulator, case)
    return ends


def test_fuzzed_commands(simulator):
    ends = fuzz(simulator, range(60))
    assert len(ends) >= 5, ends


@pytest.mark.verify
def test_many_fuzzed_commands(simulator):
    ends = fuzz(simulator, range(1000, 2000))
    assert len(ends) >= 7, ends


def test_fuzzed_memory(simulator):
    """Wrong constant data: programs, packets, parameters, slots."""
    for seed in range(40):
        print(f"seed {seed}")
        rng = np.random.default_rng([7, seed])
        case = case_to_fuzz(simulator, seed)

        def change(content, case=case, rng=rng):
            first, size = case.job.image.base, case.job.commands - case.job.image.base
            for place in rng.integers(size, size=int(rng.integers(1, 200))):
                content[first + place] ^= 1 << int(rng.integers(8))

        result, _ = attempt(simulator, case, change=change, memory=random_memory(rng), writable=[case.window],
                            watchdog=WATCHDOG, abort_after=60_000, max_cycles=60_000 + 20 * WATCHDOG)
        assert result.status in (Status.OK, Status.MALFORMED_DATA, Status.WATCHDOG, Status.BAD_ADDRESS, Status.ABORTED)
        check(simulator, case)


def test_simulators_of_one_library_close_in_any_order():
    """A closed simulator leaves nothing that another one of the same library needs."""
    first, second = (AcceleratorSimulator(CONFIGS["row"]) for _ in range(2))
    second.close()
    with AcceleratorSimulator(CONFIGS["row"]) as third:
        check(third, case_of(third))
        first.close()
        check(third, case_of(third))
