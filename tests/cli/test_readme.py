"""The README is true: its tree, its table of fields, its commands, its wrong inputs, its links."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from phantom_hw.config import PhantomConfig

from phantom.cli import field_meanings, main

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = ("demo", "compile", "run", "inspect", "layer", "generate", "area", "fpga", "asm", "disasm", "presets",
            "config", "doctor")


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


# --- wrong inputs -----------------------------------------------------------------------------------

def examples() -> list[tuple[str, str]]:
    (text,) = blocks(section("Wrong inputs"), "console")
    lines = text.splitlines()
    assert len(lines) % 2 == 0
    return list(zip(lines[::2], lines[1::2], strict=True))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A folder with the files that the examples name."""
    folder = tmp_path_factory.mktemp("readme")
    for text in blocks(section("Wrong inputs"), "python"):
        subprocess.run([sys.executable, "-c", text], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize(("command", "answer"), examples())
def test_wrong_inputs(command, answer, files, monkeypatch, capsys):
    program, *arguments = shlex.split(command.removeprefix("$ "))
    assert program == "phantom"
    monkeypatch.chdir(files)
    before = sorted(files.iterdir())
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err == f"{answer}\n"
    assert captured.out == ""
    assert sorted(files.iterdir()) == before


# --- quick start and commands -----------------------------------------------------------------------

def test_the_layer_of_the_quick_start(tmp_path, monkeypatch, capsys):
    (text,) = blocks(section("Quick start"), "python")
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-c", text], check=True)
    (line, _) = [line for line in blocks(section("Quick start"), "bash")[1].splitlines() if "phantom layer" in line]
    assert main(shlex.split(line, comments=True)[1:]) == 0
    assert "1 x 16 x 28 x 28" in capsys.readouterr().out


def test_every_command_is_there(capsys):
    named = set(re.findall(r"(?:`|^|^\$ )phantom (\w+)", README, re.MULTILINE))
    assert named == set(COMMANDS)
    main(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake (\w+)", section("Commands") + section("Quick start"))) - {"command"} <= targets


def test_continuous_integration_runs_commands_of_the_readme():
    text = (ROOT / ".ci" / "run").read_text()
    commands = [line.removeprefix("run ").removeprefix(".venv/bin/") for line in text.splitlines()
                if line.startswith(("run make", "run .venv"))]
    assert len(commands) >= 8
    for command in commands:
        words = command.split()
        wanted = " ".join(words[:3] if words[1] == "fpga" else words[:2])
        assert f"`{wanted}" in README or f"\n{wanted} " in README, wanted


# --- tree, table, links -----------------------------------------------------------------------------

def tracked() -> list[str]:
    run = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip("not a git checkout")
    return run.stdout.splitlines()


def tree() -> list[str]:
    """The paths of the tree, each from the root."""
    (text,) = blocks(section("What is where"), "")
    paths, parent = [], ""
    for line in text.splitlines():
        names = re.split(r"  +", line.strip())[0].split(", ")
        if not line.startswith(" "):
            parent = names[0]
        paths += [f"{parent}{name}" if line.startswith(" ") else name for name in names]
    return paths


def test_the_tree_exists():
    assert [path for path in tree() if not (ROOT / path).exists()] == []
    assert [path for path in tree() if (ROOT / path).is_dir() != path.endswith("/")] == []


def test_nothing_is_missing_in_the_tree():
    listed = tuple(tree())
    plain = {".gitignore", "LICENSE", "README.md"}
    assert sorted({path for path in tracked() if not path.startswith(listed) and path not in plain}) == []


def test_the_table_of_fields():
    defaults = PhantomConfig().to_dict()
    rows = "".join(
        f"| `{field}` | `{str(value).lower() if isinstance(value, bool) else value}` | {field_meanings()[field]} |\n"
        for field, value in defaults.items())
    assert f"\n| field | default | meaning |\n|---|---|---|\n{rows}\n" in README, rows


def test_links():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_documents_speak_only_of_the_project():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"/work/|/root/|/tmp/|pypi-more", text), page.name
