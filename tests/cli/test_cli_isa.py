"""``phantom asm`` and ``phantom disasm``: there and back, and one line for everything that is wrong."""

import pytest

from phantom.cli import main

TEXT = """\
; one layer
rows planes=2 beats=4 plane_length=12,0xc,1 tap_base=0,1,2 plane_step=0,12,0
FENCE units=stream_moving|results
PARAMETERS address=0x1000 count=8 first=0 rows=0x1 lanes=0x1 clamp=0 lo=-128 hi=127
END
"""
CLEAN = TEXT.removeprefix("; one layer\n").replace("rows planes", "ROWS planes").replace("0xc,", "12,")


def run(capsys, *arguments) -> str:
    assert main([str(argument) for argument in arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def wrong(capsys, *arguments) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    return captured.err.removeprefix("phantom: error: ").strip()


@pytest.fixture
def stream(capsys, tmp_path):
    """A command stream in a file."""
    (tmp_path / "job.txt").write_text(TEXT)
    said = run(capsys, "asm", tmp_path / "job.txt", "--preset", "tiny", "-o", tmp_path / "job.bin")
    assert said == f"{tmp_path / 'job.bin'}: 4 commands, 256 bytes\n"
    return tmp_path / "job.bin"


def test_there_and_back(capsys, tmp_path, stream):
    assert stream.stat().st_size == 256
    text = run(capsys, "disasm", stream, "--preset", "tiny")
    assert text == CLEAN
    (tmp_path / "again.txt").write_text(text)
    run(capsys, "asm", tmp_path / "again.txt", "-p", "tiny", "-o", tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == stream.read_bytes()


def test_without_a_configuration_everything_fits(capsys, stream):
    unused = "0,0,0,0,0"
    assert run(capsys, "disasm", stream) == CLEAN.replace("12,12,1 ", f"12,12,1,{unused} ").replace(
        "0,1,2 ", f"0,1,2,{unused} ").replace("0,12,0\n", f"0,12,0,{unused}\n")


def test_ranges_follow_the_configuration(capsys, tmp_path, stream):
    settings = ["--preset", "tiny", "--set", "acc_depth=16", "--set", "act_width=4"]
    assert wrong(capsys, "disasm", stream, *settings) == (
        f"{stream}: command 2 at offset 0x80: PARAMETERS: lo must be in -16..15, not -128")
    assert wrong(capsys, "asm", tmp_path / "job.txt", *settings, "-o", tmp_path / "x").endswith(
        "job.txt: line 4: PARAMETERS: lo must be in -16..15, not -128")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("text", "message"), [
    (b"END\nHALT\n", "line 2: unknown command 'HALT'; commands: END, FENCE, PARAMETERS, "),
    (b"FENCE units=all", "line 1: units: unknown name 'all'; legal: names with | between them out of load_program, "),
    (b"FENCE\n", "line 1: FENCE needs a value for units"),
    (b"\xff\xfe", "not a text in UTF-8"),
])
def test_wrong_text(capsys, tmp_path, text, message):
    (tmp_path / "job.txt").write_bytes(text)
    (tmp_path / "old").write_text("kept")
    said = wrong(capsys, "asm", tmp_path / "job.txt", "--preset", "tiny", "-o", tmp_path / "old")
    assert said.startswith(f"{tmp_path / 'job.txt'}: {message}")
    assert (tmp_path / "old").read_text() == "kept"


@pytest.mark.parametrize(("code", "message"), [
    (bytes(64), "command 0 at offset 0x0: opcode must be in 1..12, not 0"),
    (b"\1\1", "command 0 at offset 0x0: a command has 64 bytes, there are 2"),
    (b"\1\1" + bytes(62) + b"\1\1\1" + bytes(61), "command 1 at offset 0x40: END: bit 16 of word 0 is reserved and "
                                                   "must be 0"),
])
def test_wrong_streams(capsys, tmp_path, code, message):
    (tmp_path / "job.bin").write_bytes(code)
    assert wrong(capsys, "disasm", tmp_path / "job.bin") == f"{tmp_path / 'job.bin'}: {message}"


def test_files_that_are_not_there(capsys, tmp_path):
    assert wrong(capsys, "disasm", "/nowhere") == "cannot read '/nowhere': No such file or directory"
    assert wrong(capsys, "asm", "/", "-p", "tiny", "-o", "x") == "cannot read '/': Is a directory"
    (tmp_path / "job.txt").write_text("END")
    assert wrong(capsys, "asm", tmp_path / "job.txt", "-p", "tiny", "-o", "/nowhere/x") == (
        "cannot write '/nowhere/x': No such file or directory")


def test_a_configuration_is_needed(capsys, tmp_path):
    assert wrong(capsys, "asm", tmp_path, "-o", "x") == "give either --preset NAME or --config FILE"
    assert wrong(capsys, "disasm", tmp_path, "--set", "threads=3") == "give either --preset NAME or --config FILE"
    assert "--output" in wrong(capsys, "asm", tmp_path, "-p", "tiny")
