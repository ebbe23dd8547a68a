"""The command set: the one description that decoder, assembler, C header and documentation follow.

A command is ``COMMAND_WORDS`` little-endian 32-bit words. Word 0 has opcode, version and reserved bits; the fields
follow in the order given here, placed by :func:`phantom_hw.soc.fields.place`. Everything else is reserved and must be
zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from phantom_hw.soc.fields import Field, Limit, address, array, choice, flag, mask, number

__all__ = [
    "COMMANDS", "COMMAND_WORDS", "END", "FENCE", "ISA_VERSION", "OPCODE_BITS", "PATTERNS", "UNITS", "VECTOR_OPERANDS",
    "VERSION_BITS", "Command", "Unit",
]

ISA_VERSION = 1
COMMAND_WORDS = 16
OPCODE_BITS, VERSION_BITS = 8, 8
PATTERNS = 16
"""Patterns of positions that the lanes and row streamers hold."""
VECTOR_OPERANDS = 1 << 15
"""Most operands that the vector unit combines to a result."""
END, FENCE = "END", "FENCE"
"""The commands that the decoder itself carries out."""


@dataclass(frozen=True)
class Unit:
    """A part of the accelerator that takes commands from the decoder.

    Parameters
    ----------
    name, meaning : str
    """

    name: str
    meaning: str


@dataclass(frozen=True)
class Command:
    """One command.

    Parameters
    ----------
    name, meaning : str
        The meaning is a paragraph of the documentation.
    unit : str
        Name of the unit that gets it; "" if the decoder carries it out itself.
    fields : tuple of Field
    """

    name: str
    meaning: str
    unit: str
    fields: tuple[Field, ...] = ()


UNITS = (
    Unit("load_program", "fills the row program's memory"),
    Unit("load_moving", "fills the moving buffers"),
    Unit("stream_moving", "sends rows from the moving buffers into the mesh"),
    Unit("load_stationary", "fills the stationary buffers"),
    Unit("stream_stationary", "sends packets from the stationary buffers into the mesh"),
    Unit("results", "post-processing lanes and what writes their results; busy from a tile's first row to its last "
         "result"),
)
"""In the order of their bits in FENCE and in the ``busy`` port."""

# --- limits that several fields share ---------------------------------------------------------------------

MESH_ROWS = Limit("2**mesh_rows - 1", lambda c: 2**c.mesh_rows - 1)
MESH_COLUMNS = Limit("2**mesh_cols - 1", lambda c: 2**c.mesh_cols - 1)
LANES = Limit("2**drain_lanes - 1", lambda c: 2**c.drain_lanes - 1)
LANE_CHANNELS = Limit("lane_channels", lambda c: c.lane_channels)
PROGRAM = Limit("program_words", lambda c: c.program_words)
PROGRAM_PLACE = Limit("program_words - 1", lambda c: c.program_words - 1)
MOVING = Limit("moving_words * moving_link", lambda c: c.moving_positions)
MOVING_PLACE = Limit("moving_words * moving_link - 1", lambda c: c.moving_positions - 1)
STATIONARY = Limit("stationary_words", lambda c: c.stationary_words)
STATIONARY_PACKETS = Limit("16 * stationary_words", lambda c: 16 * c.stationary_words)
STATIONARY_PLACE = Limit("stationary_words - 1", lambda c: c.stationary_words - 1)
ROW = Limit("row_width", lambda c: c.row_width)
ROW_PLACE = Limit("row_width - 1", lambda c: c.row_width - 1)
MAX_BEATS = Limit("max_beats", lambda c: c.max_beats)
VECTOR_BEATS = Limit("vector_beats", lambda c: c.vector_beats)
CHUNK = Limit("chunk", lambda c: c.chunk)
THREADS = Limit("threads", lambda c: c.threads)
CLAMP_LOW = Limit("-2**act_width", lambda c: -2**c.act_width)
CLAMP_HIGH = Limit("2**act_width - 1", lambda c: 2**c.act_width - 1)


def _rows() -> Field:
    return mask("rows", 8, "Mesh rows that take part, bit r for row r.", high=MESH_ROWS)


def _columns() -> Field:
    return mask("columns", 8, "Mesh columns that take part, bit c for column c.", high=MESH_COLUMNS)


def _pitch(name: str, meaning: str) -> Field:
    return number(name, 32, meaning, unit="bytes")


def _distance(name: str, meaning: str) -> Field:
    return number(name, 24, meaning, unit="positions", high=MOVING_PLACE)


# --- commands ---------------------------------------------------------------------------------------------

COMMANDS = (
    Command(END, "Ends the job with status OK as soon as all units are idle. What follows is not looked at.", ""),
    Command(FENCE, "Waits until the named units are idle; later commands are issued after that.", "", (
        mask("units", 16, "Units to wait for.", names=[unit.name for unit in UNITS]),
    )),
    Command("PARAMETERS", "Loads what output channels are made with into post-processing lanes, and sets a clamp. A "
            "channel takes four 32-bit words: bias; multiplier in bits 0..23 and shift in bits 24..29; address of its "
            "first slot divided by 8; in bit 0 whether its results are written at all.", "results", (
        address("address", "First channel's parameters.", multiple=8),
        number("count", 13, "Channels to load.", unit="channels", low=1, high=LANE_CHANNELS),
        number("first", 13, "Place of the first channel in the lanes.", unit="channels",
               high=Limit("lane_channels - 1", lambda c: c.lane_channels - 1)),
        _rows(),
        mask("lanes", 8, "Lanes of each mesh row that take part.", high=LANES),
        flag("clamp", "The clamp that is set, of two."),
        number("lo", 17, "Its least result.", low=CLAMP_LOW, high=CLAMP_HIGH, signed=True),
        number("hi", 17, "Its greatest result.", low=CLAMP_LOW, high=CLAMP_HIGH, signed=True),
    )),
    Command("LOAD_PROGRAM", "Loads entries of the row program.", "load_program", (
        address("address", "First entry.", multiple=8),
        number("count", 17, "Entries to load.", unit="entries", low=1, high=PROGRAM),
        number("offset", 17, "Place of the first one.", unit="entries", high=PROGRAM_PLACE),
    )),
    Command("LOAD_MOVING", "Loads a part of a sparse tensor into moving buffers: of each channel some lines of slots, "
            "of each line some slots. The positions of a slot are cut into rows of `width`; with a stride, position x "
            "of a row comes to place x / stride of the phase x % stride.", "load_moving", (
        address("address", "First slot.", multiple=8),
        _pitch("channel_pitch", "From a channel to the next in memory."),
        _pitch("line_pitch", "From a line of slots to the next in memory."),
        _pitch("slot_pitch", "From a slot to the next in memory."),
        number("channels", 16, "Channels to load.", unit="channels", low=1),
        number("lines", 16, "Lines of slots of a channel.", unit="lines", low=1),
        number("slots", 16, "Slots of a line.", unit="slots", low=1),
        number("positions", 8, "Positions of a slot.", unit="positions", low=1, high=CHUNK),
        number("last_positions", 8, "Positions of a line's last slot.", unit="positions", low=1, high=CHUNK),
        number("width", 8, "Positions of a row of a slot; only slots of one row may follow each other in a line.",
               unit="positions", low=1, high=CHUNK),
        number("stride", 8, "Phases of a row.", low=1),
        _rows(),
        flag("signed", "The values are signed: they are widened with their sign where an operand is wider."),
        number("x", 16, "Place of a line's first position in its row, padding included.", unit="positions"),
        _distance("offset", "Place of the first row in the buffer."),
        _distance("channel_step", "From a channel to the next in the buffer."),
        _distance("row_step", "From a row to the next in the buffer."),
        _distance("phase_step", "From a phase to the next in the buffer."),
    )),
    Command("FILL_MOVING", "Writes zeros into moving buffers.", "load_moving", (
        _distance("offset", "Place of the first zero."),
        number("length", 24, "Zeros in a row.", unit="positions", low=1, high=MOVING),
        number("count", 16, "Rows of zeros.", low=1),
        _distance("step", "From a row to the next."),
        _rows(),
    )),
    Command("PATTERN", "Sets a pattern: which positions of a tile are there.", "stream_moving", (
        number("index", 8, "Which pattern.", high=PATTERNS - 1),
        array(number("bits", 32, "Position i is there if bit i is set."), 2, 2),
    )),
    Command("ROWS", "Says how rows are made of the moving buffer. A part of a row is made of planes that follow each "
            "other.", "stream_moving", (
        number("planes", 4, "Planes of a part.", low=1, high=THREADS),
        number("beats", 9, "Beats of a row.", low=1, high=MAX_BEATS),
        array(number("plane_length", 9, "Positions of a plane.", unit="positions", low=1, high=ROW), 8, THREADS),
        array(number("tap_base", 8, "Flat position in the row that tap t reads for output position 0.",
                     unit="positions", high=ROW_PLACE), 8, THREADS),
        array(number("plane_step", 24, "From the part's place in the buffer to the plane's.", unit="positions",
                     high=MOVING_PLACE), 8, THREADS),
    )),
    Command("STREAM_MOVING", "Runs a part of the row program: in each step first the step's own base entries, then "
            "the row entries.", "stream_moving", (
        number("bases", 17, "Place of the first step's first base entry.", unit="entries", high=PROGRAM_PLACE),
        number("base_count", 17, "Base entries of a step.", unit="entries", low=1, high=PROGRAM),
        number("start", 17, "Place of the first row entry.", unit="entries", high=PROGRAM_PLACE),
        number("count", 17, "Row entries.", unit="entries", low=1, high=PROGRAM),
        number("steps", 16, "Steps.", unit="steps", low=1),
        _rows(),
    )),
    Command("LOAD_STATIONARY", "Loads packed packets into stationary buffers, in words of 16 bytes "
            "(hw/phantom_hw/stationary/layouts.py has their form). Where the bus has several words, `offset` must be a "
            "multiple of them, and the last word of the bus is written as a whole, beyond `count`.",
            "load_stationary", (
        address("address", "First word.", multiple=8),
        number("count", 17, "Words to load.", unit="words", low=1, high=STATIONARY),
        number("offset", 17, "Place of the first one.", unit="words", high=STATIONARY_PLACE),
        _columns(),
    )),
    Command("STREAM_STATIONARY", "Sends packets from stationary buffers into the mesh, the same ones several times if "
            "they are needed again.", "stream_stationary", (
        number("offset", 17, "Word in which the first packet begins.", unit="words", high=STATIONARY_PLACE),
        number("count", 21, "Packets to send.", unit="packets", low=1, high=STATIONARY_PACKETS),
        number("repeats", 16, "How often they are sent.", low=1),
        _columns(),
        _rows(),
    )),
    Command("VECTOR", "Says where rows go: into the mesh, or into the vector unit, which combines `operands` operands "
            "of `beats` beats each to a result, element by element, whatever rows they are cut into. A result is a "
            "chunk of sums of the first core of a lane; the lanes of a mesh row get the results in turn. Only while "
            "the mesh and the lanes are idle.", "stream_moving", (
        choice("operation", ("none", "max", "sum", "add"), "What is done: nothing, so that rows go into the mesh; the "
               "greatest value; the sum; or of two operands a * mult_a + b * mult_b."),
        flag("signed_a", "Operands are signed; with `add` the first one."),
        flag("signed_b", "With `add`, the second operand is signed."),
        flag("fold", "Only the sum of all positions of a result is sent."),
        number("beats", 9, "Beats of an operand.", low=1, high=VECTOR_BEATS),
        number("operands", 16, "Operands of a result.", low=1, high=VECTOR_OPERANDS),
        number("positions", 8, "Positions of a result, those of its operands.", unit="positions", low=1, high=CHUNK),
        number("count", 13, "Results of a tile for each lane.", low=1, high=LANE_CHANNELS),
        number("mult_a", 24, "With `add`, what the first operand is multiplied by."),
        number("mult_b", 24, "With `add`, what the second operand is multiplied by."),
    )),
)
"""The opcode is the place in this list, from 1: 0 is illegal, so that zeroed memory is an error."""
