"""AXI4-Lite with 32-bit data: the signature, and its signals under the usual names."""

from __future__ import annotations

import enum

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AxiLiteSignature", "Response", "connect_flat", "flat_members"]


class Response(enum.IntEnum):
    """BRESP and RRESP."""

    OKAY = 0
    SLVERR = 2
    DECERR = 3


class AxiLiteSignature(wiring.Signature):
    """AXI4-Lite as the manager sees it; a subordinate has it as ``In``.

    Parameters
    ----------
    address_width : int
        Bits of an address, 3..64.

    Raises
    ------
    ValueError
        ``address_width`` is out of range.
    """

    DATA_WIDTH = 32

    def __init__(self, address_width: int):
        if not 3 <= address_width <= 64:
            raise ValueError(f"address_width must be an integer in 3..64, not {address_width!r}")
        self.address_width = address_width
        super().__init__({
            "awaddr": Out(address_width), "awprot": Out(3), "awvalid": Out(1), "awready": In(1),
            "wdata": Out(self.DATA_WIDTH), "wstrb": Out(self.DATA_WIDTH // 8), "wvalid": Out(1), "wready": In(1),
            "bresp": In(2), "bvalid": In(1), "bready": Out(1),
            "araddr": Out(address_width), "arprot": Out(3), "arvalid": Out(1), "arready": In(1),
            "rdata": In(self.DATA_WIDTH), "rresp": In(2), "rvalid": In(1), "rready": Out(1),
        })

    def __eq__(self, other):
        return isinstance(other, AxiLiteSignature) and other.address_width == self.address_width


def flat_members(prefix: str, signature: AxiLiteSignature) -> dict[str, wiring.Member]:
    """Members of a subordinate's top module: ``PREFIX_awaddr``, ``PREFIX_awvalid`` and so on."""
    return {f"{prefix}_{name}": member.flip() for name, member in signature.members.items()}


def connect_flat(m: Module, prefix: str, top: wiring.Component, subordinate) -> None:
    """Connect the members of :func:`flat_members` to the port of a subordinate within."""
    for name, member in AxiLiteSignature(len(subordinate.awaddr)).members.items():
        outer, inner = getattr(top, f"{prefix}_{name}"), getattr(subordinate, name)
        m.d.comb += inner.eq(outer) if member.flow == Out else outer.eq(inner)
