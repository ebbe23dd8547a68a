"""The distributor of load commands: each loader gets each of its commands once, in order, with its own mesh rows."""

import pytest
from amaranth.hdl import Value
from phantom_hw.config import PhantomConfig
from phantom_hw.moving.distributor import LoadDistributor
from port_bench import PortBench, assert_same

NAMES = ("load_moving", "fill_moving")


def part(layout, command, operands, rows):
    payload = layout.const({"command": command, "operands": {NAMES[command]: {**operands, "rows": rows}}})
    return Value.cast(payload).value


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize(("mesh_rows", "loaders"), [(1, 1), (4, 1), (4, 4), (5, 2), (8, 3)])
def test_each_loader_gets_its_part(mesh_rows, loaders, stall):
    config = PhantomConfig(mesh_rows=mesh_rows, moving_loaders=loaders)
    dut = LoadDistributor(config)
    bench = PortBench(dut, 10 * mesh_rows + loaders, stall)
    layout, rng = dut.source.payload.shape(), bench.rng
    plan, expected = [], [[] for _ in range(loaders)]
    for number in range(60):
        command, rows = int(rng.integers(2)), int(rng.integers(1 << mesh_rows))
        operands = {"offset": number}
        plan.append(part(layout, command, operands, rows))
        for loader in range(loaders):
            own = rows & sum(1 << r for r in range(mesh_rows) if config.loader_of(r) == loader)
            if own or (rows == 0 and loader == 0):
                expected[loader].append(part(layout, command, operands, own))
    bench.source(dut.source, plan)
    got = [bench.sink(port) for port in dut.sinks]
    bench.run(lambda ctx: all(len(one) >= len(other) for one, other in zip(got, expected, strict=True)), 2000)
    for loader, (one, other) in enumerate(zip(got, expected, strict=True)):
        assert_same(f"loader {loader}", [payload for payload, _ in one], other)


def test_mesh_rows_are_shared_out_among_neighbours():
    config = PhantomConfig(mesh_rows=7, moving_loaders=3)
    assert [config.loader_of(r) for r in range(7)] == [0, 0, 0, 1, 1, 2, 2]
