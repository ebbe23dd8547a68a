"""Proofs of the command decoder: whatever memory, units and host do, it hands out what is legal, and it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.decoder import CommandDecoder
from phantom_hw.soc.fields import flag, mask, number
from phantom_hw.soc.isa import Command, Unit
from phantom_hw.soc.status import State, Status

from .proof import AnyConst, Proof, implies

__all__ = ["Deciding", "Decoder"]

UNITS = (Unit("one", ""), Unit("two", ""))
COMMANDS = (
    Command("END", "", ""),
    Command("FENCE", "", "", (mask("units", 2, "", names=["one", "two"]),)),
    Command("ONE", "", "one", (number("tag", 4, ""), flag("last", ""))),
    Command("TWO", "", "two", (number("value", 4, "", low=1, high=9),)),
)
WORDS, BYTES = 2, 8
LIMIT = 2
"""Of the watchdog, where it is on."""
MOST = 2
"""Commands of a job."""
FAIR_STEP, ABORT_END, STUCK_END = 11, 5, 12
"""Cycles within which a command is done or the job ends, when all others do their part; within which it ends when it is
aborted, too; within which it ends when nobody does anything, with the watchdog on."""


class Decoder(CommandDecoder):
    """A decoder of four small commands, each one word of the bus."""

    def __init__(self, config):
        config = replace(config, bus_width=8 * BYTES, address_width=32)
        super().__init__(CommandSet(config, commands=COMMANDS, units=UNITS, words=WORDS), 2)


class Deciding(Proof):
    """A decoder between a memory, two units and a host that do what they like, with any data as commands.

    The memory gives as many words as were asked for, when it likes; a unit is busy from the cycle after it has taken a
    command until it likes. Jobs have up to two commands and may follow each other. The watchdog is on or off.

    Bounded from reset. Both commands of a job and its end lie within the window; so does a second job after one that
    ends early: what a job leaves behind is seen by the next one. Commands are taken one at a time, so that a third one
    would find the decoder as the second one did.

    Assumptions
    -----------
    few_commands
        A job has at most two commands.

    Properties
    ----------
    offers_stay
        A request or a command that is offered and not taken is offered again, unchanged.
    reads_the_stream
        Requests are for one command after another from the job's address on.
    reads_no_more
        There are no more requests than commands in the stream.
    never_waits
        The memory is never kept waiting.
    hands_out_the_command
        What is offered to a unit is the command whose turn it is, with its operands, and meant for this unit.
    only_legal_commands
        No command is handed out or carried out unless all of its bits are as they must be.
    fence_waits
        A FENCE is done only when its units are idle.
    done_when_idle
        With the watchdog off, a job ends only when no unit is busy, nothing is offered and no word is on its way.
    ok_after_end
        Status OK is reported only after an END, with all units idle.
    nothing_after_an_error
        After an error or an abort, and while units are told to halt, nothing is offered that was not offered before.
    first_error_counts
        A job is said to have ended with the first error that was reported, and its address, or else with the abort.
    goes_on
        While memory and units do what they are asked to, a command is done every few cycles, or the job ends; as a job
        has a number of commands, it ends.
    abort_ends
        An aborted job ends at once when memory and units do what they are asked to.
    watchdog_ends
        With the watchdog on, a job ends even when nobody does anything any more.
    """

    METHOD: ClassVar[str] = "bounded"
    DEPTH: ClassVar[int] = 17
    COVER_DEPTH: ClassVar[int] = 16
    BLOCKS: ClassVar[dict[str, type]] = {"decoder": Decoder}

    @classmethod
    def inputs(cls, config):
        return {"start": In(1), "abort_job": In(1), "error": In(4), "request_ready": In(1), "deliver": In(1),
                "word": In(64), "ready": In(2), "finish": In(2)}

    def elaborate(self, platform):
        m = Module()
        self.dut = dut = self.build(m, "decoder")
        base, count, self.watched, self.guarded = Signal(8), Signal(2), Signal(2), Signal()
        asked, got, owed, self.busy = Signal(), Signal(), Signal(3), Signal(2)
        taken = Cat(dut.one.valid & dut.one.ready, dut.two.valid & dut.two.ready)
        m.d.comb += [
            base.eq(AnyConst(8)), count.eq(AnyConst(2)), self.watched.eq(AnyConst(2)), self.guarded.eq(AnyConst(1)),
            asked.eq(dut.request.valid & dut.request.ready), got.eq(dut.data.valid),
            dut.start.eq(self.start), dut.abort_job.eq(self.abort_job), dut.error.eq(self.error),
            dut.error_address.eq(self.word), dut.address.eq(base), dut.count.eq(count),
            dut.watchdog.eq(Mux(self.guarded, LIMIT, 0)), dut.request.ready.eq(self.request_ready),
            dut.data.payload.eq(self.word), dut.data.valid.eq(self.deliver & (owed != 0)), dut.busy.eq(self.busy),
            dut.one.ready.eq(self.ready[0]), dut.two.ready.eq(self.ready[1]),
        ]
        m.d.sync += [owed.eq(owed + asked - got), self.busy.eq(taken | (self.busy & ~self.finish))]
        self.assume(m, few_commands=count <= MOST)

        self.idle, self.begins = dut.status.state == State.IDLE, Signal()
        m.d.comb += self.begins.eq(self.idle & self.start)
        new = self._offers(m)
        self._requests(m, asked, base, count)
        index = self._commands(m, got, new)
        self._endings(m, owed)
        self._errors(m, new)
        self._liveness(m)
        done, result = dut.done, dut.result
        self.must(m, never_waits=dut.data.ready)
        self.reach(
            m, ok=done & (result == Status.OK) & (index == 2),
            malformed=done & (result == Status.OUT_OF_RANGE) & (index == 1),
            no_end=done & (result == Status.END_MISSING), unit_error=done & (result == Status.MALFORMED_DATA),
            stuck=done & (result == Status.WATCHDOG) & self.busy.any(), kept_offer=dut.halt & dut.one.valid,
        )
        return m

    def _offers(self, m: Module) -> dict[str, Value]:
        """Which offers are new: not one that waits."""
        new, stays = {}, []
        for name, port in (("one", self.dut.one), ("two", self.dut.two), ("request", self.dut.request)):
            payload = Value.cast(port.payload)
            stalled, before = Signal(name=f"{name}_stalled"), Signal(len(payload), name=f"{name}_before")
            m.d.sync += [stalled.eq(port.valid & ~port.ready), before.eq(payload)]
            stays.append(implies(stalled, port.valid & (payload == before)))
            new[name] = port.valid & ~stalled
        self.must(m, offers_stay=stays)
        return new

    def _requests(self, m: Module, asked: Value, base: Value, count: Value) -> None:
        requests, request = Signal(3), self.dut.request
        m.d.sync += requests.eq(Mux(self.begins, 0, requests + asked))
        looked_at = request.valid & ~self.guarded  # what a stuck job leaves behind comes in the next one
        self.must(
            m, reads_no_more=implies(looked_at, requests < count),
            reads_the_stream=implies(looked_at, (request.payload.address == base + BYTES * requests)
                                     & (request.payload.bytes == BYTES)),
        )

    def _commands(self, m: Module, got: Value, new: dict[str, Value]) -> Value:
        """Follow the command with the arbitrary number ``watched``; the number of the command whose turn it is."""
        dut, command, came, index = self.dut, Signal(64), Signal(3), Signal(3)
        m.d.sync += [came.eq(Mux(self.begins, 0, came + got)), index.eq(Mux(self.begins, 0, index + dut.retired))]
        with m.If(got & (came == self.watched)):
            m.d.sync += command.eq(self.word)
        turn = (index == self.watched) & ~self.guarded
        fields = command[32:]
        opcode = command[:8]
        legal = (command[8:32] == 1) & Mux(
            opcode == 1, fields == 0, Mux(
                opcode == 2, (fields != 0) & (fields[2:] == 0), Mux(
                    opcode == 3, fields[5:] == 0, (opcode == 4) & (fields != 0) & (fields <= 9))))
        there = came > self.watched
        one, two = dut.one.payload, dut.two.payload
        ended = (index == self.watched + 1) & (opcode == 1)
        self.must(
            m, only_legal_commands=implies(turn & (dut.retired | new["one"] | new["two"]), there & legal),
            hands_out_the_command=[
                implies(turn & new["one"], (opcode == 3) & (Cat(one.tag, one.last) == fields[:5])),
                implies(turn & new["two"], (opcode == 4) & (two.value == fields[:4])),
                implies(turn & dut.retired, (opcode < 3) | dut.one.valid | dut.two.valid),
            ],
            fence_waits=implies(turn & dut.retired & (opcode == 2), ~(self.busy & fields[:2]).any()),
            ok_after_end=implies(dut.done & (dut.result == Status.OK), ~self.busy.any()
                                 & implies((index == self.watched + 1) & ~self.guarded, ended)),
        )
        return index

    def _endings(self, m: Module, owed: Value) -> None:
        dut = self.dut
        quiet = ~self.busy.any() & ~dut.one.valid & ~dut.two.valid & ~dut.request.valid & (owed == 0)
        self.must(m, done_when_idle=implies(dut.done & ~self.guarded, quiet))

    def _errors(self, m: Module, new: dict[str, Value]) -> None:
        dut, seen, reported = self.dut, Signal(), Signal()
        code, address, halted = Signal(4), Signal(64), Signal()
        runs = dut.status.state == State.RUNNING
        happens = runs & ~seen & (self.abort_job | (self.error != 0))
        m.d.sync += halted.eq(dut.halt)
        with m.If(self.begins):
            m.d.sync += seen.eq(0)
        with m.If(happens):
            m.d.sync += [seen.eq(1), reported.eq(self.error != 0), address.eq(self.word),
                         code.eq(Mux(self.error != 0, self.error, Status.ABORTED))]
        self.must(
            m, nothing_after_an_error=[implies(seen | dut.halt, ~new["one"] & ~new["two"]),
                                       implies(dut.halt & halted, ~new["request"])],
            first_error_counts=implies(dut.done & seen, (dut.result == code)
                                       & (~reported | (dut.failed_address == address))),
        )

    def _liveness(self, m: Module) -> None:
        """Count the cycles in a row in which all do their part, or none does."""
        def lasts(condition: Value, since: Value, name: str) -> Signal:
            cycles = Signal(5, name=name)
            m.d.sync += cycles.eq(Mux(condition & (since | (cycles != 0)), cycles + (cycles != 31), 0))
            return cycles

        fair = self.request_ready & self.deliver & self.ready.all() & self.finish.all() & ~self.start
        nobody = ~(self.request_ready | self.deliver | self.ready.any() | self.finish.any() | self.start
                   | self.abort_job | self.error.any())
        self.must(
            m, goes_on=implies(lasts(fair & ~self.dut.retired, Const(1), "fair_cycles") >= FAIR_STEP, self.idle),
            abort_ends=implies(lasts(fair, self.abort_job, "cycles_since_abort") >= ABORT_END, self.idle),
            watchdog_ends=implies((lasts(nobody, Const(1), "stuck_cycles") >= STUCK_END) & self.guarded, self.idle),
        )
