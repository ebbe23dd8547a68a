"""What is generated from the descriptions: the pages in docs/, and the C header."""

import re
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_reference import NAMES, Reference
from phantom_hw.config import PhantomConfig
from phantom_hw.headers import c_parameters
from phantom_hw.soc.assembler import assemble
from phantom_hw.soc.commands import CommandSet
from phantom_hw.soc.csr import CsrMap
from phantom_hw.soc.document import main, pages
from phantom_hw.soc.header import c_header
from phantom_hw.soc.isa import COMMANDS
from phantom_hw.soc.status import Status

DOCS = Path(__file__).parents[3] / "docs"
CONFIG = PhantomConfig.preset("tiny")


@pytest.mark.parametrize("name", pages())
def test_the_pages_are_up_to_date(name):
    """If not: python -m phantom_hw.soc.document docs."""
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name]


def test_every_name_is_documented():
    text = pages()
    for command in COMMANDS:
        section = text["isa.md"].split(f"### {command.name}\n")[1].split("###")[0]
        for field in command.fields:
            assert f"| `{field.name}`" in section and field.meaning in section
    for placed in CsrMap.placed():
        assert f"`{placed.register.name}`" in text["csr.md"]
    for status in Status:
        assert f"| {status.value} | {status.name} |" in text["csr.md"]


@pytest.mark.parametrize("preset", PhantomConfig.presets())
def test_the_example_is_a_command_stream(preset):
    """In every preset."""
    example = "\n".join(re.findall(r"^    (.*)$", pages()["isa.md"], re.M))
    assert len(assemble(example, CommandSet(PhantomConfig.preset(preset)))) == 4 * 64


def test_links_lead_somewhere():
    for text in pages().values():
        for name, anchor in re.findall(r"\]\((\w+\.md)?(#[\w-]+)?\)", text):
            assert not name or (DOCS / name).is_file()
            assert not anchor or f"## {anchor[1:].replace('-', ' ').capitalize()}\n" in pages()[name]


def test_writing_the_pages(tmp_path, capsys):
    assert main([str(tmp_path)]) == 0
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == pages()
    assert main([]) == 2 and main(["/dev/null/x"]) == 2
    assert capsys.readouterr().err == ("usage: python -m phantom_hw.soc.document DIR\n"
                                       "error: cannot write to '/dev/null/x': Not a directory\n")


# --- C header ---------------------------------------------------------------------------------------------

def compiler() -> list[str]:
    for name in ("gcc", "g++", "cc"):
        if shutil.which(name):
            return [name, "-x", "c", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    pytest.skip("there is no C compiler (apt-get install g++)")


def test_the_header_compiles_beside_the_other_one(tmp_path):
    for preset in PhantomConfig.presets():
        (tmp_path / "control.h").write_text(c_header(replace(PhantomConfig.preset(preset), address_width=40)))
        (tmp_path / "phantom_parameters.h").write_text(c_parameters(CONFIG, "accelerator"))
        (tmp_path / "main.c").write_text(
            '#include "control.h"\n#include "control.h"\n#include "phantom_parameters.h"\n'
            "int main(void) { return PHANTOM_CSR_STATUS != 0x44u; }\n")
        subprocess.run([*compiler(), "-fsyntax-only", "main.c"], cwd=tmp_path, check=True)


def program(reference: Reference, commands: list[bytes]) -> str:
    """C that writes the commands with the macros of the header, then reads them back."""
    lines = []
    for command in commands:
        name = COMMANDS[command[0] - 1].name
        lines.append(f"PHANTOM_BEGIN(words, {name});")
        for (field, index, *_), value in zip(reference.spans[name], reference.values(command), strict=True):
            macro, place = f"{name}_{field.name.upper()}", f", {index}" if field.count > 1 else ""
            kind = "64" if field.width > 32 else "_AT" if field.count > 1 else ""
            number = f"UINT64_C({value})" if kind == "64" else str(value) if value < 0 else f"{value}u"
            lines.append(f"PHANTOM_PUT{kind}(words, {macro}{place}, {number});")
            mask = f"{value % 2**field.width}u" if kind != "64" else number
            lines.append(f"if (PHANTOM_GET{kind}(words, {macro}{place}) != {mask}) return 1;")
        lines.append("if (fwrite(words, 4, PHANTOM_COMMAND_WORDS, stdout) != PHANTOM_COMMAND_WORDS) return 2;")
    body = "\n    ".join(lines)
    return ('#include <stdio.h>\n#include "control.h"\nint main(void)\n{\n    '
            f"uint32_t words[PHANTOM_COMMAND_WORDS];\n    {body}\n    return 0;\n}}\n")


def test_the_macros_write_commands(tmp_path):
    config = replace(CONFIG, address_width=64)
    reference, rng = Reference(config), np.random.default_rng(1)
    commands = [reference.random(rng, name) for name in [*NAMES, "END", "FENCE"] for _ in range(3)]
    (tmp_path / "control.h").write_text(c_header(config))
    (tmp_path / "main.c").write_text(program(reference, commands))
    subprocess.run([*compiler(), "-o", "main", "main.c"], cwd=tmp_path, check=True)
    written = subprocess.run([tmp_path / "main"], check=True, capture_output=True).stdout
    words = struct.unpack(f"={len(written) // 4}I", written)
    assert struct.pack(f"<{len(words)}I", *words) == b"".join(commands)


def test_values_of_the_header():
    values = dict(re.findall(r"^#define PHANTOM_(\w+) (\S+)", c_header(replace(CONFIG, address_width=40)), re.M))
    assert values["OP_END"] == "1u" and values["COMMAND_BYTES"] == "64" and values["CMD_PARAMETERS_LO_MIN"] == "(-256)"
    assert values["CMD_PARAMETERS_ADDRESS_MAX"] == "UINT64_C(0xffffffffff)"
    assert values["CMD_PARAMETERS_ADDRESS_MULTIPLE"] == "8u" and "CMD_PARAMETERS_COUNT_MULTIPLE" not in values
    assert values["CSR_COMMAND_ADDRESS"] == "0x50u" and values["STATUS_WATCHDOG"] == "14u"
    assert {f"STATUS_{status.name}" for status in Status} <= set(values)
