"""`python -m benchmarks [ID ...]`: measure, print the table, write JSON and pictures; `--readme` tells the README."""

import os

# jaxlib 0.10 can deadlock on two cores when a program makes two batched LAPACK calls, as autodiff does: see gdiff.cli.
os.environ.setdefault("PJRT_NPROC", str(max(16, os.cpu_count() or 1)))

import argparse  # noqa: E402
import importlib  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from time import perf_counter  # noqa: E402

import jax  # noqa: E402

from benchmarks import plots, report  # noqa: E402
from benchmarks.cases import measure  # noqa: E402

WORKLOADS = {
    "P1": "batch",
    "P2": "large",
    "P3": "sample",
    "P4": "hessian",
    "P5": "second_order",
    "P6": "compilation",
    "P7": "dispatch",
    "P8": "fisher",
    "mixtures": "mixture",
}
README = Path(__file__).parents[1] / "README.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("ids", nargs="*", metavar="ID", help=f"{', '.join(WORKLOADS)}; by default all")
    parser.add_argument(
        "--readme", action="store_true", help="write README.md's table from the results, measure nothing"
    )
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="where JSON and pictures go")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if unknown := set(options.ids) - set(WORKLOADS):
        parser.error(f"got {', '.join(sorted(unknown))}, wanted some of {', '.join(WORKLOADS)}")
    jax.config.update("jax_enable_x64", True)
    if not options.readme:
        for name in options.ids or WORKLOADS:
            start, records = perf_counter(), []
            for case in importlib.import_module(f"benchmarks.{WORKLOADS[name]}").cases():
                records.append(measure(case, options.seed))
                print(report.line(records[-1]), file=sys.stderr, flush=True)
            options.results.mkdir(parents=True, exist_ok=True)
            run = report.environment(options.seed) | {"id": name, "seconds": round(perf_counter() - start, 1)}
            (options.results / f"{name}.json").write_text(json.dumps(run | {"cases": records}, indent=1) + "\n")
    runs = report.read(options.results)
    print(report.table(runs).text(200))
    print(report.growth(runs).text(200))
    plots.draw(runs, options.results)
    if options.readme:
        README.write_text(report.rewritten(README.read_text(), runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
