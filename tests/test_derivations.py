"""What `gdiff.derive` answers on the list of expressions, by a judge that is not gdiff's own, and that judge itself."""

import numpy as np
import pytest
import sympy as sp

from benchmarks import sympy_diff
from benchmarks.derivations import (
    FINE,
    LIST,
    SYMMETRIC,
    Answer,
    agrees,
    draw,
    examine,
    gradients,
    judge,
    project,
    read_list,
    summary,
)
from gdiff.display import Table

LINES = read_list(LIST.read_text())
WITHIN = [line for line in LINES if not line.refused]
REFUSED = [line for line in LINES if line.refused]


def named(name):
    return next(line for line in LINES if line.name == name)


# --- the list -------------------------------------------------------------------------------------------------------


def test_the_list_is_long_and_says_where_each_expression_is_from():
    assert len(WITHIN) >= 150
    assert len(REFUSED) >= 10
    assert all(line.source for line in WITHIN)
    assert all(line.section for line in LINES)
    assert len({line.name for line in LINES}) == len(LINES)


def test_every_expression_is_read_as_a_scalar():
    assert [line.name for line in WITHIN if line.expression.shape] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a | x'*x | shape: x=3", "key"),
        ("a | x'*x | symmetric", "key"),
        ("a | x'*x | source: b | source: c", "once"),
        ("a | x'*x\na | y'*y", "line 2: got `a` twice"),
        ("a | x'*x | wrt: y", "y: declared"),
        ("a | x'*S*x | symmetric: S | diagonal: S", "one structure"),
        ("a | x'*x | shapes: x", "rows,columns"),
        ("a | eig(A) | refused: eig", "no wrt"),
        ("a | x'*", "line 1"),
    ],
)
def test_a_line_that_is_not_in_the_format_is_an_error(text, message):
    with pytest.raises(ValueError, match=message):
        read_list(text)


# --- the judge ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("structure", "convention", "projected"),
    [
        (None, "full", [[1, 2], [4, 8]]),
        ("symmetric", "full", [[1, 3], [3, 8]]),
        ("positive_definite", "symmetric", [[1, 6], [6, 8]]),
        ("diagonal", "full", [[1, 0], [0, 8]]),
        ("lower_triangular", "full", [[1, 0], [4, 8]]),
    ],
)
def test_a_gradient_by_free_entries_is_projected_on_the_structure(structure, convention, projected):
    assert project(np.array([[1.0, 2.0], [4.0, 8.0]]), structure, convention).tolist() == projected


def test_the_reference_takes_every_entry_for_free():
    found = gradients(named("log_det"), {"X": np.array([[2.0, 1.0], [0.0, 4.0]])}, ("X",))
    np.testing.assert_allclose(found["X"], [[0.5, 0.0], [-0.125, 0.25]], rtol=1e-15)


@pytest.mark.parametrize(
    "name", ["log_det_rotated", "factor_analysis_matrix", "gaussian_cholesky", "lyapunov_residual"]
)
def test_points_have_the_structure_that_is_declared(name):
    line = named(name)
    for point in draw(line):
        for argument, structure in line.structure.items():
            value = point[argument]
            if structure in SYMMETRIC:
                np.testing.assert_array_equal(value, value.T)
            if structure == "positive_definite":
                assert np.linalg.eigvalsh(value).min() > 0
            if structure == "diagonal":
                np.testing.assert_array_equal(value, np.diag(np.diag(value)))
            if structure == "lower_triangular":
                np.testing.assert_array_equal(value, np.tril(value))
            if structure == "orthogonal":
                assert agrees(value @ value.T, np.eye(len(value)))


@pytest.mark.parametrize(
    "mistake",
    [np.negative, np.transpose, lambda g: 2 * g, lambda g: g - np.diag(np.diag(g)), lambda g: g + 1e-6, lambda g: g[0]],
    ids=["sign", "transpose", "factor", "no diagonal", "a little off", "shape"],
)
def test_a_planted_mistake_is_seen_in_the_formula_and_in_the_function(mistake):
    line = named("log_det")
    asked = [(point, gradients(line, point, ("X",))["X"]) for point in draw(line)]
    right, wrong = (lambda X: np.linalg.inv(X).T), (lambda X: mistake(np.linalg.inv(X).T))
    assert judge(asked, right, right) == ("right", "")
    assert judge(asked, wrong, right)[0] == "wrong"
    assert judge(asked, right, wrong)[0] == "wrong function"


def test_counts_are_by_section_and_in_all():
    answers = [Answer("a", "one", "x", "full", "right", ratio=2.0), Answer("b", "two", "x", "full", "wrong")]
    rows = summary(answers).rows
    assert [row[:4] for row in rows] == [("one", 1, 1, 0), ("two", 1, 0, 1), ("in all", 2, 1, 1)]


# --- gdiff ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", WITHIN[::15], ids=lambda line: line.name)
def test_derivatives_are_right_by_every_argument_in_every_convention(line):
    assert [answer for answer in examine(line) if answer.status not in FINE] == []


@pytest.mark.parametrize("line", REFUSED, ids=lambda line: line.name)
def test_what_is_outside_of_the_language_is_refused_by_name(line):
    assert [answer for answer in examine(line) if answer.status not in FINE] == []


@pytest.mark.parametrize("line", [line for line in WITHIN[::30] if not line.no_formula], ids=lambda line: line.name)
def test_the_page_shows_what_is_derived(line):
    page = (LIST.parents[1] / "DERIVATIONS.md").read_text()
    for answer in examine(sympy_diff.free(line)):
        cell = Table(("",), ((answer.formula,),)).markdown().splitlines()[-1]
        assert cell in page


# --- SymPy ----------------------------------------------------------------------------------------------------------


X = sp.MatrixSymbol("X", 3, 3)


@pytest.mark.parametrize(
    ("answered", "outcome"),
    [
        (X.T.inv(), "right"),
        (X.inv(), "right"),  # laid out as the transpose
        (2 * X.inv(), "wrong"),
        (sp.ZeroMatrix(3, 3), "wrong"),
        (sp.Derivative(sp.Determinant(X), X), "unusable"),
        (sp.MatrixSymbol("Z", 3, 3), "unusable"),
    ],
    ids=str,
)
def test_what_sympy_answers_is_judged_by_its_numbers(answered, outcome):
    line = named("log_det")
    asked = [(point, gradients(line, point, ("X",))["X"]) for point in draw(line)]
    assert sympy_diff._judge(answered, asked) == outcome


@pytest.mark.parametrize(
    ("name", "wrt", "outcome"), [("trace_product", "X", "right"), ("vec_linear", "X", "not in SymPy")]
)
def test_sympy_is_asked_and_credited(name, wrt, outcome):
    line = sympy_diff.free(named(name))
    asked = [(point, gradients(line, point, (wrt,))[wrt]) for point in draw(line)]
    assert sympy_diff.ask_sympy(line, wrt, asked)[0] == outcome


def test_sympy_may_write_a_sum_of_forms_as_a_matrix():
    line = named("complete_square")
    assert {str(type(way).__name__) for way in sympy_diff._ways(line.expression)} == {"Add", "Trace", "MatAdd"}
