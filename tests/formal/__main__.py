"""``python -m tests.formal``: run the proofs, print what is proved how, exit nonzero if anything is not."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from .jobs import Job, Result, jobs, not_guarded


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.formal", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="only the smallest configuration")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at a time (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="also write the results to a file")
    options = parser.parse_args()

    console = Console(width=None if sys.stdout.isatty() else 140)
    start = time.monotonic()
    results = _run(jobs(options.fast), max(1, options.jobs), console)
    console.print(_proof_table(results), _property_table(results), _mutant_table(results))
    problems = [f"{job.name}: {problem}" for job, result in results.items() for problem in result.problems]
    problems += [f"no fault needs the assertion {name}" for name in not_guarded()]
    for problem in problems:
        console.print(f"[red]{problem}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump([_record(job, result) for job, result in results.items()], file, indent=1)
    mutants = sum(1 for job in results if job.mutant)
    console.print(f"{len(results) - mutants} proofs, {mutants} faults, {time.monotonic() - start:.0f} s: "
                  + (f"[red]{len(problems)} problems" if problems else "all proved, all faults noticed"))
    return 1 if problems else 0


def _run(todo: list[Job], workers: int, console: Console) -> dict[Job, Result]:
    """Run all, the longest first; results in the order of ``todo``."""
    by_size = sorted(todo, key=lambda job: (job.config.lookahead, job.mutant is None), reverse=True)
    done = {}
    with ProcessPoolExecutor(workers) as pool, Progress(console=console, transient=True) as progress:
        bar = progress.add_task("proving", total=len(todo))
        futures = {pool.submit(job.run): job for job in by_size}
        for future in as_completed(futures):
            done[futures[future].name] = future.result()
            progress.advance(bar)
    return {job: done[job.name] for job in todo}


def _verdict(passed: bool, good: str) -> str:
    return f"[green]{good}" if passed else "[red]FAILED"


def _proof_table(results: dict[Job, Result]) -> Table:
    table = Table("proof", "configuration (L_f/G)", "properties", "covers", "method", "depth", "CPU s", "result",
                  title="Proofs (T = 3 unless noted)")
    for job, result in results.items():
        if not job.mutant:
            method = {"combinational": "all inputs", "induction": "k-induction", "bounded": "bounded"}[job.proof.METHOD]
            table.add_row(job.proof.__name__, job.config.name, str(len(result.properties)), str(len(result.covers)),
                          method, str(job.proof.DEPTH), f"{result.seconds:.1f}", _verdict(result.passed, "proved"))
    return table


def _property_table(results: dict[Job, Result]) -> Table:
    table = Table("proof", "property", "configurations", "result", title="Properties")
    rows: dict[tuple[str, str], list[bool]] = {}
    for job, result in results.items():
        for name in () if job.mutant else result.properties:
            rows.setdefault((job.proof.__name__, name), []).append(result.passed)
    for (proof, name), passed in sorted(rows.items(), key=lambda row: row[0][0]):
        table.add_row(proof, name, str(len(passed)), _verdict(all(passed), "proved"))
    return table


def _mutant_table(results: dict[Job, Result]) -> Table:
    table = Table("fault", "block", "proof", "assertion that notices it alone", "CPU s", "result",
                  title="Seeded faults")
    for job, result in results.items():
        if job.mutant:
            table.add_row(job.mutant.name, job.mutant.block, job.proof.__name__, result.properties[0],
                          f"{result.seconds:.1f}", _verdict(result.passed, "noticed"))
    return table


def _record(job: Job, result: Result) -> dict:
    return {
        "proof": job.proof.__name__, "configuration": job.config.name, "method": job.proof.METHOD,
        "depth": job.proof.DEPTH, "fault": job.mutant.name if job.mutant else None,
        "properties": result.properties, "covers": result.covers, "problems": result.problems,
        "cpu_seconds": round(result.seconds, 2),
    }


if __name__ == "__main__":
    sys.exit(main())
