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

    The bank is a block RAM with one read and one write port, or one for each half with ``split_banks``. A product whose
    address was written in the cycle before takes the sum from a forwarding register; what the RAM gives while it writes
    the same address is never used. A drain reads an address and leaves 0 there; it takes the place of a product, or
    works on the half without products.

    Parameters
    ----------
    config : PhantomConfig
        Uses the operand widths, ``acc_width``, ``acc_depth`` and ``split_banks``.

    Members
    -------
    valid : In, 1; address : In; moving, stationary : In; moving_signed, stationary_signed : In
        A product and the bank address (half and output) it is added to.
    drain : In, 1; drain_address : In
        Read and clear this address. ``valid`` and ``moving`` must be 0, or, with ``split_banks``, ``address`` in the
        other half. No product may be added to the address in the two cycles before, nor in the one behind with
        ``split_banks``.
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
            "drain_address": In(ceil_log2(config.acc_halves)),
            "drained": Out(signed(config.acc_width)),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        width = config.operand_width
        left, right = Signal(signed(width + 1)), Signal(signed(width + 1))
        m.d.comb += [
            left.eq(Cat(self.moving, self.moving[-1] & self.moving_signed)),
            right.eq(Cat(self.stationary, self.stationary[-1] & self.stationary_signed)),
        ]
        product = Signal(signed(2 * width + 2))
        m.d.sync += product.eq(left * right)
        (self._halves if config.split_banks else self._whole)(m, product)
        return m

    def _bank(self, m: Module, name: str, depth: int):
        """A block RAM; its write port and its read port."""
        bank = Memory(shape=signed(self._config.acc_width), depth=depth, init=[],
                      attrs={"ram_style": "block", "no_rw_check": 1})
        m.submodules[name] = bank
        return bank.write_port(), bank.read_port(domain="comb")

    def _whole(self, m: Module, product: Signal) -> None:
        """One RAM: a drain takes the place of a product."""
        write, read = self._bank(m, "bank", self._config.acc_halves)
        address = Signal.like(self.address, name="written")
        writing, again = Signal(), Signal()
        stored = Signal(signed(self._config.acc_width), reset_less=True)
        last = Signal.like(stored)
        m.d.comb += read.addr.eq(Mux(self.drain, self.drain_address, self.address))
        m.d.sync += [
            address.eq(read.addr),
            writing.eq(self.valid | self.drain),
            stored.eq(read.data),
            last.eq(Mux(self.drain, 0, write.data)),
            again.eq(self.drain | (writing & (address == read.addr))),
        ]
        m.d.comb += [
            write.en.eq(writing),
            write.addr.eq(address),
            write.data.eq(Mux(again, last, stored) + product),
            self.drained.eq(stored),
        ]

    def _halves(self, m: Module, product: Signal) -> None:
        """A RAM for each half: products go into one of them while the other one is drained."""
        place, emptied = Signal.like(self.address), Signal.like(self.address)  # of the product, of the drain
        adding, draining, again = Signal(), Signal(), Signal()
        stored, drained = (Signal(signed(self._config.acc_width), name=name, reset_less=True)
                           for name in ("stored", "drained_value"))
        last, total = Signal.like(stored), Signal.like(stored)
        m.d.comb += [total.eq(Mux(again, last, stored) + product), self.drained.eq(drained)]
        m.d.sync += [
            place.eq(self.address), emptied.eq(self.drain_address), adding.eq(self.valid), draining.eq(self.drain),
            last.eq(total), again.eq(adding & (place == self.address)),
        ]
        for half in range(2):
            write, read = self._bank(m, f"bank{half}", self._config.acc_depth)
            drains, empties = (wanted & (address[-1] == half) for wanted, address in (
                (self.drain, self.drain_address), (draining, emptied)))
            m.d.comb += [
                read.addr.eq(Mux(drains, self.drain_address[:-1], self.address[:-1])),
                write.en.eq(empties | (adding & (place[-1] == half))),
                write.addr.eq(Mux(empties, emptied[:-1], place[:-1])),
                write.data.eq(Mux(empties, 0, total)),
            ]
            with m.If(self.address[-1] == half):
                m.d.sync += stored.eq(read.data)
            with m.If(self.drain_address[-1] == half):
                m.d.sync += drained.eq(read.data)
