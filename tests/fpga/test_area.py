"""Area and clock rate of a small block, from real tools, and the table that shows them."""

import importlib
import io
import json

import pytest
from phantom_fpga import FpgaError, area, render
from phantom_fpga.boundary import register_ports
from phantom_fpga.process import OutOfTime
from rich.console import Console
from small_core import SMALL


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return area(SMALL, ("pe",), work_dir=tmp_path_factory.mktemp("area"))


def test_a_pe_is_measured(rows):
    (row,) = rows
    use = row.usage
    assert (row.block, row.config, row.seed) == ("pe", "small", 1)
    assert use.lut == use.logic_lut + use.carry_lut + use.ram_lut
    assert use.multiplier == use.ram == SMALL.threads
    assert use.lutram > 0, "row values belong into LUT-RAM"
    # packing adds cells where carry chains begin and end, and leaves the write ports of LUT-RAMs out
    assert use.lut - 2 * use.lutram <= row.comb < 1.2 * use.lut
    assert 20 < row.fmax_mhz < 300
    assert row.path.delay_ns == pytest.approx(1000 / row.fmax_mhz, rel=0.01)


def test_the_table_shows_the_figures(rows):
    out = io.StringIO()
    Console(file=out, width=160).print(render(rows))
    text = out.getvalue()
    assert "small pe" in text
    for figure in (rows[0].usage.lut, rows[0].comb, rows[0].usage.ff):
        assert f"{figure:,}" in text
    assert f"{rows[0].fmax_mhz:.1f}" in text


def test_without_placement_there_is_no_rate(tmp_path):
    (row,) = area(SMALL, ("pe",), place=False, work_dir=tmp_path)
    assert row.comb is row.fmax_mhz is row.path is row.seed is None
    out = io.StringIO()
    Console(file=out, width=160).print(render([row]))
    assert out.getvalue().count(" - ") == 3


def test_takes_the_other_router_when_the_better_one_does_not_end(tmp_path, monkeypatch):
    module, tried = importlib.import_module("phantom_fpga.area"), []

    def place(*_, router, timeout, **options):
        tried.append((router, timeout > 1800))
        if router == "router1":
            raise OutOfTime("place and route: stopped", tmp_path / "log")
        return "placed"

    monkeypatch.setattr(module, "place", place)
    assert module._place(tmp_path / "x.json", tmp_path, 1, None) == "placed"
    assert tried == [("router1", False), ("router2", True)]


def netlist(ports):
    nets = {name: {"hide_name": 0, "bits": port["bits"], "attributes": {}} for name, port in ports.items()}
    return {"modules": {"block": {"ports": ports, "cells": {}, "netnames": nets}}}


def test_registers_each_port_bit_once(tmp_path):
    ports = {
        "clk": {"direction": "input", "bits": [2]},
        "d": {"direction": "input", "bits": [3, 4]},
        "q": {"direction": "output", "bits": [4, "0"]},
    }
    (tmp_path / "in.json").write_text(json.dumps(netlist(ports)))
    assert register_ports(tmp_path / "in.json", "block", tmp_path / "out.json") == 3
    block = json.loads((tmp_path / "out.json").read_text())["modules"]["block"]
    assert block["ports"]["clk"]["bits"] == [2]
    (d0, d1), (q0, q1) = block["ports"]["d"]["bits"], block["ports"]["q"]["bits"]
    assert q1 == "0"
    assert len({2, 3, 4, d0, d1, q0}) == 6
    edges = {(cell["connections"]["DI"][0], cell["connections"]["Q"][0]) for cell in block["cells"].values()}
    assert edges == {(d0, 3), (d1, 4), (4, q0)}


def test_a_block_without_a_clock(tmp_path):
    (tmp_path / "in.json").write_text(json.dumps(netlist({"d": {"direction": "input", "bits": [3]}})))
    with pytest.raises(FpgaError, match="module block has no clock port 'clk'"):
        register_ports(tmp_path / "in.json", "block", tmp_path / "out.json")
