"""What is read from nextpnr's files, and what is said when it cannot go on."""

import json

import pytest
from phantom_fpga import FpgaError, place
from phantom_fpga.devices import DEVICES, Device
from phantom_fpga.place import parse_report, parse_utilization
from phantom_fpga.process import ToolError

LOG = """
Info: Device utilisation:
Info: \t         ICESTORM_LC:    5988/   5280   113%
Info: \t        ICESTORM_RAM:      18/     30    60%
Info: \t               SB_GB:       3/      8    37%
ERROR: Unable to place cell 'x', no BELs remaining to implement cell type 'ICESTORM_LC'
"""


def step(kind, delay, cell, net=None, port="Z"):
    entry = {"type": kind, "delay": delay, "from": {"cell": cell, "port": port}, "to": {"cell": cell, "port": port}}
    return entry | ({"net": net} if net else {})


PATH = [
    step("clk-to-q", 0.5, "start", port="Q"), step("routing", 1.0, "middle", "first"), step("logic", 0.25, "middle"),
    step("routing", 2.0, "end", "second", port="DI"), step("setup", 0.125, "end", port="DI"),
]
REPORT = {
    "fmax": {"clk": {"achieved": 80.5, "constraint": 100}},
    "utilization": {"LUT": {"used": 3, "available": 10}},
    "critical_paths": [
        {"from": "<async>", "to": "posedge clk", "path": [*PATH, step("routing", 9.0, "end", "third")]},
        {"from": "posedge clk", "to": "posedge clk", "path": PATH},
    ],
}


def test_reads_rate_path_and_utilization():
    rate, path, used = parse_report(json.dumps(REPORT))
    assert rate == 80.5
    assert used == {"LUT": (3, 10)}
    assert (path.start, path.end) == ("start.Q", "end.DI")
    assert (path.logic_ns, path.routing_ns, path.delay_ns) == (0.875, 3.0, 3.875)
    assert path.levels == 1
    assert path.nets == ("first", "second")


def test_the_slowest_clock_counts():
    report = REPORT | {"fmax": {"fast": {"achieved": 200.0}, "clk": {"achieved": 80.5}}}
    assert parse_report(json.dumps(report))[0] == 80.5


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps(REPORT | {"fmax": 3})])
def test_rejects_what_is_not_a_report(text):
    with pytest.raises(FpgaError, match="not in the form that nextpnr writes"):
        parse_report(text)


def test_rejects_a_report_without_a_clock():
    with pytest.raises(FpgaError, match="the design has no clock"):
        parse_report(json.dumps(REPORT | {"fmax": {}}))


def test_reads_utilization_from_a_log():
    assert parse_utilization(LOG) == {"ICESTORM_LC": (5988, 5280), "ICESTORM_RAM": (18, 30), "SB_GB": (3, 8)}


def failing_tool(text):
    def run(argv, *, stage, log, **_):
        log.write_text(text, encoding="utf-8")
        raise ToolError(f"{stage}: {text.splitlines()[-1]}", log)
    return run


def test_says_what_a_design_exceeds(tmp_path, monkeypatch):
    monkeypatch.setattr(place, "run_tool", failing_tool(LOG))
    with pytest.raises(FpgaError) as caught:
        place.place(DEVICES["up5k"], tmp_path / "top.json", tmp_path, target_mhz=12, constraints="")
    assert str(caught.value) == "the design does not fit iCE40UP5K SG48: 5988 of 5280 ICESTORM_LC"


def test_other_failures_keep_their_own_words(tmp_path, monkeypatch):
    monkeypatch.setattr(place, "run_tool", failing_tool("ERROR: no such pin"))
    with pytest.raises(ToolError, match=r"^place and route: ERROR: no such pin$") as caught:
        place.place(DEVICES["up5k"], tmp_path / "top.json", tmp_path, target_mhz=12, constraints="")
    assert caught.value.log == tmp_path / "top.place.log"


def test_only_ecp5_goes_without_pins(tmp_path):
    with pytest.raises(FpgaError, match="only ECP5 can be placed without pin constraints"):
        place.place(DEVICES["gw2ar-18"], tmp_path / "top.json", tmp_path, target_mhz=12)


def test_the_netlist_lies_in_the_working_folder(tmp_path):
    with pytest.raises(FpgaError, match="the netlist must lie in the working folder"):
        place.place(DEVICES["ecp5-85f"], tmp_path / "elsewhere" / "top.json", tmp_path, target_mhz=12)


def test_rejects_an_unknown_device():
    with pytest.raises(FpgaError, match="unknown FPGA device 'xc7'; devices: ecp5-85f, up5k, gw2ar-18"):
        Device.named("xc7")
