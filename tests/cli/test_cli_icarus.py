"""A generated core under Icarus Verilog, which is event-driven and knows X: the sums of the golden model."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from phantom_compiler import Conv2d, lower
from phantom_hw import generate
from phantom_hw.config import PhantomConfig
from phantom_hw.core.layouts import result_layout
from phantom_sim.results import decode_results

TESTBENCH = Path(__file__).with_name("icarus_testbench.v")


def write_hex(path: Path, words: np.ndarray) -> None:
    """One payload a line, most significant word first, as $readmemh takes it."""
    path.write_text("".join("".join(f"{word:08x}" for word in beat[::-1]) + "\n" for beat in words.tolist()))


def read_hex(path: Path, words: int) -> np.ndarray:
    lines = [line.strip().zfill(8 * words) for line in path.read_text().splitlines()]
    return np.array([[int(line[8 * i:8 * i + 8], 16) for i in range(words)][::-1] for line in lines], np.uint32)


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is missing (apt-get install iverilog)")
@pytest.mark.parametrize("settings", [{}, {"tds": "in_order", "skip_empty": True}])
def test_sums(settings, tmp_path):
    config = PhantomConfig(**{**PhantomConfig.preset("icebreaker").to_dict(), **settings})
    rng = np.random.default_rng(11)
    weights = rng.integers(-128, 128, (3, 2, 3, 3)) * (rng.random((3, 2, 3, 3)) < 0.6)
    activations = rng.integers(0, 256, (1, 2, 6, 7)) * (rng.random((1, 2, 6, 7)) < 0.6)
    layer = Conv2d(weights, padding=(1, 1, 1, 1))
    program = lower(layer, activations, config)
    generate.generate(config, tmp_path, "core")
    write_hex(tmp_path / "layer.hex", program.layer_words())
    write_hex(tmp_path / "moving.hex", program.moving_words())
    write_hex(tmp_path / "stationary.hex", program.stationary_words())
    parameters = {"MOVING": len(program.moving["last"]), "STATIONARY": len(program.stationary["pe_row"]),
                  "TILES": program.tiles}
    subprocess.run(
        ["iverilog", "-g2005", "-s", "testbench", "-o", "core.vvp", "-I", ".",
         *(f"-Ptestbench.{name}={value}" for name, value in parameters.items()), str(TESTBENCH), "phantom_core.v"],
        cwd=tmp_path, check=True)
    subprocess.run(["vvp", "-n", "core.vvp"], cwd=tmp_path, check=True, timeout=120)
    words = read_hex(tmp_path / "results.hex", -(-result_layout(config).size // 32))
    sums = program.assemble(decode_results(config, words, program.outputs, program.span))
    np.testing.assert_array_equal(sums, layer.golden(activations))
