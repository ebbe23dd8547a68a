# amaranth: UnusedElaboratable=no
"""The window of addresses that may be written, against plain comparisons."""

import numpy as np
import pytest
from amaranth.hdl import Value
from phantom_hw.emit import component_verilog
from phantom_hw.memory.parameters import BusParameters
from phantom_hw.memory.window import WriteWindow
from port_bench import PortBench, assert_same

ENDLESS = (1 << 64) - 1


def simulate(width, window, requests, seed, stall):
    """What passes, and the address that was refused or None."""
    dut = WriteWindow(BusParameters(address_width=width))
    bench = PortBench(dut, seed, stall)
    layout = dut.source.payload.shape()
    taken = bench.source(dut.source, [
        Value.cast(layout.const({"address": address, "length": length})).value for address, length in requests])
    got, refused = bench.sink(dut.sink), []

    def look(ctx):
        ctx.set(dut.first, window[0])
        ctx.set(dut.last, window[1])
        assert ctx.get(dut.busy) >= (len(got) < len(taken)), "busy"
        refused[:] = [ctx.get(dut.address)] if ctx.get(dut.refused) else refused[:0]

    bench.each_cycle(look)
    good = passing(window, requests)
    bench.run(lambda ctx: len(got) >= len(good) and bool(refused) == (len(good) < len(requests)),
              20 * len(requests) + 400, fed=False)
    fields = [layout.from_bits(payload) for payload, _ in got]
    return [(one.address, one.length) for one in fields], refused[0] if refused else None


def passing(window, requests):
    """The requests before the first that is not inside."""
    for number, (address, length) in enumerate(requests):
        if not window[0] <= address <= address + length - 1 <= window[1]:
            return requests[:number]
    return requests


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("width", [32, 40, 64])
@pytest.mark.parametrize("seed", range(4))
def test_equals_comparisons(seed, width, stall):
    rng = np.random.default_rng([seed, width])
    first = int(rng.integers(1 << width - 1, dtype=np.uint64))
    window = first, first + int(rng.integers(100, 5000))
    inside = [(address := int(rng.integers(window[0], window[1] - 40)), int(rng.integers(1, window[1] - address + 2)))
              for _ in range(int(rng.integers(1, 40)))]
    outside = [(window[0] - 1, 8), (window[1] - 6, 8), (0, 1), ((1 << width) - 1, 1), (window[1] + 1, 1),
               ((1 << width) - 8, 64), (window[0], window[1] - window[0] + 2)][int(rng.integers(7))]
    requests = [*inside, outside, *inside]
    got, refused = simulate(width, window, requests, seed, stall)
    assert_same("requests", got, inside)
    assert refused == outside[0]


@pytest.mark.parametrize(("width", "window", "requests"), [
    (32, (0, ENDLESS), [(0, 1), ((1 << 32) - 1, 1), ((1 << 32) - 8, 8), (0, 1 << 24)]),
    (32, (1 << 32, ENDLESS), [(0, 1)]),
    (32, (0, (1 << 32) - 1), [((1 << 32) - 8, 8), ((1 << 32) - 8, 9)]),
    (64, (0, ENDLESS), [(ENDLESS - 7, 8), (ENDLESS - 7, 9)]),
    (64, (8, 7), [(8, 1)]), (64, (100, 100), [(100, 1), (100, 2)]),
])
def test_edges(width, window, requests):
    got, refused = simulate(width, window, requests, 1, 0.3)
    assert_same("requests", got, passing(window, requests))
    assert refused == (None if len(got) == len(requests) else requests[len(got)][0])


def test_a_request_a_cycle():
    dut = WriteWindow(BusParameters())
    bench = PortBench(dut, 1)
    taken, got = bench.source(dut.source, list(range(1 << 32, 41 << 32, 1 << 32))), bench.sink(dut.sink)
    bench.each_cycle(lambda ctx: ctx.set(dut.last, ENDLESS))
    bench.run(lambda ctx: len(got) >= 40, 200)
    assert [cycle - taken[0] for _, cycle in got] == [WriteWindow.LATENCY + i for i in range(40)]


def test_verilog_passes_lint(lint):
    lint(component_verilog(WriteWindow(BusParameters()), "write_window"), "write_window")
