"""Description, places and legal ranges of the command set; commands to bytes, to text and back."""

from dataclasses import replace

import numpy as np
import pytest
from command_reference import COMMANDS, NAMES, Reference
from hypothesis import given, settings
from hypothesis import strategies as st
from phantom_hw.config import PhantomConfig
from phantom_hw.soc.assembler import AssemblerError, assemble, disassemble
from phantom_hw.soc.commands import CommandError, CommandSet, Instruction
from phantom_hw.soc.document import isa_page
from phantom_hw.soc.fields import Field, Limit, address, array, choice, flag, number, place
from phantom_hw.soc.isa import END, Command, Unit
from phantom_hw.soc.status import Status

CONFIGS = {name: PhantomConfig.preset(name) for name in PhantomConfig.presets()}
TINY = CommandSet(CONFIGS["tiny"])
WIDEST = replace(
    CONFIGS["tiny"], name="widest", mesh_rows=8, mesh_cols=8, threads=8, drain_lanes=8, group=1, act_width=16,
    row_width=256, moving_link=32, chunk=64, address_width=64, moving_words=65536, stationary_words=65536,
    program_words=65536, lane_channels=4096)
LONGEST = replace(WIDEST, name="longest", moving_link=1)
"""Every limit is the greatest that it can be in one of the two."""
ALL_SETS = [TINY, *(CommandSet(replace(CONFIGS[name], address_width=40)) for name in ("paper", "icebreaker")),
            CommandSet(WIDEST), CommandSet()]


@st.composite
def instructions(draw, commands):
    command = draw(st.sampled_from(commands.commands))
    values = {}
    for field in command.fields:
        low, high = commands.limits(field)
        value = st.integers(low // field.multiple, high // field.multiple).map(lambda n, f=field: n * f.multiple)
        count = commands.used(field)
        values[field.name] = tuple(draw(st.lists(value, min_size=count, max_size=count))) if field.count > 1 \
            else draw(value)
    return Instruction(command.name, values)


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("commands", ALL_SETS, ids=["tiny", "paper", "icebreaker", "widest", "any"])
def test_round_trips(commands, data):
    stream = data.draw(st.lists(instructions(commands), max_size=4))
    code = b"".join(commands.encode(one) for one in stream)
    assert len(code) == 64 * len(stream)
    assert [commands.decode(code[i:i + 64]) for i in range(0, len(code), 64)] == stream
    text = disassemble(code, commands)
    assert text.count("\n") == len(stream)
    assert assemble(text, commands) == code


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(
    st.builds(number, st.text("abcdefghij", min_size=6, max_size=6), st.integers(1, 32), st.just("")),
    st.builds(address, st.text("klmnopqrst", min_size=6, max_size=6), st.just("")),
    st.builds(lambda field, count: array(field, count, count),
              st.builds(number, st.text("uvwxyz", min_size=6, max_size=6), st.integers(1, 32), st.just("")),
              st.integers(2, 9)),
), max_size=8))
def test_places(fields):
    taken = set()
    last = 31
    for field, item in zip(fields, place(fields), strict=True):
        assert item.field is field
        for index in range(field.count):
            start = item.element(index)
            bits = range(start, start + field.width)
            assert start > last and taken.isdisjoint(bits)
            last = bits[-1]
            taken.update(bits)
            if field.kind == "address":
                assert start % 64 == 0
            else:
                assert bits[0] // 32 == bits[-1] // 32
        assert item.end == last + 1


@pytest.mark.parametrize("config", [*CONFIGS.values(), WIDEST, LONGEST], ids=lambda config: config.name)
def test_the_hardware_has_the_same_view(config):
    """Places, ranges and the formulas of the documentation against the reference."""
    commands, reference = CommandSet(config), Reference(config)
    for command in commands.commands:
        found = [(e.field, e.index, e.start, e.low, e.high) for e in commands.elements(command)]
        assert found == reference.spans[command.name]


def test_the_address_bus_is_that_of_the_configuration():
    assert (TINY.address_width, CommandSet(WIDEST).address_width, CommandSet().address_width) == (32, 64, 64)


