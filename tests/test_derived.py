"""What `gdiff.derive` returns is right, in its convention, as few steps as a text-book; and a broken rule is caught."""

import pickle
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import gdiff
from gdiff import derive
from gdiff.derivation import rules
from gdiff.derivation.differential import Differentiation
from gdiff.derived import DerivationError, derivation_of
from gdiff.given import STRUCTURE_OF
from gdiff.lookup import catalogue
from gdiff.tolerance import question

GAUSSIAN = "-1/2*(log(det(S)) + x'*inv(S)*x)"
POSITIVE = {"S": "positive_definite"}
S = np.array([[4, 1, 0.5], [1, 3, 0.2], [0.5, 0.2, 2]])
X = np.array([1, -2, 1.5])


def test_the_gaussian_score_prints_as_the_design_has_it_in_few_steps():
    found = derive(GAUSSIAN, "S", assume=POSITIVE, convention="symmetric")
    wanted = "df/dS = -1/2 (2 S^-1 - S^-1∘I - 2 S^-1 x x' S^-1 + (S^-1 x x' S^-1)∘I)"
    assert found.text(steps=False) == wanted
    assert len(found.steps) <= 8
    assert found.verdict.holds
    assert found.verdict.convention == "symmetric"
    # EXPERIENCE: entry [2,1] of A is -0.109161, that of B -0.218322
    b = found.function()(S=S, x=X)
    a = derive(GAUSSIAN, "S", assume=POSITIVE).function()(S=S, x=X)
    assert round(float(a[1, 0]), 6) == -0.109161
    assert round(float(b[1, 0]), 6) == -0.218322
    np.testing.assert_allclose(b, gdiff.symmetric.to_symmetric(a), rtol=question())


def test_the_hessian_in_the_mean_is_minus_the_precision():
    text = "-1/2*(n*log(2*pi) + log(det(S)) + (x - mu)'*inv(S)*(x - mu))"
    assert derive(text, "mu", assume=POSITIVE, order=2).text(steps=False) == "d2f/dmu2 = -S^-1"


@pytest.mark.parametrize("convention", ["full", "symmetric"])
def test_the_hessian_in_the_covariance_is_the_hand_written_one(convention):
    found = derive(GAUSSIAN, "S", assume=POSITIVE, order=2, convention=convention)
    mean = np.zeros(3)
    want = gdiff.closed_form.hessian(X, mean, S, convention).cov
    np.testing.assert_allclose(found.function()(S=S, x=X), want, rtol=question(), atol=question())
    assert found.bilinear.text.startswith("-1/2*tr((")
    assert ("duplication" if convention == "symmetric" else "commutation") in found.expression.text


@pytest.mark.parametrize(
    ("text", "wrt", "assume", "result"),
    [
        ("log(det(X))", "X", {}, "X^-T"),
        ("x'*A*x", "x", {}, "(A + A') x"),
        ("x'*A*x", "x", {"A": "symmetric"}, "2 A x"),
        ("x'*A*x/(x'*x)", "x", {"A": "symmetric"}, "2 (A x - (x' A x) x/(x' x))/(x' x)"),
        ("norm(y - X*b)^2", "b", {}, "-2 X' (y - X b)"),
        ("tr(A*inv(X)*B)", "X", {}, "-X^-T A' B' X^-T"),
        ("x'*D*x", "D", {"D": "diagonal"}, "ddiag(x x')"),
        ("log(det(D))", "D", {"D": "diagonal"}, "D^-1"),
        ("x'*L*L'*x", "L", {"L": "lower_triangular"}, "2 tril(x x' L)"),
        ("tr(Q'*A*Q*inv(Q)*B)", "A", {"Q": "orthogonal"}, "Q B'"),
        ("x'*S*y", "S", {"S": "symmetric"}, "1/2 (x y' + y x')"),
        ("log(sum(exp(x)))", "x", {}, "exp(x)/sum(exp(x))"),
        ("sum(log(1 + exp(-X*b)))", "b", {}, None),
        ("a^b", "a", {"a": "positive"}, "b a^(b - 1)"),
        ("log|det(X)|", "X", {}, "X^-T"),
        ("tr(A*pinv(X))", "X", {}, None),
        ("tr(X)", "X", {}, "I"),
        ("sum(diag(A*X))", "X", {}, "A'"),
        ("tr(sqrt(X))", "X", {}, "1/2 (sqrt(X).^-1∘I)"),
        ("a'*X*b", "X", {}, "a b'"),
        ("tr(X) - tr(X)", "X", {}, "zeros(d, d)"),
    ],
)
def test_results_as_a_person_writes_them(text, wrt, assume, result):
    found = derive(text, wrt, assume=assume)
    if result is not None:
        assert found.text(steps=False) == f"df/d{wrt} = {result}"


