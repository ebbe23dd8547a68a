"""The one configuration object: every generator, model and document reads it, nothing repeats it."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path

__all__ = ["PAGE", "ConfigError", "PhantomConfig"]

TDS_MODES = ("in_order", "out_of_order")
OPERAND_WIDTHS = (4, 8, 16)
BUS_WIDTHS = (64, 128, 256, 512)
PAGE = 4096
"""No AXI4 burst may cross a boundary of so many bytes."""
MOST_ON_CHIP = 65536


class ConfigError(ValueError):
    """An illegal configuration: one line that names the field, its value and the legal range."""


def _ceil_pow2(value: int) -> int:
    return 1 << (value - 1).bit_length()


@dataclass(frozen=True, kw_only=True)
class PhantomConfig:
    """All parameters of one accelerator instance.

    Parameters
    ----------
    name : str
        Identifies the configuration in reports and generated files.
    mesh_rows, mesh_cols : int
        R x C cores of the Phantom-2D mesh, 1..8 each.
    pe_rows, pe_cols : int
        Processing elements (PEs) of one core, 1..8 each (paper: 3 x 3).
    threads : int
        T, multiplier threads of one PE and taps of one item, 1..8 (paper: 3).
    lookahead : int
        L_f, entries in the window of the top-down selector, 1..32.
    group : int
        G, entries that enter and leave the window together; a divisor of ``lookahead``.
    refill : int
        Groups that may enter the window in a cycle, 1..L_f/G; 0 stands for L_f/G.
    tds : str
        ``"in_order"`` or ``"out_of_order"``.
    skip_empty : bool
        A group without an effectual bit never enters the window.
    act_width, weight_width : int
        Bits of an activation and of a weight: 4, 8 or 16.
    acc_width : int
        Bits of an accumulator (two's complement), 16..48.
    acc_depth : int
        Outputs in one half of a thread's ping-pong accumulator bank; a power of two, 16..4096.
    split_banks : bool
        The two halves of an accumulator bank are RAMs of their own, so that a drain takes no selection's place.
    row_slots : int
        D, rows that a PE holds (run-ahead depth); a power of two, 2..16.
    row_width : int
        Positions (values of all planes together) of one row slot, 4..256; a multiple of ``moving_link``.
    item_slots : int
        Items that a PE holds; a power of two, 4..64.
    moving_link : int
        Values that a moving link carries a cycle; a power of two, 1..32.
    drain_lanes : int
        Post-processing lanes of a mesh row, 1..``mesh_cols``; each serves neighbouring cores.
    chunk : int
        N, positions covered by one mask word of the sparse format on the result link, 4..64.
    bus_width : int
        Bits of the memory interface's data bus: 64, 128, 256 or 512.
    address_width : int
        Bits of its address bus, 32..64.
    outstanding : int
        Bursts that may be under way on it in each direction, 1..256: its bandwidth times the memory's latency.
    moving_loaders : int
        Loaders of the moving buffers, 1..``mesh_rows``; each serves neighbouring mesh rows.
    moving_words : int
        Words of ``moving_link`` values in the moving buffer of a mesh row; a power of two, 16..65536.
    stationary_words : int
        Words of 16 bytes in the stationary buffer of a mesh column; a power of two, 16..65536.
    program_words : int
        Entries of the row program's memory; a power of two, 16..65536.
    lane_channels : int
        Output channels whose parameters a post-processing lane holds; a power of two, 16..4096.
    row_blocks : int
        Threads of a PE whose copy of the row values lies in block RAM instead of LUT-RAM, 0..``threads``.
    on_chip_words : int
        Words of the bus in a memory on the chip, which has the first addresses; whole pages of 4 KiB, 0..65536.
    """

    name: str = "custom"
    mesh_rows: int = 1
    mesh_cols: int = 1
    pe_rows: int = 3
    pe_cols: int = 3
    threads: int = 3
    lookahead: int = 12
    group: int = 4
    refill: int = 0
    tds: str = "out_of_order"
    skip_empty: bool = False
    act_width: int = 8
    weight_width: int = 8
    acc_width: int = 32
    acc_depth: int = 256
    split_banks: bool = False
    row_slots: int = 4
    row_width: int = 32
    item_slots: int = 16
    moving_link: int = 8
    drain_lanes: int = 1
    chunk: int = 16
    bus_width: int = 64
    address_width: int = 32
    outstanding: int = 4
    moving_loaders: int = 1
    moving_words: int = 2048
    stationary_words: int = 1024
    program_words: int = 1024
    lane_channels: int = 256
    row_blocks: int = 0
    on_chip_words: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            wanted = {"str": str, "bool": bool, "int": int}[str(field.type)]
            if type(value) is not wanted:
                raise ConfigError(f"{field.name} must be of type {field.type}, not {value!r}")
        for field_name in ("mesh_rows", "mesh_cols", "pe_rows", "pe_cols", "threads"):
            self._range(field_name, 1, 8)
        self._range("drain_lanes", 1, self.mesh_cols)
        self._range("lookahead", 1, 32)
        self._range("group", 1, self.lookahead)
        if self.lookahead % self.group:
            divisors = [g for g in range(1, self.lookahead + 1) if self.lookahead % g == 0]
            raise ConfigError(f"group must divide lookahead {self.lookahead} (one of {divisors}), not {self.group!r}")
        self._range("refill", 0, self.lookahead // self.group)
        self._choice("tds", TDS_MODES)
        self._choice("act_width", OPERAND_WIDTHS)
        self._choice("weight_width", OPERAND_WIDTHS)
        self._range("acc_width", 16, 48)
        self._range("acc_depth", 16, 4096, power_of_two=True)
        self._range("row_slots", 2, 16, power_of_two=True)
        self._range("row_width", max(4, self.threads), 256)
        self._range("item_slots", 4, 64, power_of_two=True)
        self._range("moving_link", 1, 32, power_of_two=True)
        if self.row_width % self.moving_link:
            raise ConfigError(
                f"row_width must be a multiple of moving_link {self.moving_link}, not {self.row_width!r}"
            )
        self._range("chunk", 4, 64)
        self._choice("bus_width", BUS_WIDTHS)
        self._range("address_width", 32, 64)
        self._range("outstanding", 1, 256)
        self._range("moving_loaders", 1, self.mesh_rows)
        for field_name in ("moving_words", "stationary_words", "program_words"):
            self._range(field_name, 16, 65536, power_of_two=True)
        self._range("lane_channels", 16, 4096, power_of_two=True)
        self._range("row_blocks", 0, self.threads)
        self._range("on_chip_words", 0, MOST_ON_CHIP)
        if self.on_chip_bytes % PAGE:
            raise ConfigError(f"on_chip_words must be a multiple of {PAGE * 8 // self.bus_width} (whole pages of 4 KiB "
                              f"with bus_width {self.bus_width}), not {self.on_chip_words!r}")
        if self.act_width + self.weight_width > self.acc_width:
            raise ConfigError(
                f"acc_width must hold a product: at least act_width + weight_width = "
                f"{self.act_width + self.weight_width}, not {self.acc_width!r}"
            )

    def _range(self, field_name: str, low: int, high: int, power_of_two: bool = False) -> None:
        value = getattr(self, field_name)
        if not low <= value <= high or (power_of_two and value & (value - 1)):
            kind = "a power of two" if power_of_two else "an integer"
            raise ConfigError(f"{field_name} must be {kind} in {low}..{high}, not {value!r}")

    def _choice(self, field_name: str, legal: tuple) -> None:
        value = getattr(self, field_name)
        if value not in legal:
            raise ConfigError(f"{field_name} must be one of {', '.join(map(str, legal))}, not {value!r}")

    # --- derived values -----------------------------------------------------------------------------

    @property
    def cores(self) -> int:
        """Cores in the mesh."""
        return self.mesh_rows * self.mesh_cols

    @property
    def pes(self) -> int:
        """PEs of one core."""
        return self.pe_rows * self.pe_cols

    @property
    def core_threads(self) -> int:
        """Multipliers of one core."""
        return self.pes * self.threads

    @property
    def window_groups(self) -> int:
        """Groups that the window of the selector holds, L_f / G."""
        return self.lookahead // self.group

    @property
    def refill_groups(self) -> int:
        """Groups that may enter the window in one cycle."""
        return self.refill or self.window_groups

    @property
    def operand_width(self) -> int:
        """Bits of a value in a row or an item: either operand may be the moving one."""
        return max(self.act_width, self.weight_width)

    @property
    def max_groups(self) -> int:
        """Largest number of groups in one item: every position of a row slot an output position."""
        return -(-self.row_width // self.group)

    @property
    def mask_banks(self) -> int:
        """Banks of the row mask store: consecutive groups lie in different banks (a power of two)."""
        return _ceil_pow2(self.window_groups)

    @property
    def mask_groups(self) -> int:
        """Groups of mask bits that one moving beat carries (a power of two that divides mask_banks)."""
        return min(self.mask_banks, _ceil_pow2(-(-self.moving_link // self.group)))

    @property
    def max_beats(self) -> int:
        """Most beats of a row: its values and the mask bits of its groups, whichever takes longer."""
        return max(self.row_width // self.moving_link, -(-self.max_groups // self.mask_groups))

    @property
    def acc_halves(self) -> int:
        """Addresses of a whole accumulator bank, both ping-pong halves."""
        return 2 * self.acc_depth

    @property
    def moving_positions(self) -> int:
        """Values that a moving buffer holds."""
        return self.moving_words * self.moving_link

    @property
    def on_chip_bytes(self) -> int:
        """Bytes of the memory on the chip; external memory that can be used begins at this address."""
        return self.on_chip_words * self.bus_width // 8

    @property
    def vector_beats(self) -> int:
        """Most beats of an operand of the vector unit: its positions make one slot and fit into a row."""
        return min(self.row_width // self.moving_link, -(-self.chunk // self.moving_link))

    def lane_of(self, mesh_col: int) -> int:
        """The post-processing lane of its mesh row that serves a core: neighbours share one."""
        return mesh_col * self.drain_lanes // self.mesh_cols

    def loader_of(self, mesh_row: int) -> int:
        """The loader that fills the moving buffer of a mesh row: neighbours share one."""
        return mesh_row * self.moving_loaders // self.mesh_rows

    # --- input and output ---------------------------------------------------------------------------

    @classmethod
    def from_dict(cls, values: dict, source: str = "configuration") -> PhantomConfig:
        """Build a configuration from plain values; an unknown key is an error that lists the legal ones."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(f"{source}: unknown key {unknown[0]!r}; legal keys: {', '.join(sorted(known))}")
        try:
            return cls(**values)
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from None

    @classmethod
    def from_toml(cls, path: str | Path) -> PhantomConfig:
        """Read a TOML file of ``field = value`` lines; ``preset = "name"`` takes the rest from a preset."""
        try:
            values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot read configuration {str(path)!r}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not a TOML file: {error}") from None
        if "preset" in values:
            values = {**asdict(cls.preset(values.pop("preset"))), "name": Path(path).stem, **values}
        return cls.from_dict(values, str(path))

    @classmethod
    def presets(cls) -> list[str]:
        """Names of the presets that come with the package."""
        folder = resources.files("phantom_hw") / "presets"
        return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))

    @classmethod
    def preset(cls, name: str) -> PhantomConfig:
        """Return a configuration by its preset name."""
        if name not in cls.presets():
            raise ConfigError(f"unknown preset {name!r}; presets: {', '.join(cls.presets())}")
        text = (resources.files("phantom_hw") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
        return cls.from_dict({"name": name, **tomllib.loads(text)}, f"preset {name}")

    def to_dict(self) -> dict:
        """All fields as plain values."""
        return asdict(self)

    def to_toml(self) -> str:
        """The configuration as a TOML file that :meth:`from_toml` reads back unchanged."""
        def text(value: object) -> str:
            return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')
        return "".join(f"{key} = {text(value)}\n" for key, value in asdict(self).items())
