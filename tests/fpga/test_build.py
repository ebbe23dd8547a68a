"""Real bitstreams of a small core for each board, and its netlist, cell for cell, against the golden checksum."""

import pytest
from phantom_fpga import BOARDS, Board, build, simulate
from small_core import SMALL, small_test

PREAMBLES = {
    "ulx3s": b"\xff\xff\xbd\xb3",
    "icebreaker": b"\x7e\xaa\x99\x7e",
    "tangnano20k": b"1010010111000011",  # the file is a text of bits
}


@pytest.mark.parametrize("board", sorted(BOARDS))
@pytest.mark.verify  # three whole bitstreams: minutes each
def test_bitstream_report_and_netlist(board, tmp_path):
    told = []
    operands, golden = small_test()
    result = build(board, SMALL, operands, golden, tmp_path / "builds", lambda stage, text: told.append(stage))

    assert PREAMBLES[board] in result.bitstream.read_bytes()[:2000]
    assert {"synthesis", "place and route", "bitstream"} <= set(told)
    assert result.placement.fmax_mhz >= Board.named(board).clock_mhz
    assert [path.name for path in (tmp_path / "builds").iterdir()] == [f"{board}-small"]
    use = result.synthesis.usage
    assert use.multiplier == SMALL.threads
    assert use.ram >= SMALL.threads, "accumulator banks belong into block RAM"
    report = result.report.read_text()
    assert f"golden checksum  {golden:08x}" in report
    for index, meaning in enumerate(Board.named(board).led_meaning()):
        assert f"  {index}  {meaning}\n" in report

    run = simulate(Board.named(board), result.synthesis, tmp_path, max_cycles=20_000)
    assert (run.done, run.checksum, run.passed) == (True, golden, True)
    assert run.lit[2:] == (True, *(golden >> bit & 1 == 1 for bit in range(BOARDS[board].leds - 3)))
