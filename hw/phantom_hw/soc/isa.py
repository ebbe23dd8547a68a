"""The command set: the one description that decoder, assembler, C header and documentation follow.

A command is ``COMMAND_WORDS`` little-endian 32-bit words. Word 0 has opcode, version and reserved bits; the fields
follow in the order given here, placed by :func:`phantom_hw.soc.fields.place`. Everything else is reserved and must be
zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from phantom_hw.soc.fields import Field, Limit, address, array, choice, flag, mask, number

__all__ = [
    "COMMANDS", "COMMAND_WORDS", "END", "FENCE", "ISA_VERSION", "OPCODE_BITS", "OPERATIONS", "UNITS", "VERSION_BITS",
    "Command", "Unit",
]

ISA_VERSION = 1
COMMAND_WORDS = 16
OPCODE_BITS, VERSION_BITS = 8, 8
END, FENCE = "END", "FENCE"
"""The commands that the decoder itself carries out."""

OPERATIONS = ("add", "max_pool", "average_pool", "upsample", "copy")
"""Of the vector unit."""


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
    Unit("layer", "sets up the cores"),
    Unit("parameters", "loads the parameters of the post-processing lanes"),
    Unit("load_moving", "fills the moving buffers from memory"),
    Unit("stream_moving", "sends rows from the moving buffers into the mesh"),
    Unit("load_stationary", "fills the stationary buffers from memory"),
    Unit("stream_stationary", "sends items from the stationary buffers into the mesh"),
    Unit("results", "writes results to memory"),
    Unit("vector", "works on tensors in memory without the mesh"),
)
"""In the order of their bits in FENCE and in the ``busy`` port."""

# --- limits that several fields share ---------------------------------------------------------------------

MESH_ROWS = Limit("2**mesh_rows - 1", lambda c: 2**c.mesh_rows - 1)
MESH_COLUMNS = Limit("2**mesh_cols - 1", lambda c: 2**c.mesh_cols - 1)
ACC_DEPTH = Limit("acc_depth", lambda c: c.acc_depth)
CLAMP_LOW = Limit("-2**act_width", lambda c: -2**c.act_width)
CLAMP_HIGH = Limit("2**act_width - 1", lambda c: 2**c.act_width - 1)


def _rows() -> Field:
    return mask("rows", 8, "Mesh rows that take part, bit r for row r.", high=MESH_ROWS)


def _columns() -> Field:
    return mask("columns", 8, "Mesh columns that take part, bit c for column c.", high=MESH_COLUMNS)


def _clamp() -> tuple[Field, Field]:
    return (
        number("lo", 17, "Least result.", low=CLAMP_LOW, high=CLAMP_HIGH, signed=True),
        number("hi", 17, "Greatest result.", low=CLAMP_LOW, high=CLAMP_HIGH, signed=True),
    )


def _pitch(name: str, meaning: str) -> Field:
    return number(name, 32, meaning, unit="bytes")


# --- commands ---------------------------------------------------------------------------------------------

COMMANDS = (
    Command(END, "Ends the job with status OK as soon as all units are idle. What follows is not looked at.", ""),
    Command(FENCE, "Waits until the named units are idle; later commands are issued after that.", "", (
        mask("units", 16, "Units to wait for.", names=[unit.name for unit in UNITS]),
    )),
    Command("LAYER", "Sets up all cores for a layer.", "layer", (
        number("groups", 9, "Groups of an item, ceil(W / G) for rows of W output positions.", unit="groups", low=1,
               high=Limit("max_groups", lambda c: c.max_groups)),
        number("outputs", 13, "Accumulator addresses that a tile uses.", unit="addresses", low=1, high=ACC_DEPTH),
        number("span", 13, "Accumulator addresses of one burst on a result link.", unit="addresses", low=1,
               high=ACC_DEPTH),
        flag("moving_signed", "The moving operand is signed."),
        flag("stationary_signed", "The stationary operand is signed."),
        flag("set", "Set of parameters that the results are made with."),
        array(number("tap_base", 8, "Flat position in the row that tap t reads for output position 0.",
                     unit="positions", high=Limit("row_width - 1", lambda c: c.row_width - 1)),
              8, Limit("threads", lambda c: c.threads)),
    )),
    Command("PARAMETERS", "Loads bias, multiplier and shift of output channels into a set of the post-processing "
            "lanes, and sets the clamp of that set.", "parameters", (
        address("address", "First channel's parameters: bias, multiplier, shift, a 32-bit word each."),
        number("count", 16, "Channels to load.", unit="channels", low=1),
        number("first", 16, "Place of the first channel in the set.", unit="channels"),
        _rows(),
        flag("set", "Set that is loaded."),
        *_clamp(),
    )),
    Command("LOAD_MOVING", "Loads slots of a sparse tensor into moving buffers. Masks and values of a chunk are read "
            "for each channel.", "load_moving", (
        address("address", "First slot."),
        number("channels", 16, "Channels to load.", unit="channels", low=1),
        number("chunks", 16, "Chunks of each channel.", unit="chunks", low=1),
        number("values", 8, "Positions of a chunk.", unit="positions", low=1, high=Limit("chunk", lambda c: c.chunk)),
        _rows(),
        _pitch("masks_pitch", "From the masks of one channel to those of the next."),
        _pitch("slot_pitch", "From one slot to the next."),
        number("offset", 20, "Place in the buffer.", unit="words"),
    )),
    Command("STREAM_MOVING", "Sends rows from moving buffers into the mesh, as a row program in memory says.",
            "stream_moving", (
        address("address", "The row program."),
        number("count", 24, "Entries of the row program.", unit="rows", low=1),
        _rows(),
        number("base", 20, "Place in the buffer that the row program counts from.", unit="words"),
    )),
    Command("LOAD_STATIONARY", "Loads packed items into stationary buffers.", "load_stationary", (
        address("address", "First item."),
        number("bytes", 24, "Size.", unit="bytes", low=1),
        _columns(),
        number("offset", 20, "Place in the buffer.", unit="words"),
    )),
    Command("STREAM_STATIONARY", "Sends items from stationary buffers into the mesh, the same ones several times if "
            "they are needed again.", "stream_stationary", (
        number("offset", 20, "Place in the buffer.", unit="words"),
        _columns(),
        number("items", 20, "Items to send.", unit="items", low=1),
        number("repeats", 12, "How often they are sent.", low=1),
    )),
    Command("RESULTS", "Writes the results of a mesh row to memory as slots of a sparse tensor.", "results", (
        address("address", "First slot."),
        _pitch("chunk_pitch", "From one chunk to the next."),
        _pitch("filter_pitch", "From one filter to the next."),
        _pitch("tile_pitch", "From one tile to the next."),
        number("chunks", 16, "Chunks of a burst.", unit="chunks", low=1),
        number("filters", 16, "Filters of a tile.", unit="filters", low=1),
        number("tiles", 16, "Tiles.", unit="tiles", low=1),
        number("row", 3, "Mesh row.", high=Limit("mesh_rows - 1", lambda c: c.mesh_rows - 1)),
    )),
    Command("VECTOR", "Makes a tensor in memory from one or two others.", "vector", (
        choice("operation", OPERATIONS, "What is done."),
        number("channels", 16, "Channels of the result.", unit="channels", low=1),
        address("a", "First source."),
        address("b", "Second source; read by add only."),
        address("destination", "The result."),
        number("height", 16, "Rows of the result.", unit="rows", low=1),
        number("width", 16, "Columns of the result.", unit="columns", low=1),
        number("kernel_h", 8, "Rows of the pooling window, or upsampling factor.", unit="rows", low=1),
        number("kernel_w", 8, "Columns of the pooling window, or upsampling factor.", unit="columns", low=1),
        number("stride_h", 8, "Vertical stride of the pooling window.", unit="rows", low=1),
        number("stride_w", 8, "Horizontal stride of the pooling window.", unit="columns", low=1),
        number("mult_a", 24, "Multiplier of the first source."),
        number("shift", 6, "Shift to the right after multiplication.", unit="bits"),
        number("mult_b", 24, "Multiplier of the second source."),
        *_clamp(),
    )),
)
"""The opcode is the place in this list, from 1: 0 is illegal, so that zeroed memory is an error."""
