"""Packed packets to bytes and back, straight from the words of their description, a bit at a time."""

from dataclasses import dataclass, field


def bits_of(value: int) -> int:
    """Bits that hold 0..value."""
    return max(1, value.bit_length())


@dataclass
class Shape:
    """The sizes that the format depends on."""

    rows: int
    columns: int
    taps: int
    width: int
    place: int
    layer: list[tuple[str, int]]  # fields of the layer packet after its mode

    @classmethod
    def of(cls, config):
        row = (config.row_width - 1).bit_length()
        layer = [("groups", bits_of(config.max_groups)), ("outputs", bits_of(config.acc_depth)),
                 ("span", bits_of(config.chunk)), ("signs", 2), ("tap_base", row * config.threads)]
        return cls(config.pe_rows, config.pe_cols, config.threads, config.operand_width,
                   (config.acc_depth - 1).bit_length(), layer)

    @property
    def code(self) -> int:
        return bits_of(2 * self.rows)

    def header(self, wide: bool) -> int:
        bits = self.code + self.columns * (self.taps + 1 + (self.place if wide else 3))
        return -(-bits // 8)

    @property
    def layer_bytes(self) -> int:
        return -(-(self.code + 1 + sum(size for _, size in self.layer)) // 8)


@dataclass
class Decoder:
    """State from packet to packet: what the last layer said."""

    shape: Shape
    wide: bool = False
    span: int = 0
    seen: set = field(default_factory=set)  # kinds of packets

    def packet(self, read, at: int) -> tuple[int, int]:
        """The packet of the mesh (from bit ``layer`` on) that begins at byte ``at``, and where the next one begins.

        ``read(i)`` is byte i.
        """
        s = self.shape
        cursor = [8 * at]

        def take(count: int) -> int:
            value = 0
            for i in range(count):
                value |= (read(cursor[0] >> 3) >> (cursor[0] & 7) & 1) << i
                cursor[0] += 1
            return value

        code = take(s.code)
        if code == 2 * s.rows:
            self.wide = bool(take(1))
            content, place = 0, 0
            for name, size in s.layer:
                value = take(size)
                content |= value << place
                place += size
                if name == "span":
                    self.span = value
            self.seen.add(("layer", self.wide))
            return content << 1 | 1, at + s.layer_bytes
        if code > 2 * s.rows:
            self.seen.add(("reserved", self.wide))
            return 0, at + s.header(self.wide)
        masks = [take(s.taps) for _ in range(s.columns)]
        row_lasts = [take(1) for _ in range(s.columns)]
        places = [take(s.place if self.wide else 3) for _ in range(s.columns)]
        end = code >= s.rows
        row = code - s.rows if end else code
        self.seen.add(("items", self.wide))
        begin = at + s.header(self.wide)
        cursor[0] = 8 * begin
        values = [[take(s.width) if mask >> tap & 1 else 0 for tap in range(s.taps)] for mask in masks]
        count = sum(mask.bit_count() for mask in masks)

        content, place = row, (s.rows - 1).bit_length()
        for mask, row_last, dest, taps in zip(masks, row_lasts, places, values, strict=True):
            if not self.wide:
                dest = dest * self.span % (1 << s.place)
            fields = [(int(mask != 0 or row_last), 1), (row_last, 1), (row_last & end, 1), (dest, s.place),
                      (mask, s.taps), *((value, s.width) for value in taps)]
            for value, size in fields:
                content |= value << place
                place += size
        return content << 1, begin + -(-count * s.width // 8)


class Writer:
    """Random packets as bytes."""

    def __init__(self, shape: Shape, rng):
        self.shape, self.rng, self.wide = shape, rng, False

    def _bytes(self, fields, size: int | None = None) -> bytes:
        value = place = 0
        for one, bits in fields:
            value |= one << place
            place += bits
        return value.to_bytes(-(-place // 8) if size is None else size, "little")

    def layer(self, wide: bool) -> bytes:
        self.wide = wide
        return self._bytes([(2 * self.shape.rows, self.shape.code), (int(wide), 1),
                            *((int(self.rng.integers(1 << min(bits, 62))), bits) for _, bits in self.shape.layer)])

    def items(self, density: float) -> bytes:
        s, rng = self.shape, self.rng
        masks = [int(rng.random() < 0.8) * sum(int(rng.random() < density) << i for i in range(s.taps))
                 for _ in range(s.columns)]
        bits = s.place if self.wide else 3
        header = self._bytes([
            (int(rng.integers(2 * s.rows)), s.code), *((mask, s.taps) for mask in masks),
            *((int(rng.integers(2)), 1) for _ in masks), *((int(rng.integers(1 << bits)), bits) for _ in masks)])
        count = sum(mask.bit_count() for mask in masks)
        return header + self._bytes([(int(rng.integers(1, 1 << s.width)), s.width) for _ in range(count)])
