"""Area of the whole accelerator: the units from the statistics, whether they fit, a small one from real tools."""

import io
import json

import pytest
from phantom_fpga import FpgaError
from phantom_fpga.usage import count
from phantom_fpga.whole import WholeArea, kept_units, render_whole, unit_rows, whole_area
from rich.console import Console
from small_core import SMALL

TOP = "phantom_accelerator"
STATISTICS = json.dumps({"modules": {name: {"num_cells_by_type": cells} for name, cells in {
    "\\phantom_pe": {"LUT4": 10, "CCU2C": 3, "DP16KD": 1},
    "\\phantom_tile": {"LUT4": 5, "\\phantom_pe": 4},
    "\\phantom_accelerator.inner.results": {"TRELLIS_FF": 7, "\\phantom_accelerator.inner.results.lane_0_0": 1,
                                            "\\phantom_accelerator.inner.results.lane_1_0": 1},
    "\\phantom_accelerator.inner.results.lane_0_0": {"LUT4": 20, "MULT18X18D": 4},
    "\\phantom_accelerator.inner.results.lane_1_0": {"LUT4": 21, "MULT18X18D": 4},
    "\\phantom_accelerator": {"LUT4": 2, "TRELLIS_DPR16X4": 1, "\\phantom_tile": 2,
                              "\\phantom_accelerator.inner.results": 1},
    "\\unused": {"LUT4": 1000},
}.items()}})


def shown(area: WholeArea) -> str:
    out = io.StringIO()
    Console(file=out, width=160).print(render_whole(area))
    return out.getvalue()


def test_units_are_counted_with_what_is_in_them():
    rows = {row.name: row for row in unit_rows(STATISTICS, TOP)}
    assert list(rows) == ["tile", "pe", "results, lane", "results", "what joins them"]
    assert [(row.instances, row.usage.lut) for row in rows.values()] == [(2, 69), (8, 16), (2, 21), (1, 41), (1, 8)]
    assert rows["tile"].usage.ram == 4 and rows["results"].usage.multiplier == 8 and rows["results"].usage.ff == 7


@pytest.mark.parametrize("text", ["", "{}", '{"modules": {"other": {"num_cells_by_type": {}}}}'])
def test_other_statistics(text):
    with pytest.raises(FpgaError, match="not in the form"):
        unit_rows(text, TOP)


def test_units_by_name():
    names = ["phantom_accelerator", "phantom_accelerator.inner", "phantom_accelerator.inner.loader",
             "phantom_accelerator.inner.loader.queue", "phantom_accelerator.inner.results.lane_0_0",
             "phantom_accelerator.inner.count$12", "phantom_pe", "phantom_pe.window"]
    text = "".join(f"module \\{name}\nend\n" for name in names)
    assert kept_units(text) == ["phantom_accelerator.inner.loader", "phantom_accelerator.inner.results.lane_0_0",
                                "phantom_pe"]


def test_the_table_says_what_does_not_fit():
    rows = tuple(unit_rows(STATISTICS, TOP))
    fits = WholeArea("small", rows, count({"LUT4": 83_640}, "ecp5"), None)
    assert fits.exceeded == [] and "fits the device" in shown(fits) and "100%" in shown(fits)
    assert (fits.row.block, fits.row.config, fits.row.usage.lut, fits.row.fmax_mhz) == (
        "accelerator", "small", 83_640, None)
    large = WholeArea("large", rows, count({"LUT4": 83_641, "DP16KD": 300}, "ecp5"), None)
    assert large.exceeded == ["83,641 of 83,640 LUT4", "300 of 208 DP16KD"]
    assert "does not fit: 83,641 of 83,640 LUT4, 300 of 208 DP16KD" in shown(large)


@pytest.mark.verify
def test_a_small_accelerator(tmp_path):
    stages: list[str] = []
    area = whole_area(SMALL, work_dir=tmp_path, progress=lambda stage, text: stages.append(stage))
    rows = {row.name: row for row in area.units}
    assert {"mesh", "tile", "pe", "row streamer", "moving loader", "row reducer", "sequencer", "stationary", "results",
            "results, lane", "reader", "writer", "arbiter", "control", "what joins them"} <= set(rows)
    assert rows["pe"].instances == SMALL.cores * SMALL.pes and rows["pe"].usage.multiplier == SMALL.threads
    # joining the units drops a little of what is at their borders, and adds nothing
    apart = sum(row.instances * row.usage.lut for name, row in rows.items()
                if name not in ("tile", "mesh core", "pe", "results, lane"))
    assert 0.9 * apart < area.usage.lut <= apart
    assert {"elaboration", "synthesis"} <= set(stages)
