"""The built-in self-test: known operands go through a core, a checksum of the results is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from phantom_hw.config import PhantomConfig
from phantom_hw.core.core import PhantomCore
from phantom_hw.core.layouts import layer_layout, moving_layout, stationary_layout

from phantom_fpga.checksum import WIDTH, ResultChecksum
from phantom_fpga.errors import FpgaError

__all__ = ["BeatPlayer", "Operands", "SelfTest", "check"]


@dataclass(frozen=True)
class Operands:
    """What the self-test plays into the core: words packed as the layouts of the core's ports say.

    Attributes
    ----------
    layer : int
        The layer word.
    moving, stationary : tuple of int
        The beats of the two operand streams, in order.
    """

    layer: int
    moving: tuple[int, ...]
    stationary: tuple[int, ...]


def check(config: PhantomConfig, operands: Operands, golden_checksum: int) -> None:
    """Compare what a self-test is given with the widths of a configuration.

    Raises
    ------
    FpgaError
        A stream is empty, or a word or the checksum does not fit.
    """
    for name, words, layout in (
        ("layer", (operands.layer,), layer_layout(config)),
        ("moving", operands.moving, moving_layout(config)),
        ("stationary", operands.stationary, stationary_layout(config)),
    ):
        if not words:
            raise FpgaError(f"the self-test has no {name} beats")
        for index, word in enumerate(words):
            if not 0 <= word < 1 << layout.size:
                raise FpgaError(f"{name} beat {index} is {word:#x}, not a word of {layout.size} bits")
    if not 0 <= golden_checksum < 1 << WIDTH:
        raise FpgaError(f"golden_checksum must be a word of {WIDTH} bits, not {golden_checksum!r}")


class BeatPlayer(wiring.Component):
    """Offers the words of a ROM in order on a stream.

    Parameters
    ----------
    shape : StructLayout
        Shape of a beat.
    beats : sequence of int
        The packed beats, at least one.

    Members
    -------
    run : In(1)
        The words are read while it is high.
    output : Out(stream.Signature(shape))
        The beats.
    finished : Out(1)
        All beats were transferred.

    Latency
    -------
    One cycle from ``run`` to the first beat.

    Throughput
    ----------
    One beat a cycle.
    """

    def __init__(self, shape: data.StructLayout, beats: Sequence[int]) -> None:
        self._beats = list(beats)
        super().__init__({
            "run": In(1),
            "output": Out(stream.Signature(shape)),
            "finished": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = len(self._beats)
        # in logic the words would be specialized to the test, and larger than the core's own share
        m.submodules.rom = rom = Memory(
            shape=self.output.payload.shape().size, depth=depth, init=self._beats, attrs={"ram_style": "block"},
        )
        port = rom.read_port()
        position = Signal(range(depth + 1))
        more = Signal()
        m.d.comb += [
            more.eq(self.run & (position != depth)),
            port.addr.eq(position),
            port.en.eq(more & (~self.output.valid | self.output.ready)),
            self.output.payload.eq(port.data),
            self.finished.eq((position == depth) & ~self.output.valid),
        ]
        with m.If(port.en):
            m.d.sync += [position.eq(position + 1), self.output.valid.eq(1)]
        with m.Elif(self.output.ready):
            m.d.sync += self.output.valid.eq(0)
        return m


class SelfTest(wiring.Component):
    """A core, the ROMs with its operands and the checksum of its results.

    After reset the layer word is offered to the core, then both operand streams are, each at its own
    pace. The test is done once all beats were taken and the core has been idle for
    :attr:`QUIET_CYCLES` cycles. A core that never gets there leaves ``done`` low.

    Parameters
    ----------
    config : PhantomConfig
        The core.
    operands : Operands
        What it is given.
    golden_checksum : int
        :func:`phantom_fpga.checksum.checksum` of the results that it must give.

    Members
    -------
    done : Out(1)
        The test has ended.
    passed : Out(1)
        It has ended and the checksum is the golden one.
    checksum : Out(32)
        Checksum of the result beats so far.

    Raises
    ------
    FpgaError
        The operands or the checksum do not fit, see :func:`check`.
    """

    QUIET_CYCLES = 32

    def __init__(self, config: PhantomConfig, operands: Operands, golden_checksum: int) -> None:
        check(config, operands, golden_checksum)
        self._config, self._operands, self._golden = config, operands, golden_checksum
        super().__init__({"done": Out(1), "passed": Out(1), "checksum": Out(WIDTH)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, operands = self._config, self._operands
        m.submodules.core = core = PhantomCore(config)
        m.submodules.moving = moving = BeatPlayer(moving_layout(config), operands.moving)
        m.submodules.stationary = stationary = BeatPlayer(stationary_layout(config), operands.stationary)
        m.submodules.results = results = ResultChecksum(config)
        wiring.connect(m, moving.output, core.moving)
        wiring.connect(m, stationary.output, core.stationary)
        wiring.connect(m, core.result, results.results)

        quiet = Signal(range(self.QUIET_CYCLES))
        m.d.comb += [
            core.layer.payload.eq(operands.layer),
            self.checksum.eq(results.checksum),
            self.passed.eq(self.done & (self.checksum == self._golden)),
        ]
        with m.FSM():
            with m.State("LAYER"):
                m.d.comb += core.layer.valid.eq(1)
                with m.If(core.layer.ready):
                    m.next = "PLAY"
            with m.State("PLAY"):
                m.d.comb += [moving.run.eq(1), stationary.run.eq(1)]
                with m.If(~moving.finished | ~stationary.finished | ~core.idle | core.result.valid):
                    m.d.sync += quiet.eq(0)
                with m.Elif(quiet == self.QUIET_CYCLES - 1):
                    m.next = "DONE"
                with m.Else():
                    m.d.sync += quiet.eq(quiet + 1)
            with m.State("DONE"):
                m.d.comb += self.done.eq(1)
        return m
