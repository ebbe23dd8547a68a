"""A multiplier thread with its accumulator bank."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from phantom_hw.config import PhantomConfig

__all__ = ["Thread"]


class Thread(wiring.Component):
    """``bank[address] += moving * stationary``, one product a cycle, any address at any time.

    The bank is a block RAM with one read and one write port. A product whose address was written in the cycle before
    takes the sum from a forwarding register; what the RAM gives while it writes the same address is never used. A drain
    reads an address and leaves 0 there, which it puts into the forwarding register; it takes the place of a product.

    Parameters
    ----------
    config : PhantomConfig
        Uses the operand widths, ``acc_width`` and ``acc_depth``.

    Members
    -------
    valid : In, 1; address : In; moving, stationary : In; moving_signed, stationary_signed : In
        A product and the bank address (half and output) it is added to.
    drain : In, 1
        Read and clear ``address`` instead; ``valid`` and ``moving`` must be 0, and no product may be added to the
        address in the two cycles before.
    drained : Out, signed(acc_width)
        The value read, ``READ_LATENCY`` cycles after ``drain``; anything otherwise.

    Latency: the bank holds the sum ``WRITE_LATENCY`` cycles after the product's operands; back-to-back
    products to one address are exact. Throughput: 1 a cycle.
    """

    READ_LATENCY = 1
    WRITE_LATENCY = 2

    def __init__(self, config: PhantomConfig):
        self._config = config
        super().__init__({
            "valid": In(1),
            "address": In(ceil_log2(config.acc_halves)),
            "moving": In(config.operand_width),
            "stationary": In(config.operand_width),
            "moving_signed": In(1),
            "stationary_signed": In(1),
            "drain": In(1),
            "drained": Out(signed(config.acc_width)),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        width = config.operand_width
        bank = Memory(shape=signed(config.acc_width), depth=config.acc_halves, init=[],
                      attrs={"ram_style": "block", "no_rw_check": 1})
        m.submodules.bank = bank
        write, read = bank.write_port(), bank.read_port(domain="comb")

        left, right = Signal(signed(width + 1)), Signal(signed(width + 1))
        m.d.comb += [
            left.eq(Cat(self.moving, self.moving[-1] & self.moving_signed)),
            right.eq(Cat(self.stationary, self.stationary[-1] & self.stationary_signed)),
        ]
        product = Signal(signed(2 * width + 2))
        address = Signal(ceil_log2(config.acc_halves))
        writing, again = Signal(), Signal()
        stored = Signal(signed(config.acc_width), reset_less=True)
        last = Signal.like(stored)
        m.d.comb += read.addr.eq(self.address)
        m.d.sync += [
            product.eq(left * right),
            address.eq(self.address),
            writing.eq(self.valid | self.drain),
            stored.eq(read.data),
            last.eq(Mux(self.drain, 0, write.data)),
            again.eq(self.drain | (writing & (address == self.address))),
        ]
        m.d.comb += [
            write.en.eq(writing),
            write.addr.eq(address),
            write.data.eq(Mux(again, last, stored) + product),
            self.drained.eq(stored),
        ]
        return m
