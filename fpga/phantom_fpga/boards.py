"""The boards of the self-test: their clock, their LEDs, their device, and the top module around the self-test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.build import Attrs, Clock, Connector, Pins, Resource
from amaranth.build.plat import TemplatedPlatform
from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Module, ResetSignal, Signal
from amaranth.lib import io
from amaranth.vendor import GowinPlatform
from amaranth_boards.icebreaker import ICEBreakerPlatform
from amaranth_boards.resources import LEDResources
from amaranth_boards.ulx3s import ULX3S_85F_Platform
from phantom_hw import emit
from phantom_hw.config import PhantomConfig

from phantom_fpga.checksum import WIDTH
from phantom_fpga.errors import FpgaError
from phantom_fpga.selftest import SelfTest

__all__ = ["BOARDS", "PROBES", "TOP", "Board", "SelfTestTop"]

TOP = "top"
PROBES = {"observed_done": "done_probe", "observed_checksum": "checksum_probe"}
"""Nets of the top module that synthesis keeps, and what a netlist calls them when they are made ports."""


class TangNano20kPlatform(GowinPlatform):
    """Sipeed Tang Nano 20K: what the self-test uses of it."""

    part = "GW2AR-LV18QN88C8/I7"
    family = "GW2AR-18C"
    default_clk = "clk27"
    resources = [  # noqa: RUF012 (the form that amaranth.build prescribes)
        Resource("clk27", 0, Pins("4", dir="i"), Clock(27e6), Attrs(IO_TYPE="LVCMOS33")),
        *LEDResources(pins="15 16 17 18 19 20", invert=True, attrs=Attrs(IO_TYPE="LVCMOS33")),
    ]
    connectors: list[Connector] = []  # noqa: RUF012


def _icebreaker() -> TemplatedPlatform:
    """The iCEBreaker with the LEDs of its break-off PMOD, in place as it is delivered."""
    platform = ICEBreakerPlatform()
    platform.add_resources(platform.break_off_pmod)
    return platform


@dataclass(frozen=True)
class Board:
    """A board that the self-test can be built for.

    Attributes
    ----------
    name : str
        What the user calls it.
    title : str
        What reports call it.
    device : str
        Key in :data:`phantom_fpga.devices.DEVICES`.
    leds : int
        LEDs that are used, at least three: heartbeat, pass, done, and low bits of the checksum.
    platform : callable
        Makes the Amaranth platform.
    """

    name: str
    title: str
    device: str
    leds: int
    platform: Callable[[], TemplatedPlatform]

    @classmethod
    def named(cls, name: str) -> Board:
        """A board by its name.

        Raises
        ------
        FpgaError
            There is no such board.
        """
        if name not in BOARDS:
            raise FpgaError(f"unknown board {name!r}; boards: {', '.join(BOARDS)}")
        return BOARDS[name]

    @property
    def clock_mhz(self) -> float:
        """Rate of the oscillator that drives the core."""
        return self.platform().default_clk_frequency / 1e6

    def led_meaning(self) -> list[str]:
        """What each LED shows, in the order of the board's numbering."""
        bits = [f"checksum bit {bit}" for bit in range(self.leds - 3)]
        return ["heartbeat", "pass: the checksum is the golden one", "done", *bits]

    def design(self, selftest: SelfTest, config: PhantomConfig) -> tuple[str, str]:
        """The self-test as a design for this board.

        Returns
        -------
        rtlil : str
            The design, top module :data:`TOP`.
        constraints : str
            Its pins, in the format of the device's place and route tool.
        """
        plan = self.platform().prepare(SelfTestTop(selftest, self.leds), name=TOP, emit_src=False)
        text = {name.rpartition(".")[2]: content for name, content in plan.files.items() if name.startswith(f"{TOP}.")}
        constraints = next(text[suffix] for suffix in ("lpf", "pcf", "cst") if suffix in text)

        def decoded(content: str | bytes) -> str:
            return content.decode() if isinstance(content, bytes) else content

        return emit.pe_rtlil(config) + decoded(text["il"]), decoded(constraints)


BOARDS: dict[str, Board] = {
    board.name: board
    for board in (
        Board("ulx3s", "Radiona ULX3S 85F", "ecp5-85f", 8, ULX3S_85F_Platform),
        Board("tangnano20k", "Sipeed Tang Nano 20K", "gw2ar-18", 6, TangNano20kPlatform),
        Board("icebreaker", "1BitSquared iCEBreaker", "up5k", 7, _icebreaker),
    )
}


class SelfTestTop(Elaboratable):
    """The self-test between a board's oscillator and its LEDs.

    The clock is the oscillator's, without a PLL. A counter holds the reset for
    :attr:`RESET_CYCLES` cycles after configuration: longer than the 15 us in which the RAMs of an
    iCE40 may still read as zero.

    Parameters
    ----------
    selftest : SelfTest
        What to run.
    leds : int
        LEDs to use, see :meth:`Board.led_meaning`.
    """

    RESET_CYCLES = 512
    HEARTBEAT_BITS = 24

    def __init__(self, selftest: SelfTest, leds: int) -> None:
        self._selftest, self._leds = selftest, leds

    def elaborate(self, platform: TemplatedPlatform) -> Module:
        m = Module()
        m.submodules.selftest = selftest = self._selftest
        m.domains.sync = ClockDomain()
        m.domains.start = ClockDomain(reset_less=True, local=True)
        m.submodules.clock = clock = io.Buffer("i", platform.request(platform.default_clk, dir="-"))
        waited = Signal(range(self.RESET_CYCLES))
        m.d.comb += [ClockSignal("sync").eq(clock.i), ClockSignal("start").eq(clock.i)]
        reset = Signal(init=1)
        m.d.comb += ResetSignal("sync").eq(reset)
        with m.If(waited != self.RESET_CYCLES - 1):
            m.d.start += waited.eq(waited + 1)
        with m.Else():
            m.d.start += reset.eq(0)

        done_name, checksum_name = PROBES
        done = Signal(name=done_name, attrs={"keep": 1})
        checksum = Signal(WIDTH, name=checksum_name, attrs={"keep": 1})
        m.d.comb += [done.eq(selftest.done), checksum.eq(selftest.checksum)]
        beat = Signal(self.HEARTBEAT_BITS)
        m.d.sync += beat.eq(beat + 1)
        shown = [beat[-1], selftest.passed, done, *checksum]
        for index in range(self._leds):
            m.submodules[f"led{index}"] = led = io.Buffer("o", platform.request("led", index, dir="-"))
            register = Signal(name=f"led{index}_shown")
            m.d.sync += register.eq(shown[index])
            m.d.comb += led.o.eq(register)
        return m
