"""The tester, tested with deliberately wrong formulas."""

import collections

import pytest

from gdiff.arguments import read_arguments
from gdiff.claimed import ClaimFunction
from gdiff.mutants import MUTANTS, trials
from gdiff.truth import Subject, establish
from gdiff.verify import judge, read_claim
from tests.gaussian_formulas import FORMULAS

IDS = [f.name for f in FORMULAS]


def test_there_are_at_least_thirty_with_names_of_their_own():
    assert len({m.name for m in MUTANTS}) == len(MUTANTS) >= 30


@pytest.mark.parametrize("formula", FORMULAS, ids=IDS)
def test_every_mutant_is_refuted_and_named(formula):
    truth = establish(
        formula.f, [formula.point(1, 10.0)], argnums=formula.argnums, domains=formula.domains, order=formula.order
    )
    values = read_claim(truth, formula.derivative)
    assert judge(truth, values, convention=formula.convention).holds
    results = list(trials(truth, values, convention=formula.convention))
    outcomes = collections.Counter(t.outcome for t in results)
    assert not outcomes["missed"] + outcomes["inconclusive"], [t for t in results if t.outcome != "named"]
    assert outcomes["named"] >= 9
    misnamed = [(t.mutant, t.found, t.message) for t in results if t.outcome == "misnamed"]
    assert len(misnamed) <= 0.05 * len(results), misnamed


@pytest.mark.parametrize("formula", FORMULAS, ids=IDS)
def test_no_conditioning_hides_a_mutant_or_raises_a_false_alarm(formula):
    arguments = read_arguments(formula.f, formula.point(0, 10.0), formula.argnums, formula.domains)
    subject = Subject(formula.f, arguments, formula.order)
    function = None
    for condition in (1.0, 10.0, 1e4, 1e6, 1e8):
        truth = establish(
            formula.f,
            [formula.point(n, condition) for n in range(12)],
            arguments=arguments,
            subject=subject,
            order=formula.order,
            fresh=False,
        )
        function = function or ClaimFunction(formula.derivative, truth)
        values = read_claim(truth, formula.derivative, function=function)
        verdict = judge(truth, values, convention=formula.convention, explain=False)
        assert verdict.holds or (verdict.inconclusive and condition > 1e6), (condition, str(verdict))
        if 10.0 <= condition <= 1e6:
            for trial in trials(truth, values, convention=formula.convention, explain=False):
                assert trial.outcome in ("named", "indistinguishable"), (condition, trial)
