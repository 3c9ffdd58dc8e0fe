"""Pictures of the results: speed-up against dimension, and cost against size with the fitted slope."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.cases import OURS, PEER
from benchmarks.report import asymptotic, series
from benchmarks.timing import exponent

LABELS = {
    "P1": "100,000 Gaussians",
    "P2": "one Gaussian",
    "P3": "a sample",
    "P4": "Hessian, closed form",
    "P5": "Hessian, jax.hessian of ours",
}
COLOURS = {OURS: "tab:blue", PEER: "tab:orange"}


def _seconds(case: Mapping[str, Any], name: str) -> float:
    return case["sides"][name]["seconds"]["median"]


def _axes(axes: Any, sizes: set[int], x: str, y: str) -> None:
    axes.set(xscale="log", yscale="log", xlabel=x, ylabel=y)
    axes.set_xticks(sorted(sizes), [f"{size:,}" for size in sorted(sizes)])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def speedups(runs: list[dict[str, Any]], path: Path) -> None:
    """How many times faster than autodiff, for each workload that has sizes in d."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    seen: set[int] = set()
    for (name, against), cases in series(runs):
        label, (axis, _, dtype) = LABELS.get(name), against.partition(", ")
        cases = [case for case in cases if PEER in case["speedup"]]
        if label is None or axis != "d" or not cases:
            continue
        sizes = [case["size"] for case in cases]
        bars = [case["speedup"][PEER] for case in cases]
        half = dtype == "float32"
        line = axes.plot(
            sizes,
            [bar["median"] for bar in bars],
            "o--" if half else "o-",
            markersize=4,
            color=axes.lines[-1].get_color() if half and axes.lines else None,
            label=label + (", float32" if half else ""),
        )[0]
        axes.fill_between(
            sizes, [bar["lower"] for bar in bars], [bar["upper"] for bar in bars], color=line.get_color(), alpha=0.15
        )
        seen.update(sizes)
    if not seen:
        plt.close(figure)
        return
    ticks = {t for t in (2, 5, 10, 20, 50, 100, 200, 500, 1000) if min(seen) <= t <= max(seen)}
    _axes(axes, ticks, "dimension d", "times faster than autodiff")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path)
    plt.close(figure)


def costs(runs: list[dict[str, Any]], path: Path) -> None:
    """Seconds against size on logarithmic axes, a panel for each series that theory says something about."""
    import matplotlib.pyplot as plt

    panels = [(key, cases) for key, cases in series(runs) if cases[0]["theory"] is not None]
    if not panels:
        return
    columns = min(2, len(panels))
    figure, grid = plt.subplots(
        -(-len(panels) // columns), columns, figsize=(4.6 * columns, 3.4 * -(-len(panels) // columns)),
        layout="constrained", squeeze=False,
    )  # fmt: skip
    for axes, ((name, against), cases) in zip(grid.flat, panels, strict=False):
        for side in (OURS, PEER, *list(cases[0]["over_limit"])[:1]):
            here = [case for case in cases if side in case["sides"]]
            last = asymptotic(here)
            sizes = [case["size"] for case in here]
            slope = exponent([c["size"] for c in last], [_seconds(c, side) for c in last])
            style = {"color": COLOURS[side]} if side in COLOURS else {"color": "gray", "linestyle": ":"}
            label = f"{side}: slope {slope:.2f}"
            axes.plot(sizes, [_seconds(case, side) for case in here], marker="o", markersize=4, label=label, **style)
        axes.set_title(f"{LABELS.get(name, name)}: slope {cases[0]['theory']:g} in theory", fontsize=10)
        _axes(axes, {case["size"] for case in cases}, {"d": "dimension d", "n": "observations n"}[against], "seconds")
        axes.legend(frameon=False, fontsize=8)
    for axes in list(grid.flat)[len(panels) :]:
        axes.remove()
    figure.savefig(path)
    plt.close(figure)


def draw(runs: list[dict[str, Any]], folder: Path) -> None:
    """Both pictures, as PNG."""
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams.update({"savefig.dpi": 150, "font.size": 10})
    speedups(runs, folder / "speedup.png")
    costs(runs, folder / "cost.png")
