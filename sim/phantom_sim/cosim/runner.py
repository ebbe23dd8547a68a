"""Build designs for cocotb under Verilator and run benches on them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from cocotb_tools import runner as cocotb_runner
from phantom_hw.config import PhantomConfig

from phantom_sim.cosim.batch import Case, save_batch
from phantom_sim.rtl import cached_core_verilog
from phantom_sim.verilator import VERILATOR_FLAGS, cache_folder, content_hash, find_verilator, lock

__all__ = ["CORE_PORTS", "CosimError", "PortsOnlyVerilator", "build_cosim", "run_bench", "run_core_bench"]

CORE_PORTS = (
    "clk", "rst", "idle", "activity",
    *(f"{stream}__{signal}" for stream in ("layer", "moving", "stationary", "result")
      for signal in ("payload", "valid", "ready")),
)
BUILT = "built"


class CosimError(RuntimeError):
    """A cosimulation that could not be built, or whose tests failed: one line, with the path of the log."""


class PortsOnlyVerilator(cocotb_runner.Verilator):
    """The Verilator runner without ``--public-flat-rw``.

    Making every signal public costs Verilator most of its optimizations and g++ its patience. A control file names
    the few that a bench looks at.
    """

    def _simulator_in_path_build_only(self) -> None:
        self.executable = str(find_verilator().program)

    def _build_command(self) -> Sequence[list[str]]:
        return [[word for word in command if word != "--public-flat-rw"] for command in super()._build_command()]

    def _set_env_common(self) -> None:
        super()._set_env_common()
        ours = find_verilator().environment()
        self.env.update({name: ours[name] for name in ("VERILATOR_ROOT", "MAKEFLAGS")})


def build_cosim(verilog: str, top: str, ports: Sequence[str], folder: Path | None = None) -> Path:
    """Build a design for cocotb, or find the one built before.

    Parameters
    ----------
    verilog : str
    top : str
        Its top module.
    ports : sequence of str
        Signals of the top module that benches may read and write.
    folder : Path, optional
        Where builds are kept; :func:`~phantom_sim.verilator.cache_folder` by default.

    Returns
    -------
    Path
        The folder to give to :meth:`cocotb_tools.runner.Runner.test`.

    Raises
    ------
    CosimError
        If the build fails; names the log.
    """
    import cocotb

    folder = folder or cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    control = "`verilator_config\n" + "".join(f'public_flat_rw -module "{top}" -var "{port}"\n' for port in ports)
    settings = [find_verilator().version, cocotb.__version__, *VERILATOR_FLAGS]
    target = folder / f"cocotb-{top}-{content_hash(verilog, control, *settings)}"
    with lock(target.with_suffix(".lock")):
        if (target / BUILT).is_file():
            return target
        # the build is not movable (makefiles hold its path), so its last act is to leave a mark
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        (target / f"{top}.v").write_text(verilog, encoding="utf-8")
        (target / "ports.vlt").write_text(control, encoding="utf-8")
        log = target / "build.log"
        try:
            PortsOnlyVerilator().build(
                sources=[target / "ports.vlt", target / f"{top}.v"], hdl_toplevel=top, build_dir=target,
                build_args=[*VERILATOR_FLAGS, "-CFLAGS", "-O2"], timescale=("1ns", "1ps"), log_file=log,
            )
        except (SystemExit, Exception) as error:
            raise CosimError(f"cannot build {top} for cocotb ({error}): see {log}") from None
        (target / BUILT).touch()
    return target


def run_bench(
    module: str, top: str, built: Path, *, seed: int = 1, work: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run a bench on a design.

    Parameters
    ----------
    module : str
        The bench.
    top : str
        Top module of the design.
    built : Path
        What :func:`build_cosim` returned.
    seed : int
        Of the bench's random choices.
    work : Path, optional
        Folder to run in, which is removed if all tests pass; by default a new one.
    environment : mapping, optional
        More environment variables for the bench.

    Returns
    -------
    int
        The number of tests that ran.

    Raises
    ------
    CosimError
        If a test fails or none ran; quotes the first failure and names the log.
    """
    work = work or Path(tempfile.mkdtemp(prefix="cosim-", dir=cache_folder()))
    log, results = work / "run.log", work / "results.xml"
    try:
        PortsOnlyVerilator().test(
            test_module=module, hdl_toplevel=top, hdl_toplevel_lang="verilog", build_dir=built, test_dir=work,
            results_xml=str(results), seed=seed, log_file=log, extra_env=dict(environment or {}),
        )
    except (SystemExit, Exception) as error:
        # failed tests end here too, and say more in their results
        if not results.is_file():
            raise CosimError(f"the bench of {top} did not run ({error}): see {log}") from None
    ran = _count(results, log)
    shutil.rmtree(work)
    return ran


def run_core_bench(
    config: PhantomConfig, cases: Sequence[Case], *, seed: int = 1, folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run the core under ``core_bench`` on a batch of cases.

    Parameters
    ----------
    config : PhantomConfig
    cases : sequence of Case
    seed : int
        Of the bench's random choices.
    folder : Path, optional
        Where builds are kept.
    environment : mapping, optional
        More environment variables for the bench.

    Returns
    -------
    int
        The number of tests that ran.

    Raises
    ------
    CosimError
        If a test fails or none ran; quotes the first failure and names the log.
    """
    built = build_cosim(cached_core_verilog(config, folder), "phantom_core", CORE_PORTS, folder)
    work = Path(tempfile.mkdtemp(prefix="cosim-", dir=folder or cache_folder()))
    save_batch(work / "batch.npz", config, cases)
    return run_bench("phantom_sim.cosim.core_bench", "phantom_core", built, seed=seed, work=work,
                     environment={"PHANTOM_BATCH": str(work / "batch.npz"), **(environment or {})})


def _count(results: Path, log: Path) -> int:
    """Tests in a results file, if all passed."""
    if not results.is_file():
        raise CosimError(f"the bench left no results: see {log}")
    tests = list(ElementTree.parse(results).iter("testcase"))
    for test in tests:
        failure = test.find("failure")
        if failure is None:
            failure = test.find("error")
        if failure is not None:
            text = failure.get("error_msg") or failure.get("message") or failure.text or "failed"
            raise CosimError(f"{test.get('name')}: {text.strip().splitlines()[0]}: see {log}")
    if not tests:
        raise CosimError(f"the bench ran no test: see {log}")
    return len(tests)
