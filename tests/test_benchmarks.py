"""The benchmarks time what they say, refuse what is wrong, and write down what they promise. Nothing is timed here."""

import dataclasses
import importlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import (
    batch,
    compilation,
    derived,
    dispatch,
    fisher,
    hessian,
    large,
    mixture,
    plots,
    posterior,
    report,
    sample,
    second_order,
    structured,
)
from benchmarks.__main__ import WORKLOADS
from benchmarks.cases import OURS, PEER, Case, WrongError, check, error, jitted, measure, plain
from benchmarks.timing import Quartiles, exponent, interleaved, ratio

SMALL = {
    "P1": lambda: batch.cases((2,), (3,), count=4),
    "P2": lambda: large.cases((3,)),
    "P3": lambda: sample.cases([("n", 7, 2)], ("n", 7, 2)),
    "P4": lambda: hessian.cases(((2, 3),)),
    "P5": lambda: second_order.cases(((2, 4),)),
    "P6": lambda: compilation.cases((2,)),
    "P7": lambda: dispatch.cases((2,)),
    "P8": lambda: fisher.cases(2),
    "P9": lambda: structured.cases((8,)),
    "P10": lambda: posterior.cases((6,)),
    "P12": lambda: derived.cases((2,)),
    "mixtures": lambda: mixture.cases(7, 3, 2),
}


def case(**changes):
    sides = {OURS: plain(lambda: jnp.ones(3)), PEER: plain(lambda: jnp.ones(3)), "tfp": None}
    return dataclasses.replace(Case("P0", "ones", sides, np.ones(3), 1e-12, goal=1e-9, seconds=0.0), **changes)


@pytest.fixture(autouse=True)
def _keep_caches(monkeypatch):
    """Compile times are not asked for here, and other tests want what is compiled."""
    monkeypatch.setattr(jax, "clear_caches", lambda: None)


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_side_of_every_workload_computes_the_reference(name):
    assert importlib.import_module(f"benchmarks.{WORKLOADS[name]}").__doc__.startswith(f"{name}: ")
    for small in SMALL[name]():
        assert small.id == name
        assert {OURS, small.peer} <= set(check(small))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: -jnp.ones(3),
        lambda: jnp.ones(3).at[2].set(1 + 1e-6),
        lambda: jnp.full(3, jnp.nan),
        lambda: jnp.ones((3, 1)),
        lambda: (jnp.ones(3), jnp.ones(3)),
    ],
    ids=["sign", "one entry", "NaN", "shape", "structure"],
)
@pytest.mark.parametrize("side", [OURS, PEER])
def test_a_side_that_is_wrong_is_not_timed(side, wrong):
    planted = case()
    with pytest.raises(WrongError, match=side):
        measure(dataclasses.replace(planted, sides={**planted.sides, side: plain(wrong)}))


def test_an_error_is_relative_to_the_largest_entry():
    assert error([np.array([4.0, 0.5])], [np.array([4.0, 0.0])]) == 0.125
    assert error(np.zeros(2), np.zeros(2)) == 0


def test_the_exponent_of_a_power_is_its_exponent():
    sizes = [10, 20, 50, 100]
    noise = np.array([1.01, 0.99, 1.01, 0.99])
    assert exponent(sizes, [3e-6 * s**2.5 for s in sizes]) == pytest.approx(2.5)
    assert exponent(sizes, noise * np.array(sizes) ** 3.0) == pytest.approx(3, abs=0.02)
    with pytest.raises(ValueError, match="two different"):
        exponent([5, 5], [1, 2])


def test_ratios_are_taken_round_by_round():
    slow_machine = np.array([1, 1, 1, 10, 10])
    assert ratio(2 * slow_machine, slow_machine) == Quartiles(2, 2, 2)
    assert Quartiles.of([4, 1, 3, 2, 5]) == Quartiles(3, 2, 4)


def test_sides_are_interleaved_and_all_run_in_every_round():
    calls = []
    times = interleaved({name: lambda name=name: calls.append(name) for name in "ab"}, seconds=0, rounds=(3, 9))
    assert {name: t.shape for name, t in times.items()} == {"a": (3,), "b": (3,)}
    runs = "".join(calls).replace("aa", "a").replace("bb", "b")
    assert runs.count("ab") + runs.count("ba") >= 3


