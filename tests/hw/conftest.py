"""Lint of generated Verilog; and the helpers that lie here can be imported by the tests of every folder below."""

import subprocess

import pytest
from phantom_hw import generate
from phantom_sim.verilator import find_verilator


@pytest.fixture
def lint(tmp_path):
    """A function that lints a module with the waivers of the generated core, and no others."""
    def run(verilog: str, top: str) -> None:
        rules = "\n".join(f'lint_off -rule {rule}' + (' -file "*"' + ("" if match == "*" else f' -match "{match}"'))
                          for rule, match, _ in generate.WAIVERS)
        (tmp_path / f"{top}.v").write_text(verilog)
        (tmp_path / "waivers.vlt").write_text(f"`verilator_config\n{rules}\n")
        verilator = find_verilator()
        said = subprocess.run(
            [str(verilator.program), "--lint-only", "-Wall", "--top-module", top, "waivers.vlt", f"{top}.v"],
            cwd=tmp_path, capture_output=True, text=True, check=False, env=verilator.environment())
        assert said.returncode == 0 and "%Warning" not in said.stderr, said.stderr
    return run
