"""Every entry of the catalogue holds where it should, and a mistake planted in it is refuted and named."""

import numpy as np
import pytest

from gdiff.assessment import (
    assess,
    claimed_by,
    combine,
    convention_asked,
    established,
    judge_at,
    verify_identity,
)
from gdiff.closed_form import score
from gdiff.dataset import penguins
from gdiff.lookup import Catalogue, catalogue
from gdiff.mutants import trials
from gdiff.verify import read_claim

ENTRIES = list(catalogue)
DERIVATIVES = [e for e in ENTRIES if e.derivative is not None]


def _ids(entries):
    return [e.name for e in entries]


def test_every_entry_is_as_expected_on_random_points_and_on_real_data():
    for assessment in assess(ENTRIES, seed=1, data=penguins(), dimensions=(1, 3)):
        assert assessment.as_expected, (assessment.entry.name, str(assessment.verdict))
        assert assessment.verdict.checks > 0


@pytest.mark.parametrize("entry", DERIVATIVES, ids=_ids(DERIVATIVES))
def test_every_mutant_of_an_entry_is_refuted_or_equal_to_it(entry):
    truth = established(entry, max(entry.dimensions or (3,)), seed=5)
    values = read_claim(truth, claimed_by(entry, truth))
    outcomes = [
        (t.outcome, t.mutant) for t in trials(truth, values, convention=convention_asked(entry, truth), explain=False)
    ]
    assert len([o for o, _ in outcomes if o in ("named", "misnamed")]) >= 5
    assert not [m for o, m in outcomes if o in ("missed", "inconclusive")]


def test_a_wrong_closed_form_is_named_with_the_kind_of_mistake():
    entry = catalogue["log_density/full"]
    truth = established(entry, 3)
    kinds = {}
    for name, wrong in {
        "sign": lambda x, m, s: -score(x, m, s).cov,
        "factor": lambda x, m, s: 2 * score(x, m, s).cov,
        "other_convention": lambda x, m, s: score(x, m, s, "symmetric").cov,
    }.items():
        from dataclasses import replace

        verdict = judge_at(replace(entry, derivative=wrong), truth)
        assert verdict.refuted
        kinds[name] = verdict.diagnosis.kind.value
    assert kinds == {name: name for name in kinds}


def test_float32_claims_are_judged_at_their_own_precision():
    verdict = verify_identity(catalogue["log_density/symmetric"], dtype=np.float32, dimensions=(3,))
    assert verdict.holds
    assert verdict.bound > verify_identity(catalogue["log_density/symmetric"], dimensions=(3,)).bound


def test_combine_takes_the_worst_and_refuses_nothing():
    entry = catalogue["log_det/full"]
    truth = established(entry, 2)
    good, bad = judge_at(entry, truth), judge_at(entry, truth, np.float64)
    both = combine([good, bad])
    assert both.holds
    assert both.checks == good.checks + bad.checks
    with pytest.raises(ValueError, match="zero checks"):
        combine([])


def test_the_catalogue_is_looked_up_by_name_source_and_word():
    assert catalogue["log_det/general"].equations == (57,)
    assert catalogue["log_det/general"] in catalogue["cookbook:57"]
    assert catalogue["cookbook:81"].name == "quadratic_form/vector"
    assert all("fisher" in e.name for e in catalogue.search("fisher e[score"))
    with pytest.raises(KeyError, match="log_det/full"):
        catalogue["log_det/ful"]


def test_two_entries_of_one_name_are_refused():
    with pytest.raises(ValueError, match="log_det/general"):
        Catalogue({"a": ENTRIES[:1], "b": ENTRIES[:1]})


def test_symmetric_arguments_have_a_convention_and_a_source():
    for entry in ENTRIES:
        assert entry.statement
        assert entry.hypotheses
        assert entry.source.work
        if entry.kind in ("gradient", "hessian") and any(entry.arguments[i].domain.is_symmetric for i in entry.wrt):
            assert entry.convention in ("full", "symmetric")
