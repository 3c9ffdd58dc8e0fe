import dataclasses

import numpy as np
import pytest

from gdiff.diagnosis import Diagnosis, Kind
from gdiff.verdict import Refuted, Verdict

SHOWN = {"claimed": np.eye(2), "true": 2 * np.eye(2), "ratios": np.array([[0.5, np.nan], [np.nan, 0.5]])}
WRONG = Verdict("refuted", diagnosis=Diagnosis(Kind.FACTOR, "half of it <b>", SHOWN), checks=3)


def test_zero_checks_never_pass():
    assert not Verdict("holds")
    assert Verdict("holds", checks=1)


def test_only_holding_is_true():
    assert bool(Verdict("holds under hypotheses", hypotheses=("S symmetric",), checks=1))
    assert not WRONG
    inconclusive = Verdict("inconclusive", checks=1)
    assert not inconclusive
    assert inconclusive.inconclusive


def test_the_failure_message_is_the_diagnosis():
    with pytest.raises(AssertionError, match="factor: half of it"):
        WRONG.raise_if_refuted()
    with pytest.raises(Refuted):
        Verdict("inconclusive").raise_unless_holds()
    assert Verdict("inconclusive").raise_if_refuted() is not None


def test_it_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        WRONG.status = "holds"


def test_it_reads():
    held = Verdict("holds", convention="full", checks=2, max_error={"reverse": 1e-15}, points=1)
    assert str(held).startswith("holds, in the full convention")
    assert "reverse 1e-15" in str(held)
    assert repr(WRONG) == "<Verdict 'refuted', convention=None, diagnosis='factor', checks=3>"
    assert "&lt;b&gt;" in WRONG._repr_html_()


def test_it_plots():
    pytest.importorskip("matplotlib")
    assert len(WRONG.plot().axes) == 6  # three pictures, three scales
    with pytest.raises(ValueError, match="nothing to plot"):
        Verdict("holds", checks=1).plot()


def test_a_verdict_that_holds_says_its_convention_once():
    told = "right, in the full convention; not the partial derivative when S_12 and S_21 move together."
    held = Verdict("holds", convention="full", checks=2, explanation=told)
    assert held.message == (
        "holds, in the full convention: not the partial derivative when S_12 and S_21 move together."
    )
    assert held.explanation == told
