"""From records to the table, the fitted exponents, the pictures, and the block in README.md."""

import json
import os
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import jax
import numpy as np
import scipy

from benchmarks import peers
from benchmarks.cases import OURS
from benchmarks.timing import exponent
from gdiff.display import Table, number

RESULTS = Path(__file__).parent / "results"
Record = Mapping[str, Any]


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def environment(seed: int) -> dict[str, Any]:
    """What a ratio can depend on: machine and its load, versions, threads, date, seed."""
    device = jax.devices()[0]
    variables = ("PJRT_NPROC", "XLA_FLAGS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENBLAS_THREAD_TIMEOUT")
    return {
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"},
        "device": {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()},
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            **peers.versions(),
        },
        "threads": {name: os.environ.get(name) for name in variables},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "seed": seed,
    }


def read(folder: Path) -> list[dict[str, Any]]:
    """The runs in a folder of results, in the order of their ids: P2 before P12."""
    paths = sorted(folder.glob("*.json"), key=lambda path: (len(path.stem), path.stem))
    runs = [json.loads(path.read_text()) for path in paths]
    return [run for run in runs if "cases" in run and "id" in run]


def records(runs: list[dict[str, Any]]) -> Iterator[Record]:
    """All cases of all runs."""
    return (case for run in runs for case in run["cases"])


def _time(seconds: float) -> str:
    scale, unit = next(((s, u) for s, u in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")) if seconds >= s), (1e-6, "us"))
    return f"{number(seconds / scale, 3)} {unit}"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else number(value, 3)


def _times(ratio: Mapping[str, float]) -> str:
    return f"{_digits(ratio['median'])}x"


def _spread(ratio: Mapping[str, float]) -> str:
    return f"{_digits(ratio['lower'])} to {_digits(ratio['upper'])}"


def _goal(record: Record) -> str:
    parts = [
        (record["goal"], "{}x"),
        (record["limit_goal"], "{}x limit"),
        (record["memory_goal"], "{}x memory"),
    ]
    return ", ".join(form.format(_digits(goal)) for goal, form in parts if goal is not None)


def _limit(record: Record) -> str:
    parts = [f"{_times(over)} {name}" for name, over in record["over_limit"].items()]
    if record["memory_goal"] is not None:
        parts.append(f"{number(record['memory_over_output'], 3)}x memory")
    return ", ".join(parts)


def line(record: Record) -> str:
    """One case in one line, as it is measured."""
    sides = ", ".join(f"{name} {_time(side['seconds']['median'])}" for name, side in record["sides"].items())
    ratios = ", ".join(f"{name}/{OURS} {_times(r)} ({_spread(r)})" for name, r in record["speedup"].items())
    return f"{record['id']}  {record['workload']}, {record['dtype']}: {sides}; {ratios}"


def table(runs: list[dict[str, Any]], spread: bool = True, optional: bool = True) -> Table:
    """The workloads that have a goal or a prediction, with today's ratio beside it.

    A peer that is not installed is named. `spread` adds the quartiles of the ratio, `optional` the other libraries.
    """
    quartiles = ("quartiles",) if spread else ()
    judged = ("predicted", "goal", "of limit", "reached")
    columns = ("id", "workload", "peer", "its time", "gdiff", "ratio", *quartiles, *judged)
    rows = []
    for record in records(runs):
        if record["reached"] is None and record["predicted"] is None:
            continue
        ours = record["sides"][OURS]["seconds"]["median"]
        workload = record["workload"] + (", float32" if record["dtype"] == "float32" else "")
        goals = (_goal(record), _limit(record), {True: "yes", False: "no", None: ""}[record["reached"]])
        predicted = f"{_digits(record['predicted'])}x" if record["predicted"] is not None else ""
        if not record["speedup"]:
            rows.append((record["id"], workload, "", "", _time(ours), *[""] * (2 + spread), *goals))
        for name, ratio in record["speedup"].items():
            asked = name == record["peer"]
            if not asked and not optional:
                continue
            own = (predicted, *goals) if asked else [""] * 4
            peer = record["sides"][name]["seconds"]["median"]
            within = (_spread(ratio),) if spread else ()
            rows.append((record["id"], workload, name, _time(peer), _time(ours), _times(ratio), *within, *own))
        if optional:
            rows += [(record["id"], workload, name, "not installed", *[""] * (6 + spread)) for name in record["absent"]]
    return Table(columns, rows, right=frozenset({3, 4, 5}))


def asymptotic(cases: list[Record]) -> list[Record]:
    """The larger half of a series, three at least, where the highest power rules."""
    return cases[-max(3, len(cases) // 2 + 1) :]


def growth(runs: list[dict[str, Any]]) -> Table:
    """The fitted exponent of cost at the larger sizes of each series, beside the one that theory gives."""
    rows = []
    for key, cases in series(runs):
        if cases[0]["theory"] is None:
            continue
        last = asymptotic(cases)
        fitted = []
        for name in (OURS, cases[0]["peer"]):
            here = asymptotic([case for case in cases if name in case["sides"]])
            seconds = [case["sides"][name]["seconds"]["median"] for case in here]
            fitted.append(number(exponent([case["size"] for case in here], seconds), 3))
        sizes = f"{last[0]['size']:,} to {last[-1]['size']:,}"
        rows.append((*key, sizes, *fitted, number(cases[0]["theory"])))
    return Table(("id", "against", "sizes", OURS, "peer", "theory"), rows, right=frozenset({3, 4, 5}))


def series(runs: list[dict[str, Any]]) -> Iterator[tuple[tuple[str, str], list[Record]]]:
    """(id, series) and its cases, in the order of their sizes."""

    def key(case: Record) -> tuple[str, str]:
        return case["id"], case["series"]

    cases = sorted((c for c in records(runs) if c["series"]), key=lambda c: (*key(c), c["size"]))
    for name, group in groupby(cases, key):
        found = list(group)
        if len(found) > 1:
            yield name, found


def where(runs: list[dict[str, Any]]) -> str:
    """The machine and the versions, in a line."""
    run = runs[0]
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items() if version)
    machine = f"{run['machine']['cpu']}, {run['machine']['cores']} cores, JAX on {run['device']['kind']}"
    return f"{machine}; {versions}; {run['date'][:10]}"


BEGIN, END = "<!-- benchmarks -->", "<!-- end of benchmarks -->"


def rewritten(readme: str, runs: list[dict[str, Any]]) -> str:
    """The README with its block between the two marks made anew."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md: found no {BEGIN} followed by {END}.")
    block = (
        "![How many times faster than autodiff, against dimension](benchmarks/results/speedup.png)",
        table(runs, spread=False, optional=False).markdown(),
        f"Measured on {where(runs)}.",
    )
    return f"{before}{BEGIN}\n" + "\n\n".join(block) + f"\n{END}{after}"
