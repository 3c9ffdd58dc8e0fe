"""`python -m benchmarks [ID ...]`: measure, print the table, write JSON and pictures; `--readme` tells the README.

Every workload runs in a process of its own: no thread, cache or setting of one meets another.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import jax

from benchmarks import plots, report
from benchmarks.cases import measure

WORKLOADS = {
    "P1": "batch",
    "P2": "large",
    "P3": "sample",
    "P4": "hessian",
    "P5": "second_order",
    "P6": "compilation",
    "P7": "dispatch",
    "P8": "fisher",
    "P9": "structured",
    "P10": "posterior",
    "P12": "derived",
    "mixtures": "mixture",
}
# Their peers make two batched LAPACK calls in one program, which can deadlock jaxlib 0.10 on two cores: see gdiff.cli.
# The others run with the threads that a user gets: more of them make small calls slower, the peer's as well as ours.
MORE_THREADS = {"P1", "P4", "P5", "P8", "P9", "P12", "mixtures"}
README = Path(__file__).parents[1] / "README.md"


def run(name: str, options: argparse.Namespace) -> None:
    """One workload, in a process of its own."""
    environment = dict(os.environ)
    if name in MORE_THREADS:
        environment.setdefault("PJRT_NPROC", str(max(16, os.cpu_count() or 1)))
    command = ["--here", name, "--results", str(options.results), "--seed", str(options.seed)]
    subprocess.run([sys.executable, "-m", "benchmarks", *command], env=environment, check=True)


def run_here(name: str, options: argparse.Namespace) -> None:
    """One workload, in this process: its cases, one after the other, and the JSON of them."""
    jax.config.update("jax_enable_x64", True)
    start, records = perf_counter(), []
    for case in importlib.import_module(f"benchmarks.{WORKLOADS[name]}").cases():
        records.append(measure(case, options.seed))
        print(report.line(records[-1]), file=sys.stderr, flush=True)
    options.results.mkdir(parents=True, exist_ok=True)
    about = report.environment(options.seed) | {"id": name, "seconds": round(perf_counter() - start, 1)}
    (options.results / f"{name}.json").write_text(json.dumps(about | {"cases": records}, indent=1) + "\n")


def main() -> int:
    """Measure what is asked for, and print the table of all results that there are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("ids", nargs="*", metavar="ID", help=f"{', '.join(WORKLOADS)}; by default all")
    parser.add_argument(
        "--readme", action="store_true", help="write README.md's table from the results, measure nothing"
    )
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="where JSON and pictures go")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.ids) - set(WORKLOADS):
        parser.error(f"got {', '.join(sorted(unknown))}, wanted some of {', '.join(WORKLOADS)}")
    if options.here:
        for name in options.ids:
            run_here(name, options)
        return 0
    if not options.readme:
        for name in options.ids or WORKLOADS:
            run(name, options)
    runs = report.read(options.results)
    print(report.table(runs).text(200))
    print(report.growth(runs).text(200))
    plots.draw(runs, options.results)
    if options.readme:
        README.write_text(report.rewritten(README.read_text(), runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
