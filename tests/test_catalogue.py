"""Every entry of the catalogue has the status it should, and a mistake planted in it is refuted and named."""

from dataclasses import replace

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
from gdiff.claim import Argument, Hypothesis
from gdiff.closed_form import score
from gdiff.dataset import penguins
from gdiff.domains import General, Positive
from gdiff.lookup import Catalogue, catalogue
from gdiff.mutants import trials
from gdiff.verify import read_claim

ENTRIES = list(catalogue)
TRUE = [e for e in ENTRIES if e.expected != "refuted" and e.derivative is not None]
CORE = {e.name for name in ("determinants", "quadratic_forms", "gaussian") for e in catalogue.chapters[name]}


def _ids(entries):
    return [e.name for e in entries]


@pytest.mark.parametrize("chapter", catalogue.chapters)
def test_every_entry_has_the_status_that_is_known_at_random_points_and_on_real_data(chapter):
    for assessment in assess(catalogue.chapters[chapter], seed=1, data=penguins()):
        assert assessment.as_expected, (assessment.entry.name, str(assessment.verdict))
        assert assessment.verdict.checks > 0


@pytest.mark.parametrize("entry", TRUE, ids=_ids(TRUE))
def test_every_mutant_of_an_entry_is_refuted_or_equal_to_it(entry):
    truth = established(entry, max(entry.dimensions or (3,)), seed=5, briefly=True)
    values = read_claim(truth, claimed_by(entry, truth))
    asked = convention_asked(entry, truth)
    if truth.conventions != (None,) and asked is None:
        asked = judge_at(entry, truth).convention
    tried = trials(truth, values, convention=asked, explain=False, library=entry.name in CORE)
    outcomes = [(t.outcome, t.mutant) for t in tried]
    assert len([o for o, _ in outcomes if o in ("named", "misnamed")]) >= 5
    assert not [m for o, m in outcomes if o in ("missed", "inconclusive")]


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.instead], ids=lambda e: e.name)
def test_what_does_not_simply_hold_has_beside_it_what_does(entry):
    right = catalogue[entry.instead]
    assert entry.expected != "holds"
    assert right.expected == "holds"
    assert {s.work for s in right.sources} & {s.work for s in entry.sources}


def test_only_what_is_kept_for_its_own_sake_is_wrong_without_a_right_form():
    assert [e.name for e in ENTRIES if e.expected != "holds" and not e.instead] == ["concave/everywhere"]


def _asked(entry):
    """What an entry is about: two entries that ask the same differ in their answer alone."""
    function = entry.function
    inside = [id(cell.cell_contents) for cell in function.__closure__ or ()]
    text = entry.text[0] if entry.text else (function.__code__.co_code, inside)
    return entry.kind, entry.wrt, [(a.name, a.domain, a.shape) for a in entry.arguments], text


WRONG = [e for e in ENTRIES if e.expected == "refuted" and e.instead and _asked(e) == _asked(catalogue[e.instead])]


@pytest.mark.parametrize("wrong", WRONG, ids=_ids(WRONG))
def test_a_formula_made_right_changes_its_status_and_the_other_way_round(wrong):
    right = catalogue[wrong.instead]
    mended = replace(wrong, derivative=right.derivative, convention=right.convention)
    assert verify_identity(mended).holds
    changes = {"derivative": wrong.derivative, "convention": wrong.convention, "dimensions": wrong.dimensions}
    assert verify_identity(replace(right, expected="refuted", **changes)).refuted


def test_most_formulas_that_are_wrong_have_a_right_answer_to_the_same_question():
    assert len(WRONG) >= 12


def test_the_cookbook_is_there_from_32_to_144_and_everything_beyond_it():
    found = {(s.work, n) for e in ENTRIES for s in e.sources for n in s.equations}
    assert {("cookbook", n) for n in range(32, 145)} <= found
    assert {("cookbook", n) for n in (*range(226, 253), *range(346, 397))} <= found
    assert {("beyond", n) for n in (*range(1, 46), *range(50, 74))} <= found
    assert len(ENTRIES) >= 220


def test_a_hypothesis_that_rescues_a_formula_is_found_and_one_that_does_not_is_not():
    entry = catalogue["quotient/printed"]
    verdict = verify_identity(entry)
    assert verdict.refuted
    assert verdict.hypotheses == ("B symmetric",)
    other = Hypothesis("x positive", (Argument("x", Positive(), ("d",)),))
    assert verify_identity(replace(entry, holds_if=(other,))).hypotheses == ()


GENERAL = [(e, h) for e in ENTRIES if e.expected == "holds" for h in e.fails_unless]


@pytest.mark.parametrize(("entry", "hypothesis"), GENERAL, ids=[f"{e.name}, {h.text}" for e, h in GENERAL])
def test_a_general_form_holds_where_the_other_fails(entry, hypothesis):
    assert verify_identity(entry.under(hypothesis)).holds


def test_a_hypothesis_left_unsaid_is_one_only_where_the_formula_fails_without_it():
    entry = catalogue["det/differential_inverse"]
    assert verify_identity(entry).status == "holds under hypotheses"
    assert verify_identity(catalogue["det/differential"]).status == "holds"  # tried at singular matrices too
    harmless = Hypothesis("X well conditioned", (Argument("X", General(), ("d", "d")),))
    assert verify_identity(replace(entry, fails_unless=(harmless,))).status == "holds"


def test_a_symmetric_argument_without_a_convention_is_right_in_one():
    entry = catalogue["log_det/symmetric"]
    verdict = verify_identity(replace(entry, convention=None))
    assert (verdict.status, verdict.convention) == ("convention dependent", "symmetric")


def test_a_wrong_closed_form_is_named_with_the_kind_of_mistake():
    entry = catalogue["log_density/full"]
    truth = established(entry, 3)
    kinds = {}
    for name, wrong in {
        "sign": lambda x, m, s: -score(x, m, s).cov,
        "factor": lambda x, m, s: 2 * score(x, m, s).cov,
        "other_convention": lambda x, m, s: score(x, m, s, "symmetric").cov,
    }.items():
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
    assert catalogue["cookbook:94"][1].name == "quotient/rayleigh"
    assert {e.name for e in catalogue["beyond:B25"]} == {e.name for e in catalogue["beyond:25"]} != set()
    assert "moment/quartic_norm" in [e.name for e in catalogue["cookbook:8.2.4"]]
    assert all("fisher" in e.name for e in catalogue.search("fisher e[score"))
    with pytest.raises(KeyError, match="log_det/full"):
        catalogue["log_det/ful"]


def test_two_entries_of_one_name_are_refused():
    with pytest.raises(ValueError, match=ENTRIES[0].name):
        Catalogue({"a": ENTRIES[:1], "b": ENTRIES[:1]})


def test_symmetric_arguments_have_a_convention_and_a_source():
    for entry in ENTRIES:
        assert entry.statement
        assert entry.source.work
        symmetric = any(entry.arguments[i].domain.is_symmetric for i in entry.wrt)
        if entry.kind in ("gradient", "hessian") and symmetric and entry.expected != "convention dependent":
            assert entry.convention in ("full", "symmetric")