@pytest.mark.parametrize(
    ("text", "wrt", "options", "result"),
    [
        ("A*X*B", "X", {}, "B'⊗A"),
        ("inv(X)", "X", {}, "-X^-T⊗X^-1"),
        ("X*w", "w", {}, "X"),
        ("tril(X)", "X", {}, "diag(vec(tril(ones(d, d))))"),
        ("exp(x)", "x", {"shapes": {"x": ("d",)}}, "diag(exp(x))"),
        ("S*A", "S", {"assume": {"S": "symmetric"}, "convention": "symmetric"}, "(A'⊗eye(n)) duplication(n)"),
        ("inv(X'*X)*X'*y", "y", {"shapes": {"X": ("n", "p")}}, "(X' X)^-1 X'"),
        ("K*inv(K + c*I)*y", "y", {}, "K (K + c I)^-1"),
        ("L*L'", "L", {"assume": {"L": "lower_triangular"}}, None),
        ("inv(D)", "D", {"assume": {"D": "diagonal"}}, None),
        ("X'*X - X'*X", "X", {}, "zeros(p, p)⊗zeros(p, n)"),
        ("x/norm(x)", "x", {}, "(I - x x'/norm(x)^2)/norm(x)".replace("norm(x)", "‖x‖")),
    ],
)
def test_jacobians(text, wrt, options, result):
    found = derive(text, wrt, **options)
    assert result is None or found.text(steps=False).split(" = ")[1] == result


def test_sympy_goes_in_and_comes_out():
    d = sp.Symbol("d", integer=True, positive=True)
    s, x = sp.MatrixSymbol("S", d, d), sp.MatrixSymbol("x", d, 1)
    found = derive(sp.log(sp.Determinant(s)) + sp.Trace(x.T * s.inv() * x), s, assume={s: "positive definite"})
    assert found.result == sp.MatAdd(s.inv(), sp.MatMul(-1, s.inv(), x, x.T, s.inv()))
    assert pickle.loads(pickle.dumps(found.result)) == found.result


def test_the_function_takes_every_name_and_can_be_jitted_batched_and_differentiated():
    found = derive("n*log(det(S)) + x'*inv(S)*x", "x", assume=POSITIVE)
    f = found.function()
    want = 2 * np.linalg.solve(S, X)
    np.testing.assert_allclose(f(S=S, x=X, n=3.0), want, rtol=question())  # n dropped out
    batch = jnp.stack([X, 2 * X])
    many = jax.jit(jax.vmap(lambda x: f(S=S, x=x, n=1.0)))(batch)
    np.testing.assert_allclose(many, np.stack([want, 2 * want]), rtol=question())
    np.testing.assert_allclose(jax.jacobian(lambda x: f(S=S, x=x, n=1.0))(X), 2 * np.linalg.inv(S), rtol=question())