def test_a_record_holds_what_the_json_promises():
    double = jitted(lambda x: 2 * x, np.ones(3) / 2)
    copied = jitted(jnp.negative, np.ones(3), limit=True)
    record = measure(case(sides={OURS: double, PEER: double, "copy": copied, "tfp": None}, limit_goal=1e9, series="d"))
    assert record["sides"][OURS].keys() == {
        "seconds", "rounds", "error", "compile_seconds", "output_bytes", "temporary_bytes",
    }  # fmt: skip
    assert record["sides"][OURS]["seconds"].keys() == {"median", "lower", "upper"}
    assert record["speedup"].keys() == {PEER}
    assert record["over_limit"].keys() == {"copy"}
    assert record["absent"] == ["tfp"]
    assert record["reached"] is True
    assert {"bound", "goal", "predicted", "series", "size", "theory", "memory_over_output"} <= record.keys()
    run = report.environment(seed=3) | {"id": "P0", "cases": [record]}
    assert {"machine", "load", "device", "versions", "threads", "date", "seed"} <= run.keys()
    assert json.loads(json.dumps(run)) == run


@pytest.mark.parametrize(
    ("changes", "reached"),
    [
        ({}, True),
        ({"goal": 1e9}, False),
        ({"goal": None}, None),
        ({"memory_goal": 3}, False),  # a plain side knows nothing of its memory
        ({"limit_goal": 2}, False),  # and there is no limit here
    ],
)
def test_a_goal_is_reached_when_all_its_parts_are(changes, reached):
    assert measure(case(**changes))["reached"] is reached


def test_the_table_has_the_ratio_beside_the_goal_and_names_a_peer_that_is_absent():
    quartiles = {"median": 2.0, "lower": 1.5, "upper": 2.5}
    record = measure(case()) | {"speedup": {PEER: quartiles}, "goal": 3, "limit_goal": 1.5, "predicted": 4}
    record |= {"over_limit": {"copy": quartiles}, "reached": False, "workload": "ones, d = 3"}
    table = report.table([{"cases": [record]}])
    ours, absent = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert ours["ratio"] == "2x"
    assert ours["quartiles"] == "1.5 to 2.5"
    assert (ours["goal"], ours["of limit"], ours["reached"]) == ("3x, 1.5x limit", "2x copy", "no")
    assert (absent["peer"], absent["its time"]) == ("tfp", "not installed")


def test_growth_is_fitted_where_the_highest_power_rules():
    def timed(size):
        seconds = {"seconds": {"median": 1e-9 * size**3 if size > 20 else 1e-3}}
        told = {"id": "P0", "series": "d", "size": size, "theory": 3, "peer": PEER}
        return told | {"sides": {OURS: seconds, PEER: seconds}}

    table = report.growth([{"cases": [timed(size) for size in (200, 2, 50, 5, 100)]}])
    assert table.rows == [("P0", "d", "50 to 200", "3", "3", "3")]


def test_the_pictures_are_drawn_from_what_there_is(tmp_path):
    copied = jitted(jnp.negative, np.ones(3), limit=True)
    sides = {**case().sides, "copy": copied}
    sized = [measure(case(id="P2", sides=sides, series="d", size=size, theory=3)) for size in (2, 4)]
    plots.draw([{"cases": sized}], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"speedup.png", "cost.png"}
    plots.draw([{"cases": [measure(case())]}], tmp_path / "nothing")


def test_the_readme_is_rewritten_between_its_marks_only():
    run = report.environment(seed=0) | {"cases": [measure(case())]}
    text = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    new = report.rewritten(text, [run])
    assert new.startswith(f"before\n{report.BEGIN}\n![")
    assert new.endswith(f"{report.END}\nafter\n")
    assert "old" not in new
    assert "| P0 | ones |" in new
    assert report.rewritten(new, [run]) == new
    with pytest.raises(ValueError, match="README"):
        report.rewritten("no marks", [run])


def test_a_mixture_that_factorises_for_each_pair_is_seen():
    x, cov = jnp.zeros((7, 2)), jnp.stack([jnp.eye(2)] * 3)

    def wasteful(x, cov):
        return jnp.linalg.inv(jnp.broadcast_to(cov, (*x.shape[:1], *cov.shape)))

    assert mixture.largest_array(jax.jit(wasteful), x, cov) >= 7 * 3 * 2 * 2
