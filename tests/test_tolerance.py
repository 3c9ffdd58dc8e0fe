import numpy as np
import pytest

from gdiff.tolerance import (
    agree,
    difference_step,
    half_unit,
    printed_precision,
    question,
    tolerance,
    unit_roundoff,
)


def test_the_bound_grows_with_conditioning_and_shrinks_with_the_step():
    assert tolerance("float64", conditioning=10.0) == 10 * tolerance("float64")
    assert tolerance("float64", step=0.5) == 2 * tolerance("float64")
    assert tolerance("float64", step=0.5, order=2) == 4 * tolerance("float64")
    assert tolerance("float32") > 1e8 * tolerance("float64")


def test_truncation_is_added_entry_by_entry():
    bound = tolerance("float64", conditioning=np.array([0.0, 1.0]), truncation=np.array([2.0, 0.0]))
    assert bound[0] == 2.0
    assert bound[1] == tolerance("float64")


def test_integers_count_as_float64():
    assert unit_roundoff(np.int32) == unit_roundoff(np.float64)


def test_the_step_balances_truncation_and_noise():
    for dtype in (np.float64, np.float32):
        h = difference_step(dtype)
        assert h**6 < h
        assert tolerance(dtype, step=h) < question(dtype)


def test_agree_is_about_the_question():
    a = np.array([1.0, 2.0])
    assert agree(a, a * (1 + question() / 3))
    assert not agree(a, a * (1 + 3 * question()))


@pytest.mark.parametrize(("text", "half"), [("0.1667", 0.00005), ("12", 0.5), ("-3.50e-2", 0.00005), (".5", 0.05)])
def test_printed_numbers_are_known_to_half_a_unit_of_their_last_digit(text, half):
    assert float(printed_precision(text)) == half


@pytest.mark.parametrize("text", ["", ".", "x", "1.2.3", "1e"])
def test_what_is_not_a_number_is_refused(text):
    with pytest.raises(ValueError, match="not a number"):
        printed_precision(text)


def test_significant_digits():
    assert half_unit([123.4, -0.05], 3).tolist() == [0.5, 0.00005]
    with pytest.raises(ValueError, match="digits"):
        half_unit([1.0], 0)
