"""A build that fails says why in one line and leaves no trace; a fake of each tool fails in its turn."""

import sys
from types import SimpleNamespace

import pytest
from phantom_fpga import Board, FpgaError, Operands, area, build, simulate
from phantom_fpga.place import CriticalPath, Placement
from phantom_fpga.synthesis import Synthesis, require, synthesize
from phantom_fpga.usage import count
from small_core import SMALL, small_test

module = sys.modules["phantom_fpga.build"]


@pytest.fixture
def tools(monkeypatch):
    """Fakes of synthesis, placement and packing that write small files; ``fail`` and ``rate`` change them."""
    state = SimpleNamespace(fail="", rates=[100.0], seeds=[])

    def step(name):
        if state.fail == name:
            raise FpgaError(f"{name} failed")

    def synthesis(rtlil, family, top, folder, **_):
        step("synthesis")
        for suffix in ("json", "netlist.v", "log"):
            (folder / f"{top}.{suffix}").write_text(rtlil[:10])
        return Synthesis(family, top, folder / f"{top}.json", folder / f"{top}.netlist.v", count({}, family),
                         folder / f"{top}.log")

    def placement(device, netlist, folder, *, seed, **_):
        step("place")
        state.seeds.append(seed)
        (folder / "top.asc").write_text("placed")
        path = CriticalPath("a.Q", "b.D", 1.0, 2.0, 3, ("n",))
        rate = state.rates[len(state.seeds) - 1]
        return Placement(rate, {"LC": (1, 2)}, path, folder / "top.asc", folder / "log", seed)

    def packing(family, placed, **_):
        step("pack")
        placed.with_suffix(".bin").write_bytes(b"bits")
        return placed.with_suffix(".bin")

    monkeypatch.setattr(module, "synthesize", synthesis)
    monkeypatch.setattr(module, "place", placement)
    monkeypatch.setattr(module, "pack", packing)
    return state


def run(tmp_path, **options):
    return build("icebreaker", SMALL, *small_test(), tmp_path, **options)


def test_files_are_where_the_result_says(tools, tmp_path):
    result = run(tmp_path)
    files = [result.bitstream, result.report, result.placement.output]
    files += [result.synthesis.netlist, result.synthesis.verilog]
    assert all(path.is_file() and path.parent == tmp_path / "icebreaker-small" for path in files)


@pytest.mark.parametrize("stage", ["synthesis", "place", "pack"])
def test_a_failure_leaves_no_trace(tools, tmp_path, stage):
    before = run(tmp_path).bitstream
    before.write_bytes(b"the build before")
    tools.fail = stage
    tools.seeds.clear()
    with pytest.raises(FpgaError, match=f"^{stage} failed$"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["icebreaker-small"]
    assert before.read_bytes() == b"the build before"


def test_seeds_are_tried_until_one_meets_the_clock(tools, tmp_path):
    tools.rates = [11.0, 12.5, 80.0]
    assert run(tmp_path, seeds=(7, 8, 9)).placement.seed == 8
    assert tools.seeds == [7, 8]


def test_a_core_that_is_too_slow(tools, tmp_path):
    tools.rates = [9.0, 11.25]
    with pytest.raises(FpgaError, match=r"reaches 11\.2 MHz on 1BitSquared iCEBreaker, its clock is 12 MHz"):
        run(tmp_path, seeds=(1, 2))


def test_rejects_what_it_cannot_build(tools, tmp_path):
    operands, golden = small_test()
    with pytest.raises(FpgaError, match="unknown board 'ulx4m'; boards: ulx3s, tangnano20k, icebreaker"):
        build("ulx4m", SMALL, operands, golden, tmp_path)
    with pytest.raises(FpgaError, match="at least one seed"):
        build("icebreaker", SMALL, operands, golden, tmp_path, seeds=())
    with pytest.raises(FpgaError, match="the self-test has no stationary beats"):
        build("icebreaker", SMALL, Operands(operands.layer, operands.moving, ()), golden, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(tools, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FpgaError, match=r"cannot write to '.*file/builds': Not a directory"):
        run(tmp_path / "file" / "builds")


def test_simulation_needs_the_verilog_netlist(tmp_path):
    synthesis = Synthesis("ice40", "top", tmp_path / "top.json", None, count({}, "ice40"), tmp_path / "log")
    with pytest.raises(FpgaError, match="wrote no Verilog netlist"):
        simulate(Board.named("icebreaker"), synthesis, tmp_path)


def test_area_rejects_what_it_does_not_know():
    with pytest.raises(FpgaError, match="unknown block 'mesh'; blocks: pe, core"):
        area(SMALL, ("mesh",))
    with pytest.raises(FpgaError, match="at least one seed"):
        area(SMALL, ("pe",), seeds=())


def test_synthesis_errors_are_one_line(tmp_path):
    with pytest.raises(FpgaError, match="unknown FPGA family 'xc7'"):
        synthesize("", "xc7", "top", tmp_path)
    with pytest.raises(FpgaError, match=r"^synthesis: ERROR: .*[Uu]nexpected[^\n]*$"):
        synthesize("module \\top\n nonsense", "ecp5", "top", tmp_path)


def test_a_missing_package_is_named():
    with pytest.raises(FpgaError, match=r"package no_such_tool is missing: pip install 'phantom-accelerator\[fpga\]'"):
        require("no_such_tool")
