"""What ends a job before its time: errors and cancellation, the same for reading and writing."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from phantom_hw.memory.axi import Response
from phantom_hw.memory.parameters import BusParameters

__all__ = ["ErrorKind", "JobControl", "error_layout"]


class ErrorKind(enum.Enum, shape=2):  # type: ignore[call-arg]
    """What went wrong."""

    NONE = 0
    REQUEST = 1
    """A request that is not legal: no bytes, more than 2^24, or beyond the end of the address space."""
    SLVERR = 2
    """The subordinate failed."""
    DECERR = 3
    """There is no subordinate at that address."""


def error_layout(parameters: BusParameters) -> data.StructLayout:
    """The first error: its kind, and the address of the burst that failed or of the request that was refused."""
    return data.StructLayout({"kind": ErrorKind, "address": parameters.address_width})


class JobControl(wiring.Component):
    """Keep the first error, and a cancellation until nothing is left inside.

    Parameters
    ----------
    parameters : BusParameters

    Members
    -------
    refused : In; request : In
        A request was refused; its address. The manager then cancels everything until ``clear``, because whatever
        follows would be taken for the data of the wrong request.
    answered : In; response : In, Response; burst : In
        A response has come; for the burst at this address.
    cancel, clear : In
        Stop; forget the error. An error in the same cycle is kept.
    idle : In
        Nothing is inside.
    cancelling : Out
        From ``cancel`` on, until it has gone and nothing is inside.
    error : Out, error_layout
        ``kind`` is ``NONE`` as long as there was no error.
    """

    def __init__(self, parameters: BusParameters):
        address = parameters.address_width
        super().__init__({
            "refused": In(1), "request": In(address),
            "answered": In(1), "response": In(Response), "burst": In(address),
            "cancel": In(1), "clear": In(1), "idle": In(1),
            "cancelling": Out(1), "error": Out(error_layout(parameters)),
        })

    def elaborate(self, platform):
        m = Module()
        stopping, refusing, failed = Signal(), Signal(), Signal()
        m.d.comb += [
            failed.eq(self.answered & ((self.response == Response.SLVERR) | (self.response == Response.DECERR))),
            self.cancelling.eq(self.cancel | stopping | refusing),
        ]
        m.d.sync += [
            stopping.eq(self.cancelling & ~self.idle),
            refusing.eq(self.refused | (refusing & ~self.clear)),
        ]
        with m.If((self.error.kind == ErrorKind.NONE) | self.clear):
            m.d.sync += self.error.kind.eq(ErrorKind.NONE)
            with m.If(failed):
                m.d.sync += [self.error.kind.as_value().eq(self.response.as_value()), self.error.address.eq(self.burst)]
            with m.Elif(self.refused):
                m.d.sync += [self.error.kind.eq(ErrorKind.REQUEST), self.error.address.eq(self.request)]
        return m
