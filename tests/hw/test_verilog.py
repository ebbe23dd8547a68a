"""The repairs of Yosys's Verilog."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest
from phantom_hw import emit, verilog
from phantom_hw.config import PhantomConfig


def test_full_case_gets_a_default():
    text = ("    (* full_case = 32'd1 *)\n    casez (a)\n      1'h0:\n          x = 1'h1;\n      1'h1:\n"
            "        begin\n          casez (b)\n            2'h0:\n                y = 1'h0;\n          endcase\n"
            "        end\n    endcase\n")
    assert verilog._with_defaults(text) == (
        "    (* full_case = 32'd1 *)\n    casez (a)\n      1'h0:\n          x = 1'h1;\n      default:\n"
        "        begin\n          casez (b)\n            2'h0:\n                y = 1'h0;\n            default:\n"
        "                /* empty */;\n          endcase\n        end\n    endcase\n")


def test_a_constant_gets_an_event():
    text = "  always @*\n    x[3:2] = 2'h3;\n  always @*\n    x[1:0] = y;\n"
    assert verilog._with_events(text) == (
        "  wire [1:0] constant_net_0 = 2'h3;\n  always @*\n    x[3:2] = constant_net_0;\n"
        "  always @*\n    x[1:0] = y;\n")


def test_equal_words_of_a_memory_get_a_loop():
    words = "".join(f"    a[{i}] = 8'h07;\n" for i in range(30))
    others = "  initial begin\n    b[0] = 2'h1;\n    b[1] = 2'h2;\n  end\n"
    text = f"  initial begin\n{words}  end\n{others}  initial begin\n{words.replace('a[', 'c$1 [')}  end\n"
    assert verilog._with_loops(text) == (
        "  initial begin : initial_contents_0\n    integer i;\n    for (i = 0; i < 30; i = i + 1)\n"
        f"      a[i] = 8'h07;\n  end\n{others}"
        "  initial begin : initial_contents_1\n    integer i;\n    for (i = 0; i < 30; i = i + 1)\n"
        "      c$1 [i] = 8'h07;\n  end\n")


@pytest.mark.parametrize("block", ["tds", "entry_mapper", "tap_mapper"])
def test_rewriting_changes_no_function(block, monkeypatch, tmp_path):
    """SAT: the blocks made of full cases compute the same with and without the rewriting."""
    if find_spec("pyosys") is None:
        pytest.skip("pyosys is not installed (pip install '.[fpga]')")
    config = PhantomConfig.preset("icebreaker")
    (tmp_path / "gate.v").write_text(emit.core_verilog(config))
    monkeypatch.setattr(verilog, "_with_defaults", lambda text: text)
    (tmp_path / "gold.v").write_text(emit.core_verilog(config))
    assert (tmp_path / "gate.v").read_text() != (tmp_path / "gold.v").read_text()
    commands = [
        command
        for name in ("gold", "gate")
        for command in (f"read_verilog {name}.v", f"hierarchy -top \\phantom_pe.{block}", "proc -norom", "opt_clean",
                        f"rename -top {name}", f"design -stash {name}")
    ]
    commands += [f"design -copy-from {name} -as {name} {name}" for name in ("gold", "gate")]
    commands += ["miter -equiv -flatten -ignore_gold_x gold gate miter", "sat -verify -prove trigger 0 miter"]
    script = "import json, sys\nfrom pyosys import libyosys\ndesign = libyosys.Design()\n" \
             "for command in json.loads(sys.argv[1]):\n    libyosys.run_pass(command, design)\n"
    said = subprocess.run([sys.executable, "-c", script, json.dumps(commands)], cwd=tmp_path, check=True,
                          capture_output=True, text=True).stdout
    assert "SAT proof finished - no model found: SUCCESS!" in said


def test_registers_take_their_reset_at_the_clock_edge():
    text = verilog.tidy(
        "module m(clk, rst, d, q);\n"
        "  always @(posedge clk)\n    q <= \\$1 ;\n"
        "  always @(posedge clk)\n    kept <= \\$2 ;\n"
        "  always @* begin\n    \\$1  = d;\n    if (rst) begin\n      \\$1  = 4'h3;\n    end\n  end\n"
        "  always @* begin\n    \\$2  = d;\n  end\n"
        "endmodule\n")
    assert "  always @(posedge clk)\n    if (rst) q <= 4'h3;\n    else q <= \\$1 ;\n" in text
    assert "  always @(posedge clk)\n    kept <= \\$2 ;\n" in text
    assert text.count("rst") == 2
