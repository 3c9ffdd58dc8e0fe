from fractions import Fraction

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdiff.derivation import from_sympy, parse
from gdiff.derivation.printer import number_text

SHAPES = {"S": ("d", "d"), "A": ("d", "d"), "X": ("d", "p"), "x": ("d",), "mu": ("d",), "w": ("p",), "a": (), "nu": ()}


@st.composite
def expressions(draw, kind="any", depth=3):
    """Texts, with more brackets than anyone writes, of a scalar, a d-vector or a d x d matrix."""
    if kind == "any":
        kind = draw(st.sampled_from(["scalar", "vector", "matrix"]))
    part = {k: expressions(k, depth - 1) for k in ("scalar", "vector", "matrix")}
    leaves = {
        "scalar": ["a", "nu", "pi", "2", "1/3", "0.1", "7"],
        "vector": ["x", "mu", "ones(d)", "X*w"],
        "matrix": ["S", "A", "S + I", "X*X'", "ones(d, d)"],
    }
    leaf = draw(st.sampled_from(leaves[kind]))
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return leaf
    rules = {
        "scalar": [
            *("tr({matrix})", "det({matrix})", "log({scalar})", "exp({scalar})", "({vector})'*({matrix})*({vector})"),
            *("({scalar})/({scalar})", "sqrt({scalar})", "({scalar})^2", "({scalar})^(a)", "norm({vector})"),
            *("-({scalar})", "({scalar}) - ({scalar})", "({scalar})*({scalar})", "({scalar})^-1", "|{scalar}|"),
            *("sum({vector})", "|{matrix}|"),
        ],
        "vector": [
            *("({matrix})*({vector})", "({scalar})*({vector})", "({vector}) + ({vector})", "({vector}) - ({vector})"),
            *("had({vector}, {vector})", "exp({vector})", "diagonal({matrix})", "({vector})/({scalar})"),
            *("({vector}).^-2", "({vector})*({scalar})", "-1/2*({vector})"),
        ],
        "matrix": [
            *("({matrix})*({matrix})", "({matrix})'", "inv({matrix})", "had({matrix}, {matrix})", "({matrix})^2"),
            *("diag({vector})", "diag({matrix})", "({matrix}) - ({matrix})", "-({matrix}) + ({matrix})"),
            *("inv({matrix})'", "({scalar})*({matrix})", "({matrix})/({scalar})", "({matrix})^-2", "-1/2*({matrix})"),
            "({vector})*({vector})'",
        ],
    }
    rule = draw(st.sampled_from(rules[kind]))
    pieces = rule.replace("{scalar}", "\0s").replace("{vector}", "\0v").replace("{matrix}", "\0m").split("\0")
    names = {"s": "scalar", "v": "vector", "m": "matrix"}
    return pieces[0] + "".join(draw(part[names[piece[0]]]) + piece[1:] for piece in pieces[1:])


@settings(derandomize=True, max_examples=200, deadline=None)
@given(expressions())
def test_what_is_printed_is_read_back_as_the_same(text):
    expression = parse(text, shapes=SHAPES)
    assert parse(expression.text, shapes=SHAPES) == expression
    assert parse(expression.text, shapes=SHAPES).text == expression.text
    assert parse(expression.latex(), shapes=SHAPES) == expression


@settings(derandomize=True, max_examples=100, deadline=None)
@given(expressions(depth=2))
def test_what_went_through_sympy_prints_the_same_value(text):
    expression = parse(text, shapes=SHAPES)
    again = from_sympy(expression.sympy)
    rng = np.random.default_rng(0)
    sizes = {"d": 2, "p": 3}
    data = {name: rng.uniform(0.5, 1.5, [sizes[str(s)] for s in shape]) for name, shape in SHAPES.items()}
    names = list(SHAPES)
    with jax.enable_x64(True):
        reread = parse(again.text, shapes={**SHAPES, **again.shapes})
        value, want = (np.asarray(e.function(names)(**data)) for e in (reread, expression))
    np.testing.assert_allclose(value, want, rtol=1e-6)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(1, 3), "1/3"),
        (Fraction(-5, 2), "-5/2"),
        (Fraction(1, 10**4), "0.0001"),
        (Fraction(314159, 10**5), "3.14159"),
        (Fraction(1, 10**30), "1e-30"),
        (Fraction(12), "12"),
    ],
)
def test_numbers_print_exactly(value, text):
    assert number_text(value) == text
    assert Fraction(text) == value


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("-1/2*inv(Sigma)", r"-\frac{1}{2} \Sigma^{-1}"),
        ("inv(S)'*x", r"S^{-\top} x"),
        ("2*A - had(A, I)", r"2 A - \left(A \circ I\right)"),
        ("log(det(S_1))", r"\log\left|S_{1}\right|"),
        ("tr(A)/nu", r"\operatorname{tr}\left(A\right) \frac{1}{\nu}"),
        ("x_hat", r"x_{hat}"),
        ("cov*x", r"\mathrm{cov} x"),
    ],
)
def test_the_style_of_latex(text, latex):
    assert parse(text).latex() == latex


def test_the_square_of_a_name_is_not_the_exponential():
    square = parse("(e)^2")
    assert square.text == "(e)^2"
    assert parse("e^2").text == "exp(2)"
    assert parse(square.latex()) == square


@pytest.mark.parametrize(
    ("text", "typeset"),
    [
        ("2*A*x/(x'*B*x)", r"\frac{2 A x}{x^\top B x}"),
        ("-x/norm(x)", r"-\frac{x}{\left\|x\right\|}"),
        ("-inv(X)*dX*inv(X)", r"-X^{-1} \mathrm{d}X X^{-1}"),
        ("inv(S0)*m1", r"S_{0}^{-1} m_{1}"),
        ("dSigma*x", r"\mathrm{d}\Sigma x"),
    ],
)
def test_typeset_is_as_a_book_has_it(text, typeset):
    assert parse(text).typeset() == typeset
