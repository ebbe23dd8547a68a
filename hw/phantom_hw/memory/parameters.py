"""The parameters of an AXI4 manager, shared by its read half and its write half."""

from __future__ import annotations

from dataclasses import dataclass, fields

from amaranth.utils import ceil_log2, exact_log2

from phantom_hw.config import PAGE, ConfigError, PhantomConfig

__all__ = ["DATA_WIDTHS", "BusParameters", "bus_parameters"]

DATA_WIDTHS = (64, 128, 256, 512)


@dataclass(frozen=True, kw_only=True)
class BusParameters:
    """Widths of an AXI4 bus and what a manager may have under way on it.

    Parameters
    ----------
    address_width : int
        Bits of an address, 32..64.
    data_width : int
        Bits of a word of the bus: 64, 128, 256 or 512.
    id_width : int
        Bits of a transaction identifier, 1..16. The managers use identifier 0 only, so that all stays in order.
    max_burst : int
        Most beats of one burst, a power of two in 1..256. A burst also ends at each multiple of so many words, which
        keeps bursts aligned in the memory.
    outstanding : int
        Most bursts under way in one direction, 1..256.
    buffer : int
        Words of data buffered in one direction, a power of two in 2..4096 and at least ``burst_words``. Twice that or
        more lets one burst be filled while another is under way.

    Raises
    ------
    ConfigError
        A value out of its range.
    """

    address_width: int = 32
    data_width: int = 64
    id_width: int = 1
    max_burst: int = 16
    outstanding: int = 4
    buffer: int = 64

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not int:
                raise ConfigError(f"{field.name} must be of type int, not {value!r}")
        if self.data_width not in DATA_WIDTHS:
            legal = ", ".join(map(str, DATA_WIDTHS))
            raise ConfigError(f"data_width must be one of {legal}, not {self.data_width!r}")
        self._range("address_width", 32, 64)
        self._range("id_width", 1, 16)
        self._range("max_burst", 1, 256, power_of_two=True)
        self._range("outstanding", 1, 256)
        self._range("buffer", max(2, self.burst_words), 4096, power_of_two=True)

    def _range(self, field_name: str, low: int, high: int, power_of_two: bool = False) -> None:
        value = getattr(self, field_name)
        if not low <= value <= high or (power_of_two and value & (value - 1)):
            kind = "a power of two" if power_of_two else "an integer"
            raise ConfigError(f"{field_name} must be {kind} in {low}..{high}, not {value!r}")

    # --- derived values -----------------------------------------------------------------------------

    @property
    def word_bytes(self) -> int:
        """Bytes of a word of the bus."""
        return self.data_width // 8

    @property
    def byte_bits(self) -> int:
        """Bits of the index of a byte in a word; ``AxSIZE``."""
        return exact_log2(self.word_bytes)

    @property
    def burst_words(self) -> int:
        """Words between two places where a burst must end: ``max_burst``, or a page of 4 KiB if that is less."""
        return min(self.max_burst, PAGE // self.word_bytes)

    @property
    def burst_bits(self) -> int:
        """Bits of the index of a word in a burst; 0 with bursts of one word."""
        return exact_log2(self.burst_words)

    @property
    def word_address_width(self) -> int:
        """Bits of the number of a word in memory."""
        return self.address_width - self.byte_bits


def bus_parameters(config: PhantomConfig) -> BusParameters:
    """The parameters of a configuration's AXI4 manager."""
    words = max(64, 1 << ceil_log2(2 * config.outstanding))  # so that also bursts of one word can all be under way
    return BusParameters(address_width=config.address_width, data_width=config.bus_width,
                         outstanding=config.outstanding, buffer=words)