@pytest.mark.parametrize("config", [CONFIGS["tiny"], WIDEST], ids=["tiny", "widest"])
@pytest.mark.parametrize("seed", range(3))
def test_malformed_commands(seed, config):
    print(f"seed {seed}")
    rng, reference, commands = np.random.default_rng(seed), Reference(config), CommandSet(config)
    seen = set()
    for _ in range(1500):
        code = reference.spoilt(rng, reference.random(rng, rng.choice([*NAMES, "END", "FENCE"])))
        expected = reference.status(code)
        seen.add(expected)
        if expected == Status.OK:
            assert commands.encode(commands.decode(code)) == code
            continue
        with pytest.raises(CommandError) as caught:
            commands.decode(code)
        assert caught.value.status == expected
        assert "\n" not in str(caught.value)
    assert seen == {Status.OK, Status.ILLEGAL_OPCODE, Status.BAD_VERSION, Status.RESERVED_BITS, Status.OUT_OF_RANGE}


def test_zeroed_memory_is_illegal():
    with pytest.raises(CommandError, match=r"^opcode must be in 1\.\.12, not 0$"):
        TINY.decode(bytes(64))


UNIT = (Unit("one", ""),)

# --- text -------------------------------------------------------------------------------------------------

STREAM = """\
; a layer
ROWS planes=2 beats=0x4 plane_length=12,0xc,1 tap_base=0,1,0x2 plane_step=0,12,0   ; three taps

fence units=stream_moving|results
FENCE units=0x9
PARAMETERS address=0x1_000 count=4 first=0 rows=0x1 lanes=1 clamp=1 lo=-128 hi=127
END
"""


def test_text():
    code = assemble(STREAM.replace("_000", "000"), TINY)
    assert disassemble(code, TINY) == (
        "ROWS planes=2 beats=4 plane_length=12,12,1 tap_base=0,1,2 plane_step=0,12,0\n"
        "FENCE units=stream_moving|results\n"
        "FENCE units=load_program|load_stationary\n"
        "PARAMETERS address=0x1000 count=4 first=0 rows=0x1 lanes=0x1 clamp=1 lo=-128 hi=127\n"
        "END\n")
    assert code[:4] == bytes([8, 1, 0, 0])
    assert code[-64:] == bytes([1, 1, *[0] * 62])


ROWS = "ROWS planes=2 beats=4 plane_length=12,12,1 plane_step=0,12,0"
LOAD = "LOAD_PROGRAM count=1 offset=0"


@pytest.mark.parametrize(("text", "message"), [
    ("\n\nSTOP", "line 3: unknown command 'STOP'; commands: END, FENCE, PARAMETERS, LOAD_PROGRAM, LOAD_MOVING, "
                 "FILL_MOVING, PATTERN, ROWS, STREAM_MOVING, LOAD_STATIONARY, STREAM_STATIONARY, VECTOR"),
    ("END now", "line 1: an operand must be FIELD=VALUE, not 'now'"),
    ("END now=1", "line 1: END has no field 'now'; fields: none"),
    ("FENCE", "line 1: FENCE needs a value for units"),
    ("FENCE units=1 units=2", "line 1: FENCE: units is given twice"),
    ("FENCE units=none", "line 1: FENCE: units must be in 0x1..0x3f, not 0"),
    ("FENCE units=results|mesh", "line 1: units: unknown name 'mesh'; legal: names with | between them out of "
                                 "load_program, load_moving, stream_moving, load_stationary, stream_stationary, "
                                 "results, none, or a number"),
    (f"{ROWS} tap_base=0,1", "line 1: ROWS: tap_base must have 3 values, not 2"),
    (f"{ROWS} tap_base=0,1,24", "line 1: ROWS: tap_base[2] must be in 0..23, not 24"),
    (f"{ROWS} tap_base=0,1,1_0", "line 1: tap_base: '1_0' is no value; legal: a decimal number, or a hexadecimal one "
                                 "after 0x"),
    (f"{ROWS.replace('planes=2', 'planes=0')} tap_base=0,1,1", "line 1: ROWS: planes must be in 1..3, not 0"),
    (f"{LOAD} address=0x1004", "line 1: LOAD_PROGRAM: address must be in 0x0..0xffffffff, a multiple of 8, not 4100"),
    (f"{LOAD} address=0x100000000", "line 1: LOAD_PROGRAM: address must be in 0x0..0xffffffff, a multiple of 8, not "
                                    "4294967296"),
    ("FENCE units=", "line 1: units: unknown name ''; legal: names with | between them out of load_program, "
                     "load_moving, stream_moving, load_stationary, stream_stationary, results, none, or a number"),
])
def test_wrong_text(text, message):
    with pytest.raises(AssemblerError) as caught:
        assemble(text, TINY)
    assert str(caught.value) == message


