"""Tools that fail, crash, hang or do not exist: one clear line each, and the log is kept."""

import sys
import time

import pytest
from phantom_fpga.process import ToolError, run_tool


def run(tmp_path, code, **options):
    run_tool([sys.executable, "-c", code], stage="stage", log=tmp_path / "log", cwd=tmp_path,
             **{"timeout": 60.0, **options})


def test_keeps_the_log_and_reports_progress(tmp_path):
    told = []
    run(tmp_path, "print('one'); print('two')", interesting=lambda line: line.upper(),
        progress=lambda stage, text: told.append((stage, text)))
    assert (tmp_path / "log").read_text() == "one\ntwo\n"
    assert told[0] == ("stage", "ONE")


@pytest.mark.parametrize(("code", "message"), [
    ("print('ERROR: no cell'); print('more'); raise SystemExit(1)", "stage: ERROR: no cell"),
    ("print('last words'); raise SystemExit(3)", "stage: last words"),
    ("raise SystemExit(3)", "stage: exit status 3"),
    ("import os; os.kill(os.getpid(), 11)", "stage: killed by SIGSEGV"),
])
def test_says_why_a_tool_stopped(tmp_path, code, message):
    with pytest.raises(ToolError) as caught:
        run(tmp_path, code)
    assert str(caught.value) == message
    assert caught.value.log == tmp_path / "log"


def test_stops_a_tool_that_takes_too_long(tmp_path):
    with pytest.raises(ToolError, match=r"stage: stopped after \d+ s without a result"):
        run(tmp_path, "print('on my way', flush=True); import time; time.sleep(60)", timeout=0.5)
    assert "on my way" in (tmp_path / "log").read_text()


def test_whatever_interrupts_the_caller_ends_the_tool(tmp_path):
    def interrupt(stage, text):
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "print('busy', flush=True); import time; time.sleep(60)", interesting=str, progress=interrupt)
    assert time.monotonic() - started < 30


def test_a_program_that_is_not_there(tmp_path):
    with pytest.raises(ToolError, match=r"stage: cannot start ./nowhere: No such file or directory"):
        run_tool(["./nowhere"], stage="stage", log=tmp_path / "log", cwd=tmp_path, timeout=1.0)


def test_passes_environment_variables(tmp_path):
    run(tmp_path, "import os; print(os.environ['PHANTOM_TEST'], 'PATH' in os.environ)", env={"PHANTOM_TEST": "yes"})
    assert (tmp_path / "log").read_text() == "yes True\n"
