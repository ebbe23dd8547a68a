"""Requantization of sums to the activations of the next layer."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.config import PhantomConfig

__all__ = ["BIAS_BITS", "MULT_BITS", "SHIFT_BITS", "Requantizer"]

BIAS_BITS, MULT_BITS, SHIFT_BITS = 32, 24, 6
"""Widths of the parameters: int32, the mantissa of a float32 scale, 0..63."""
PIECE_BITS = 17
"""Bits of a piece of the sum, without the sign."""


class Requantizer(wiring.Component):
    """``clamp(rne((value + bias) * mult * 2^-shift), lo, hi)``, rounding half to even on the exact product.

    The product is made of partial products of 17 by 12 bits, which fit the multiplier blocks of FPGAs, with a register
    behind each step of their sum. It is never rounded: what a shift drops lives on as a guard bit and a sticky bit. The
    shift is done in two steps, eights and ones; between them all that cannot be inside the clamp is saturated.

    Parameters
    ----------
    config : PhantomConfig
        Uses ``acc_width`` and ``act_width``.

    Members
    -------
    advance : In
        Without it, everything stays as it is.
    value : In, signed acc_width bits; bias : In, signed; mult, shift : In
        A sum and the parameters of its channel.
    lo, hi : In, signed act_width + 1 bits
        The legal range of the result; looked at ``LATENCY - 1`` cycles after the value.
    result : Out, signed act_width + 1 bits
        After ``LATENCY`` cycles with ``advance``.

    Throughput: 1 value a cycle.
    """

    LATENCY = 7
    STEP = 1 << SHIFT_BITS // 2
    """Shifts of the first step are multiples of it."""

    def __init__(self, config: PhantomConfig):
        self._config = config
        bound = signed(config.act_width + 1)
        super().__init__({
            "advance": In(1),
            "value": In(signed(config.acc_width)),
            "bias": In(signed(BIAS_BITS)),
            "mult": In(MULT_BITS),
            "shift": In(SHIFT_BITS),
            "lo": In(bound),
            "hi": In(bound),
            "result": Out(bound),
        })

    def elaborate(self, platform):
        m = Module()

        def stage(value: Value, name: str) -> Signal:
            register = Signal(value.shape(), name=name, reset_less=True)
            with m.If(self.advance):
                m.d.sync += register.eq(value)
            return register

        total = stage(self.value + self.bias, "total")
        mult, shift = stage(self.mult, "mult1"), stage(self.shift, "shift1")
        rows = []
        for i in range(-(-(len(total) - 1) // PIECE_BITS)):  # the last piece has the sign: a bit more
            low, high = i * PIECE_BITS, (i + 1) * PIECE_BITS
            piece = total[low:high] if high < len(total) - 1 else total[low:].as_signed()
            lower, upper = (stage(piece * half, f"partial_{i}_{j}") for j, half in enumerate((mult[:12], mult[12:])))
            rows.append(stage(lower + (upper << 12), f"row_{i}") << low)
        product = stage(sum(rows[1:], rows[0])[:len(total) + MULT_BITS].as_signed(), "product")
        for cycle in range(2, 5):
            shift = stage(shift, f"shift{cycle}")

        # eights: what is left (with a guard bit below), saturated to what the ones can still bring into the range
        width = self._config.act_width + 1 + self.STEP
        steps = range(1 << SHIFT_BITS - SHIFT_BITS // 2)
        coarse, below = shift[SHIFT_BITS // 2:], Cat(Const(0, 1), product).as_signed()
        shifted, sticky = Signal.like(below), Signal()
        with m.Switch(coarse):
            for step in steps:
                with m.Case(step):
                    m.d.comb += [
                        shifted.eq(below >> step * self.STEP),
                        sticky.eq(below[:min(step * self.STEP, len(below))].any()),
                    ]
        upper = shifted[width:]
        inside = (upper == shifted[width].replicate(len(upper))) if len(upper) else Const(1)
        extreme = Cat((~shifted[-1]).replicate(width), shifted[-1])
        rough = stage(Mux(inside, shifted[:width + 1], extreme).as_signed(), "rough")
        sticky = stage(sticky, "sticky1")
        fine = stage(shift[:SHIFT_BITS // 2], "fine")

        # ones: the bit behind the point and whether anything is behind that
        kept, half, rest = Signal(signed(width)), Signal(), Signal()
        with m.Switch(fine):
            for ones in range(self.STEP):
                with m.Case(ones):
                    m.d.comb += [kept.eq(rough >> ones + 1), half.eq(rough[ones]),
                                 rest.eq(sticky | rough[:ones].any() if ones else sticky)]
        kept, up = stage(kept, "kept"), stage(half & (rest | kept[0]), "up")

        rounded = Signal(signed(width + 1))
        m.d.comb += rounded.eq(kept + up)
        clamped = Mux(rounded < self.lo, self.lo, Mux(rounded > self.hi, self.hi, rounded))
        m.d.comb += self.result.eq(stage(clamped[:len(self.result)].as_signed(), "clamped"))
        return m
