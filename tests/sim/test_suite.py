"""The standing suite: values equal to golden and cycles equal to the model, for every kind, mode, window and stalls."""

import pytest
from phantom_compiler.random_layers import KINDS
from phantom_sim.coverage import state_and_ports, toggle_points
from phantom_sim.suite import CONFIGS, LOOKAHEADS, run_layers


def check(simulator, seeds):
    runs = [run for seed in seeds for run in run_layers(simulator, seed)]
    assert len(runs) == 2 * len(KINDS) * len(seeds)
    wrong = [(run.kind, run.stalls, run.differences) for run in runs if run.differences]
    assert not wrong, f"{simulator.config}: {wrong}"


@pytest.mark.parametrize("name", CONFIGS)
def test_layers(simulator_of, name):
    check(simulator_of(CONFIGS[name]), [1])


@pytest.mark.verify
@pytest.mark.parametrize("name", CONFIGS)
def test_many_layers(simulator_of, name):
    check(simulator_of(CONFIGS[name]), range(2, 10))


def test_suite_spans_windows_and_modes():
    assert {(c.lookahead, c.tds) for c in CONFIGS.values()} == {
        (lookahead, tds) for lookahead in LOOKAHEADS for tds in ("in_order", "out_of_order")}
    assert {c.threads for c in CONFIGS.values()} >= {2, 3, 4}
    assert {c.act_width for c in CONFIGS.values()} == {4, 8, 16}


def test_coverage_counts_state_and_ports(tmp_path):
    verilog = ("module top(clk, rst, a, \\q[0] );\n  input clk;\n  input rst;\n"
               "  input [3:0] a;\n  reg [3:0] s = 4'h0;\n"
               "  wire [3:0] \\$1 ;\n  always @(posedge clk)\n    if (rst) s <= 4'h0;\n    else s <= a;\nendmodule\n")
    assert state_and_ports(verilog) == {"top": {"a", "s"}}
    data = tmp_path / "c.dat"
    data.write_text("C '\x01f\x02x.v\x01l\x025\x01page\x02v_toggle/top\x01o\x02a[2]:0->1\x01h\x02TOP' 3\n"
                    "C '\x01f\x02x.v\x01l\x025\x01page\x02v_toggle/top\x01o\x02s:1->0\x01h\x02TOP' 0\n")
    assert list(toggle_points(data)) == [("top", "a", True), ("top", "s", False)]