def test_outputs_for_papers_and_notebooks():
    found = derive(GAUSSIAN, "S", assume=POSITIVE)
    assert found.latex().startswith("\\begin{aligned}")
    assert found.latex().count(r"\\") == len(found.steps) - 1
    assert found._repr_latex_().startswith("$")
    assert "log-determinant" in found._repr_html_()
    assert "Cookbook (43)" in found.text()
    assert "changes by the trace" in found.text(words=True)
    assert "Read as: S: d x d" in found.report()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("x'*A*x", "z"), {}, "the expression has no `z`; its names: x, A"),
        (("x'*A*x", "A"), {"convention": "symmetric"}, "declare it"),
        (("x'*A*x", "A"), {"convention": "upper"}, "convention"),
        (("x'*A*x", "A"), {"order": 3}, "want 1 or 2"),
        (("A*x", "x"), {"order": 2}, "a Hessian is of a scalar"),
        (("x'*A*x", "x"), {"assume": {"A": "unitary"}}, "want one of general"),
        (("x'*A*x", "x"), {"assume": {"B": "symmetric"}}, "the expression has no `B`"),
        (("x'*A*x", "x"), {"assume": {"x": "symmetric"}, "shapes": {"x": ("d",)}}, "square"),
        (("x'*A*x", "A"), {"assume": {"A": "constant"}}, "declared constant"),
        (("tr(Q*A)", "Q"), {"assume": {"Q": "orthogonal"}}, "manifold"),
        (("v'*kron(x, X)*w", "X"), {"shapes": {"v": (6,), "x": (2,), "X": (3, 2), "w": (2,)}}, "kron"),
        (("log(-x'*x)", "x"), {}, "no finite value"),
    ],
)
def test_bad_input_is_an_error_that_says_what_to_do(arguments, options, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        derive(*arguments, **options)


@pytest.mark.parametrize(
    ("text", "wrt", "size"), [("x'*A*x", "A", 9), ("x'*D*x", "D", 9), ("m'*x", "x", 3), ("x'*S*x", "S", 6)]
)
def test_a_hessian_that_is_zero_has_its_shape(text, wrt, size):
    word = {"D": "diagonal", "S": "symmetric"}.get(wrt)
    convention = "symmetric" if word == "symmetric" else "full"
    found = derive(text, wrt, assume={wrt: word} if word else None, order=2, convention=convention)
    values = {"x": X, "A": S, "D": np.diag(X), "S": S, "m": X}
    value = found.function()(**{name: values[name] for name in found.original.symbols})
    np.testing.assert_array_equal(value, np.zeros((size, size)))


def test_letters_keep_what_they_are_where_the_result_is_no_scalar():
    assert derive("exp(x)/sum(exp(x))", "x").original.shapes["x"] == ("d",)
    assert derive("X'*X", "X").original.shapes["X"] == ("n", "p")


def test_a_size_may_be_a_factor_too():
    n, d = sp.symbols("n d", integer=True, positive=True)
    x = sp.MatrixSymbol("X", n, d)
    found = derive(n * sp.Trace(x.T * x), x)
    assert found.expression.text == "2*n*X"


def test_how_the_text_was_read_is_told():
    assert "entry by entry" in derive("tr(exp(A))", "A").report()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((3, "x"), {}, "want a text"),
        (("x'*x", None), {}, "for a name"),
        (("x'*x", ""), {}, "for a name"),
        (("x'*x", "x"), {"assume": ["x"]}, "want a mapping"),
    ],
)
def test_what_is_no_expression_or_name_is_a_type_error(arguments, options, message):
    with pytest.raises(TypeError, match=message):
        derive(*arguments, **options)


def test_a_domain_declares_structure_too_and_records_are_short():
    found = derive(GAUSSIAN, "S", assume={"S": gdiff.domains.PositiveDefinite()}, convention="symmetric")
    assert repr(found).startswith("<Derivation df/dS = ")
    assert hash(found)
    assert derive(gdiff.parse("logdet(S)", symmetric=["S"]), "S", convention="symmetric").verdict.holds


def test_sympy_outside_the_language_is_named():
    x = sp.Symbol("x")
    with pytest.raises(TypeError, match="besselj"):
        derive(sp.besselj(0, x), x)


