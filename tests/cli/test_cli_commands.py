"""The command line: what it prints, and one line with exit status 2 for every wrong input."""

import dataclasses
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from phantom_hw.config import PhantomConfig

import phantom.doctor
from phantom.cli import field_meanings, main

UNDER_A_FILE = "/dev/null/output"


def wrong(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail as a wrong input; return what it says."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("phantom: error: ")
    assert captured.err.count("\n") == 1 and captured.err.endswith("\n")
    return captured.err.removeprefix("phantom: error: ").strip()


def test_help_without_arguments(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    for command in ("doctor", "presets", "config", "generate", "area", "demo", "fpga"):
        assert command in shown


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"phantom {phantom.__version__}\n"


@pytest.mark.parametrize("command", ["doctor", "presets", "config", "generate", "area", "fpga"])
def test_every_command_has_help(capsys, command):
    assert main([command, "--help"]) == 0
    assert f"Usage: phantom {command}" in capsys.readouterr().out


def test_entry_point_runs_as_a_program():
    for program in ([str(Path(sys.executable).parent / "phantom")], [sys.executable, "-m", "phantom"]):
        run = subprocess.run([*program, "presets"], capture_output=True, text=True, check=False)
        assert run.returncode == 0 and run.stderr == ""
        assert all(name in run.stdout for name in PhantomConfig.presets())


def test_tables_survive_an_ascii_terminal():
    run = subprocess.run(
        [sys.executable, "-m", "phantom", "presets"], capture_output=True, check=False,
        env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert run.returncode == 0 and run.stdout.isascii()


def test_a_closed_pipe_is_no_traceback():
    run = subprocess.run(
        f"{sys.executable} -m phantom config --preset paper | true", shell=True, capture_output=True, text=True,
        check=False,
    )
    assert "Traceback" not in run.stderr


def test_config_shows_every_field_and_derived_value(capsys):
    assert main(["config", "--preset", "tiny", "--set", "threads=2", "--set", "tds=in_order"]) == 0
    shown = capsys.readouterr().out
    for field in dataclasses.fields(PhantomConfig):
        assert field.name in shown
    assert "core_threads" in shown and "in_order" in shown


def test_every_field_has_a_meaning():
    assert set(field_meanings()) == {field.name for field in dataclasses.fields(PhantomConfig)}


def test_settings_change_a_configuration_file(capsys, tmp_path):
    (tmp_path / "mine.toml").write_text('preset = "tiny"\nthreads = 2\n')
    assert main(["config", "--config", str(tmp_path / "mine.toml"), "--set", "chunk = 8"]) == 0
    shown = capsys.readouterr().out
    assert "configuration mine" in shown


@pytest.mark.parametrize(("arguments", "message"), [
    (["config"], "give either --preset NAME or --config FILE"),
    (["config", "--preset", "tiny", "--config", "x.toml"], "give either --preset NAME or --config FILE"),
    (["config", "--preset", "big"], "unknown preset 'big'; presets: icebreaker, paper, tangnano20k, tiny, ulx3s"),
    (["config", "--preset", "tiny", "--set", "threads"], "--set needs FIELD=VALUE, not 'threads'"),
    (["config", "--preset", "tiny", "--set", "threads=9"], "--set: threads must be an integer in 1..8, not 9"),
    (["config", "--preset", "tiny", "--set", "row_blocks=4"], "--set: row_blocks must be an integer in 0..3, not 4"),
    (["config", "--preset", "tiny", "--set", "on_chip_words=65537"],
     "--set: on_chip_words must be an integer in 0..65536, not 65537"),
    (["config", "--preset", "tiny", "--set", "on_chip_words=700"],
     "--set: on_chip_words must be a multiple of 512 (whole pages of 4 KiB with bus_width 64), not 700"),
    (["config", "--preset", "tiny", "--set", "threads=two"], "--set: threads must be of type int, not 'two'"),
    (["config", "--config", "/nowhere.toml"], "cannot read configuration '/nowhere.toml': No such file or directory"),
    (["config", "--config", "/"], "cannot read configuration '/': Is a directory"),
    (["doctor", "--with", "all"], "unknown extra 'all'; extras: fpga, demo, dev, train, wave"),
    (["generate", "--preset", "tiny", "--output", UNDER_A_FILE], f"cannot write to '{UNDER_A_FILE}': Not a directory"),
])
def test_wrong_inputs(capsys, arguments, message):
    assert wrong(capsys, *arguments) == message


@pytest.mark.parametrize(("arguments", "part"), [
    (["nothing"], "'nothing'"),
    (["config", "--preste", "tiny"], "--preste"),
    (["config", "--preset"], "--preset"),
    (["config", "--preset", "tiny", "more"], "more"),
    (["generate", "--preset", "tiny"], "--output"),
    (["area", "--preset", "tiny", "--seed", "x"], "--seed"),
    (["config", "--preset", "tiny", "--set", "lanes=3"], "unknown key 'lanes'"),
])
def test_wrong_usage(capsys, arguments, part):
    assert part in wrong(capsys, *arguments)


@pytest.mark.parametrize("text", [b"threads = ", b"\xff\xfe", b"threads = 1\nthreads = 2\n"])
def test_a_file_that_is_not_toml(capsys, tmp_path, text):
    file = tmp_path / "bad.toml"
    file.write_bytes(text)
    assert wrong(capsys, "config", "--config", str(file)).startswith(f"{file}: not a TOML file: ")


def test_a_failed_generate_leaves_nothing(capsys, tmp_path):
    wrong(capsys, "generate", "--preset", "tiny", "--set", "acc_width=8", "--output", str(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_errors_of_other_libraries_are_not_hidden(monkeypatch):
    def broken():
        raise ValueError("not made for the user")

    monkeypatch.setattr(PhantomConfig, "presets", broken)
    with pytest.raises(ValueError, match="not made for the user"):
        main(["presets"])


def test_a_missing_package_is_named(capsys, monkeypatch):
    demo = types.SimpleNamespace(main=lambda arguments: __import__("no_such_wheel"))
    monkeypatch.setitem(sys.modules, "phantom.demo", demo)
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == (
        "phantom: error: the Python package of no_such_wheel is missing; `phantom doctor` tells how to install it\n")


def test_demo_passes_its_arguments_on(monkeypatch):
    seen = []
    monkeypatch.setitem(sys.modules, "phantom.demo", types.SimpleNamespace(main=seen.extend))
    assert main(["demo", "--quick", "vgg16"]) == 0
    assert seen == ["--quick", "vgg16"]


# --- doctor -----------------------------------------------------------------------------------------

def test_doctor_knows_every_package_of_the_project():
    checks = list(phantom.doctor.checks())
    assert all(check.purpose for check in checks)
    assert {check.tool for check in checks} >= set(phantom.doctor.PURPOSES)
    assert {check.needed_for for check in checks} == {None, "optional", *phantom.doctor.EXTRAS}


def test_doctor_here(capsys):
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("everything needed is there")


def test_doctor_names_what_is_missing(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "g++ is missing: apt-get install g++" in shown
    assert "iverilog is missing (optional): apt-get install iverilog" in shown
    assert shown.rstrip().endswith("needed and not usable: g++, make, perl")


def test_doctor_counts_the_extras_asked_for(capsys, monkeypatch):
    monkeypatch.setattr(phantom.doctor.metadata, "requires", lambda name: ['no-such-wheel>=2 ; extra == "dev"'])
    assert main(["doctor"]) == 0
    assert "no-such-wheel is missing (optional): pip install 'no-such-wheel>=2'" in capsys.readouterr().out
    assert main(["doctor", "--with", "dev"]) == 1
    assert "no-such-wheel is missing: pip install" in capsys.readouterr().out


def test_doctor_sees_a_version_that_does_not_fit(capsys, monkeypatch):
    monkeypatch.setattr(phantom.doctor.metadata, "requires", lambda name: ["numpy<1"])
    assert main(["doctor"]) == 1
    assert "numpy is not <1: pip install 'numpy<1'" in capsys.readouterr().out
