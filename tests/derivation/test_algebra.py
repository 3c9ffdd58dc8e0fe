"""What is rewritten keeps its value, at matrices of every declared structure, and reads as a person writes it."""

import jax
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gdiff.derivation import parse
from gdiff.derivation.algebra import Algebra
from gdiff.derivation.constants import written_out
from gdiff.derivation.errors import Unsupported
from gdiff.derivation.evaluate import function_of
from gdiff.derivation.lines import plain_gradient
from gdiff.derivation.printer import to_plain, to_text
from gdiff.derivation.structure import Structure
from gdiff.derivation.tidy import operations, presented, tidiest
from gdiff.tolerance import question
from tests.derivation.test_printer import SHAPES, expressions

SQUARE = ("d", "d")
STRUCTURE = {"S": "positive_definite", "W": "symmetric", "D": "diagonal", "L": "lower_triangular", "Q": "orthogonal"}
NAMES = {**SHAPES, **dict.fromkeys(STRUCTURE, SQUARE), "B": SQUARE, "y": ("d",)}
ALGEBRA = Algebra(Structure(STRUCTURE))
REWRITES = {
    "simplify": ALGEBRA.simplify,
    "expand": lambda node: ALGEBRA.expand(ALGEBRA.simplify(node)),
    "tidiest": lambda node: tidiest(ALGEBRA.simplify(node), ALGEBRA),
    "presented": lambda node: presented(ALGEBRA.simplify(node)),
    "transposed twice": lambda node: ALGEBRA.t(ALGEBRA.t(ALGEBRA.simplify(node))),
}


def point(seed=0, d=3, p=4):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(d, d))
    sizes = {"d": d, "p": p}
    out = {name: rng.uniform(0.5, 1.5, [sizes[s] for s in shape]) for name, shape in NAMES.items()}
    out |= {"S": a @ a.T + np.eye(d), "W": a + a.T, "D": np.diag(rng.uniform(0.5, 2.0, d))}
    return out | {"L": np.tril(a) + 3 * np.eye(d), "Q": np.linalg.qr(a)[0]}


def value(node, shapes, at):
    with np.errstate(all="ignore"):
        try:
            return np.asarray(function_of(node, shapes, list(NAMES), np)(**at))
        except np.linalg.LinAlgError:
            return np.array(np.nan)


def close(got, want):
    size = max(1.0, float(np.max(np.abs(want))))
    return got.shape == want.shape and bool(np.all(np.abs(got - want) <= question() * size))


@settings(max_examples=150)
@pytest.mark.parametrize("rewrite", REWRITES)
@given(text=expressions())
def test_rewriting_keeps_the_value(rewrite, text):
    expression = parse(text, shapes=NAMES)
    at = point()
    want = value(expression.node, expression.all_shapes, at)
    assume(np.all(np.isfinite(want)) and np.max(np.abs(want)) < 1e6)
    made = written_out(REWRITES[rewrite](expression.node))
    got = value(made, expression.all_shapes, at)
    assume(np.all(np.isfinite(got)))  # a whole power of a singular matrix and the like
    assert close(got, want), to_text(made)


@given(text=expressions())
def test_the_plain_notation_is_read_back(text):
    node = presented(ALGEBRA.simplify(parse(text, shapes=NAMES).node))
    printed = to_plain(node)
    expression = parse(printed, shapes=NAMES)
    assert to_plain(expression.node) == printed


