"""The Makefile: a missing program is named with its install line before anything else happens."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def make(*arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run make with only the programs of one folder."""
    return subprocess.run(
        [shutil.which("make"), "-C", str(ROOT), f"PYTHON={sys.executable}", *arguments],
        env={"PATH": str(path)}, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )


@pytest.fixture
def programs(tmp_path) -> Path:
    for name in ("g++", "make", "perl"):
        (tmp_path / name).symlink_to(shutil.which(name))
    return tmp_path


def test_nothing_is_missing(programs):
    run = make("tools", path=programs)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("missing", ["g++", "perl"])
def test_a_missing_program_is_named(programs, missing):
    (programs / missing).unlink()
    run = make("setup", path=programs)
    assert run.returncode == 2
    assert f"missing: {missing}; install it with: apt-get install {missing}\n" in run.stderr
    assert "installing" not in run.stdout


def test_python_is_named(programs):
    run = make("tools", "PYTHON=no-python", path=programs)
    assert run.returncode == 2
    assert "missing: python3 3.11 or newer; install it with: apt-get install python3 python3-venv" in run.stderr


def test_help_names_every_target(programs):
    text = (ROOT / "Makefile").read_text()
    targets = text.split(".PHONY:")[1].split("\n")[0].split()
    shown = make(path=programs).stdout
    assert [target for target in targets if target not in ("help", "tools") and f"make {target}" not in shown] == []