# an expression that needs the rule, with every rule of the engine in it once
NEEDS = {
    "sum": "x'*A*x + sum(x)",
    "linear function": "sum(exp(x)')",
    "blocks": "sum(cbind(x, A*x))",
    "product": "x'*A*x",
    "Hadamard product": "sum(had(x*x', A))",
    "Kronecker product": "log(det(kron(S + x*x', I_2)))",
    "inverse": "y'*inv(A + x*x')*y",
    "matrix power": "tr((A + x*y')^3)",
    "pseudo-inverse": "y'*pinv(x)'",
    "log-determinant": "log(det(S + x*x'))",
    "determinant": "det(A + x*x')",
    "power": "(x'*x)^3",
    "logarithm": "log(x'*x)",
    "exponential": "exp(-x'*x)",
    "square root": "sqrt(x'*x)",
    "absolute value": "abs(x'*y)",
    "entrywise power": "sum(x.^3)",
    "norm": "norm(x)",
    "constant factor": "2*log(x'*x)",
}


def test_every_rule_is_needed_by_a_case():
    assert set(NEEDS) == {rule.name for rule in (*rules.LINEARITY, *rules.OPERATIONS)} | {"constant factor"}


@pytest.mark.parametrize("factor", [-1, 2])
@pytest.mark.parametrize("name", sorted(NEEDS))
def test_a_mistake_in_a_rule_is_never_returned(name, factor, monkeypatch):
    options = {"assume": POSITIVE} if "S" in NEEDS[name] else {}
    if name in ("linear function",):
        options["shapes"] = {"x": ("d",)}
    derive(NEEDS[name], "x", **options)
    right = Differentiation._rule

    def wrong(self, node, chosen):
        rule = right(self, node, chosen)
        if rule is None or rule.name != name:
            return rule
        return replace(rule, apply=lambda node, a, d: a.times(factor, rule.apply(node, a, d)))

    monkeypatch.setattr(Differentiation, "_rule", wrong)
    with pytest.raises(DerivationError, match="does not follow"):
        derive(NEEDS[name], "x", **options)


def test_a_mistake_in_the_reading_off_is_never_returned(monkeypatch):
    from gdiff.derivation import lines

    right = lines.gradient
    monkeypatch.setattr(lines, "gradient", lambda df, step, a: a.t(right(df, step, a)))
    with pytest.raises(DerivationError, match="does not follow"):
        derive("log(det(X)) + tr(A*X)", "X")


def test_a_mistake_in_the_correction_is_never_returned(monkeypatch):
    from gdiff.derivation import lines

    right = lines.symmetric_correction
    monkeypatch.setattr(lines, "symmetric_correction", lambda g, a: a.times(2, right(g, a)))
    with pytest.raises(DerivationError, match="does not follow"):
        derive(GAUSSIAN, "S", assume=POSITIVE, convention="symmetric")


# --- the catalogue derives itself ------------------------------------------------------------------------------------

TEXTS = [e for e in catalogue if e.text and e.kind not in ("value", "negative definite") and len(e.wrt) == 1]
# What a person sees and the engine does not: the square of a trace, completed; an identity of two terms at once.
LONGER = {"det/of_scalar_second", "trace/shifted_ratio", "kl/first_covariance_symmetric"}


@pytest.mark.parametrize("entry", TEXTS, ids=lambda entry: entry.name)
def test_the_catalogue_derives_itself_with_no_more_operations(entry):
    found = derivation_of(entry)
    if found is None:  # a domain that is no structure of a name: Toeplitz, correlation and the like
        assert any(type(a.domain).__name__ not in STRUCTURE_OF for a in entry.arguments)
        return
    assert found.verdict.holds
    (book,) = (gdiff.parse(entry.text[1], shapes={a.name: a.shape for a in entry.arguments}),)
    mine = found.differential if entry.kind == "differential" else found.expression
    own, theirs = mine.sympy.count_ops(), book.sympy.count_ops()
    assert (own > theirs) == (entry.name in LONGER), f"{found.expression.text} against {entry.text[1]}"