@given(text=expressions(kind="matrix"))
def test_what_is_called_symmetric_diagonal_or_triangular_is_so(text):
    structure = Structure(STRUCTURE)
    expression = parse(text, shapes=NAMES)
    node = ALGEBRA.simplify(expression.node)
    array = value(node, expression.all_shapes, point())
    assume(np.all(np.isfinite(array)) and np.max(np.abs(array)) < 1e6)
    if structure.is_symmetric(node):
        assert close(array.T, array)
    if structure.is_diagonal(node):
        assert close(array * np.eye(len(array)), array)
    if structure.is_lower(node):
        assert close(np.tril(array), array)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("inv(S)*S*x", "x"),
        ("x'*A*x*B*y", "(x'*A*x)*B*y"),
        ("tr(A*x*x')", "x'*A*x"),
        ("tr(inv(S)*A*S)", "tr(A)"),
        ("inv(A*B)*A", "inv(B)"),
        ("(S*A)'*x", "A'*S*x"),
        ("inv(A)'*A'", "I"),
        ("Q'*Q*x + inv(Q)*y", "x + Q'*y"),
        ("inv(2*a*S)", "1/2*inv(S)/a"),
        ("x'*y + y'*x", "2*x'*y"),
        ("tr(A'*B) + tr(B'*A)", "2*tr(A'*B)"),
        ("vec(A)'*vec(B)", "tr(A'*B)"),
        ("kron(A, B)*vec(S)", "vec(B*S*A')"),
        ("kron(A, B)*kron(inv(A), S)", "kron(I_d, B*S)"),
        ("tr(kron(A, B))", "tr(A)*tr(B)"),
        ("had(2*A, 3*B)", "6*had(A, B)"),
        ("had(D, I)", "D"),
        ("norm(x)^2/norm(x)", "norm(x)"),
        ("sqrt(a^2)", "sqrt(a^2)"),
        ("|a|^2/a", "a"),
        ("A*pinv(A)*A*x", "A*x"),
        ("inv(X'*A*X)*(X'*A*X)*w", "w"),
        ("diagonal(x*y')", "had(x, y)"),
        ("diagonal(A*diag(x)*B)", "had(A, B')*x"),
        ("2*(A + B) - B*2", "2*A"),
        ("1/(1 + a/nu)/nu", "1/(nu + a)"),
        ("inv(S)*inv(S)*x", "S^-2*x"),
        ("sum(had(x, y))", "x'*y"),
        ("commutation(d, p)*vec(X)", "vec(X')"),
    ],
)
def test_a_person_would_write_it_so(text, made):
    node = presented(ALGEBRA.simplify(parse(text, shapes=NAMES).node))
    assert node == presented(parse(made, shapes=NAMES).node), to_text(node)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("A*x + B*x", "(A + B)*x"),
        ("2*a*A*x - 4*a*y", "2*a*(A*x - 2*y)"),
        ("A'*B*x - A'*y", "A'*(B*x - y)"),
        ("A/nu - B/nu^2", "(A - B/nu)/nu"),
        ("inv(S)*A*inv(S) - inv(S)*B*inv(S)", "inv(S)*(A - B)*inv(S)"),
        ("inv(S) - inv(S)*x*x'*inv(S)", "inv(S) - inv(S)*x*x'*inv(S)"),
        ("a*tr(A*B) + tr(A*S)", "tr(A*(S + a*B))"),
    ],
)
def test_common_factors_stand_outside(text, made):
    node = presented(tidiest(ALGEBRA.simplify(parse(text, shapes=NAMES).node), ALGEBRA))
    wanted = presented(parse(made, shapes=NAMES).node)
    assert operations(node) <= operations(wanted), to_text(node)
    at, shapes = point(), parse(made, shapes=NAMES).all_shapes
    assert close(value(node, shapes, at), value(wanted, shapes, at))


def test_a_structure_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="want one of general, symmetric"):
        Structure({"S": "unitary"})


@settings(max_examples=150)
@given(text=expressions(kind="scalar"), wrt=st.sampled_from(["S", "A", "x", "X", "w", "a"]))
def test_the_gradient_of_anything_is_that_of_autodiff_or_refused(text, wrt):
    expression = parse(text, shapes=NAMES)
    assume(wrt in expression.symbols)
    names = [name for name in NAMES if name in expression.all_shapes]
    at = {name: x for name, x in point().items() if name in names}
    f = expression.function(names)
    with np.errstate(all="ignore"):
        want = np.asarray(jax.grad(lambda x: f(**{**at, wrt: x}))(at[wrt]))
    assume(np.all(np.isfinite(want)) and np.max(np.abs(want)) < 1e6)
    general = Structure()
    try:
        g = plain_gradient(expression.node, wrt, expression.all_shapes[wrt], general)
    except Unsupported:
        return
    got = value(g, expression.all_shapes, point())
    assume(np.all(np.isfinite(got)))
    assert close(got.reshape(want.shape), want), to_text(g)