def test_choices():
    """A field that is one of several names."""
    commands = CommandSet(CONFIGS["tiny"], units=UNIT, commands=(
        Command(END, "", ""), Command("DO", "", "one", (choice("operation", ["add", "copy"], ""),))))
    code = assemble("DO operation=copy\nDO operation=0x0\nEND", commands)
    assert [code[4], code[68]] == [1, 0]
    assert disassemble(code, commands) == "DO operation=copy\nDO operation=add\nEND\n"
    for text, message in [
        ("mul", "line 1: operation: 'mul' is no value; legal: add, copy, or a number"),
        ("2", "line 1: DO: operation must be in 0..1, not 2"),
    ]:
        with pytest.raises(AssemblerError) as caught:
            assemble(f"DO operation={text}", commands)
        assert str(caught.value) == message
    assert "| `operation` | 1 | 7:0 | 0 add, 1 copy |" in isa_page(commands)


def test_alignment_of_an_address():
    """The highest address of a bus of 64 bits that is aligned, and those beside it."""
    commands = CommandSet(WIDEST)
    text = f"{LOAD.replace('count', 'address=0xfffffffffffffff8 count')}\n"
    code = assemble(text, commands)
    assert code[8:16] == bytes([0xF8, *[0xFF] * 7])
    assert disassemble(code, commands) == text
    for byte in (0xF9, 0xFA, 0xFC, 0xFF):
        with pytest.raises(AssemblerError) as caught:
            disassemble(code[:8] + bytes([byte]) + code[9:], commands)
        assert str(caught.value) == ("command 0 at offset 0x0: LOAD_PROGRAM: address must be in "
                                     f"0x0..0xffffffffffffffff, a multiple of 8, not {2**64 - 256 + byte}")


def test_wrong_bytes():
    end = assemble("END", TINY)
    with pytest.raises(AssemblerError, match=r"^command 1 at offset 0x40: a command has 64 bytes, there are 3$"):
        disassemble(end + end[:3], TINY)
    with pytest.raises(AssemblerError, match=r"^command 0 at offset 0x0: version must be 1, not 2$"):
        disassemble(b"\1\2" + end[2:], TINY)
    with pytest.raises(AssemblerError, match=r"^command 1 .*: END: bit 31 of word 15 is reserved and must be 0$"):
        disassemble(end + end[:63] + b"\x80", TINY)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.text("ENDFC =|,x0123456789;\n-abstuni", max_size=40),
                 st.sampled_from([f"{ROWS} tap_base="]).flatmap(lambda head: st.text().map(head.__add__))))
def test_any_text_is_assembled_or_refused(text):
    try:
        code = assemble(text, TINY)
    except AssemblerError as error:
        assert str(error).startswith("line ")
    else:
        assert assemble(disassemble(code, TINY), TINY) == code


# --- description ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "message"), [
    (lambda: number("a b", 3, ""), "a field's name must be an identifier, not 'a b'"),
    (lambda: number("a", 33, ""), r"a: width must be in 1\.\.32, or 64 for an address, not 33"),
    (lambda: number("a", 3, "", multiple=3), "a: multiple must be a power of two, not 3"),
    (lambda: array(address("a", ""), 2, 2), "a: count must be at least 1, and 1 for an address, not 2"),
    (lambda: CommandSet(address_width=16), r"address_width must be an integer in 32\.\.64, not 16"),
    (lambda: CommandSet(words=12), "words must be a power of two from 2, not 12"),
    (lambda: CommandSet(commands=()), r"the commands need 'END', not \[\]"),
    (lambda: CommandSet(commands=[Command(END, "", "one")], units=UNIT), r"END: unit must be one of \['one'\], not"),
    (lambda: CommandSet(commands=[Command(END, "", ""), Command("A", "", "two")], units=UNIT),
     r"A: unit must be one of \['one'\], not 'two'"),
    (lambda: CommandSet(commands=[Command(END, "", "", (flag("a", ""), flag("a", "")))], units=UNIT),
     r"END: the fields need different names, not \['a', 'a'\]"),
    (lambda: CommandSet(commands=[Command(END, "", "", (address("a", ""),))], units=UNIT, words=2),
     "END: the fields must fit 64 bits, not 128"),
    (lambda: TINY.limits(Field(name="a", meaning="", width=2, high=Limit("4", lambda c: 4))),
     r"a: 0\.\.4 must lie in 0\.\.3"),
])
def test_wrong_descriptions(make, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


def test_every_field_says_what_it_means():
    for command in COMMANDS:
        for field in command.fields:
            assert field.meaning.endswith(".") and "\n" not in field.meaning
