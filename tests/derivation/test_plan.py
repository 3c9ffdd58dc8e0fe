import jax
import numpy as np
import pytest

from gdiff.derivation import parse
from gdiff.derivation.compiled import compile_function
from gdiff.derivation.plan import plan
from tests.derivation.planned_formulas import FORMULAS, SHAPES, STRUCTURE, arguments


def planned(text, structure=STRUCTURE):
    formula = parse(text, shapes=SHAPES)
    return plan(formula.node, formula.all_shapes, structure)


def operations(text, structure=STRUCTURE):
    return [step.operation for step in planned(text, structure).steps]


def primitives(jaxpr):
    """The names of all primitives, those within calls too."""
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        for parameter in equation.params.values():
            for inner in parameter if isinstance(parameter, tuple | list) else [parameter]:
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from primitives(inner)


def factorisations(text, structure=STRUCTURE):
    formula = parse(text, shapes=SHAPES)
    given = {name: array for name, array in arguments(3).items() if name in formula.symbols}
    f = compile_function(planned(text, structure))
    names = list(primitives(jax.make_jaxpr(lambda kwargs: f(**kwargs))(given).jaxpr))
    return {name: names.count(name) for name in ("cholesky", "lu", "qr", "svd") if name in names}


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("-1/2*inv(S) + 1/2*inv(S)*x*x'*inv(S)", {"cholesky": 1}),
        ("logdet(S)*inv(S) + inv(S')*x*y'*inv(S) + det(S)*S^-2", {"cholesky": 1}),
        ("inv(S)*x + inv(T)*x + logdet(S) *y+ x*tr(inv(T)*A)", {"cholesky": 2}),
        ("inv(S + A*A')*x + x*logdet(S + A*A')", {"cholesky": 1}),
        ("inv(X'*X)*X'*w + inv(X'*X)*x", {"cholesky": 1}),
        ("inv(2*S)*x + inv(S)'*y", {"cholesky": 1}),
        ("inv(exp(a)*S + (1 + b^2)*I)*x", {"cholesky": 1}),
        ("inv(S + a*I)*x", {"lu": 1}),
        ("inv(S - T)*x", {"lu": 1}),
        ("inv(W)*x", {"lu": 1}),
        ("inv(A)*x + inv(A)'*y + inv(A')*x*logdet(A)*det(A)", {"lu": 1}),
        ("inv(A)*x + inv(B)*y", {"lu": 2}),
        ("inv(L)*x + inv(L)'*y + x*logdet(L)", {}),
        ("inv(L*L')*x", {}),
        ("inv(D)*x + x*logdet(D) + x*det(D)", {}),
        ("inv(Q)*x", {}),
    ],
)
def test_a_matrix_is_factorised_once_and_as_its_structure_allows(text, want):
    assert factorisations(text) == want


def test_without_a_declared_structure_everything_is_general():
    assert factorisations("inv(S)*x + inv(S)'*y", {}) == {"lu": 1}


@pytest.mark.parametrize(
    "text",
    [
        "inv(S)*x",
        "x'*inv(S)",
        "x'*inv(S)*y",
        "inv(S)*x*x'*inv(S)",
        "had(inv(S)*x*x'*inv(S), I)",
        "tr(inv(S)*A)",
        "inv(S)*A",
        "A*inv(S)",
        "X*inv(S)*X'",
        "inv(A)*x + inv(A)'*y",
        "(inv(S) - inv(S)*x*x'*inv(S))*y",
        "tr((inv(S) - inv(S)*A*inv(S))*B)",
        "inv(S)^2*x",
    ],
)
def test_no_inverse_is_formed_where_a_solve_will_do(text):
    assert not {"inverse", "lu_inverse", "cholesky_inverse"}.intersection(operations(text))


@pytest.mark.parametrize(("text", "name"), [("inv(S) + A", "cholesky_inverse"), ("had(inv(A), I)", "inverse")])
def test_an_inverse_that_is_asked_for_is_formed(text, name):
    assert operations(text).count(name) == 1


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("inv(S)*x*x'*inv(S)", {"cholesky_solve": 1, "outer": 1, "matmul": 0}),
        ("inv(S)*x + y*(x'*inv(S)*x)", {"cholesky_solve": 1, "dot": 1}),
        ("A*B*x", {"matmul": 2, "dot": 0}),
        ("x*y'*A*x", {"matmul": 1, "dot": 1, "outer": 0}),
        ("x*(y'*x)*y'", {"outer": 1, "dot": 1, "matmul": 0}),
        ("tr(A*B)", {"matmul": 0, "trace": 0, "times": 1, "total": 1}),
        ("tr(x*y'*A)", {"matmul": 1, "dot": 1, "outer": 0}),
        ("ddiag(x*y')", {"outer": 0, "times": 1}),
        ("diagonal(A*B)", {"matmul": 0, "row_sums": 1}),
        ("D*A*diag(x)", {"matmul": 0, "scale_rows": 1, "scale_columns": 1}),
        ("D*x + diag(y)*x", {"matmul": 0, "diag_matrix": 0}),
        ("I*x + x'*I*y*x", {"eye": 0, "matmul": 0, "dot": 1}),
        ("a*I + D", {"eye": 0, "diag_matrix": 1}),
        ("A*B + (A*B)*A + (B'*A')", {"matmul": 2}),
        ("ones'*x", {"dot": 0, "total": 1}),
        ("X*ones", {"matmul": 0, "row_sums": 1}),
        ("S*A + (A'*S)'", {"matmul": 1}),
        ("A^8", {"matmul": 3}),
        ("A^5*x", {"matmul": 5}),
    ],
)
def test_nothing_is_done_twice_or_at_length(text, counts):
    done = operations(text)
    assert {name: done.count(name) for name in counts} == counts


@pytest.mark.parametrize("text", FORMULAS)
def test_steps_stand_in_order_each_once_and_all_are_used(text):
    made = planned(text)
    assert all(operand < place for place, step in enumerate(made.steps) for operand in step.operands)
    assert len(set(made.steps)) == len(made.steps)
    assert [count == 0 for count in made.uses()] == [place == made.result for place in range(len(made.steps))]


@pytest.mark.parametrize("text", [text for text in FORMULAS if "pinv" not in text])
def test_products_of_what_runs_keep_their_precision(text):
    formula = parse(text, shapes=SHAPES)
    given = {name: array for name, array in arguments(2).items() if name in formula.symbols}
    f = compile_function(planned(text))
    jaxpr = jax.make_jaxpr(lambda kwargs: f(**kwargs))(given).jaxpr
    highest = jax.lax.Precision.HIGHEST
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            assert equation.params["precision"] in (highest, (highest, highest))


@pytest.mark.parametrize(
    ("structure", "says"),
    [
        ({"S": "posdef"}, "the structure of `S` is 'posdef'; want one of general, symmetric"),
        ({"X": "symmetric"}, "`X` is declared symmetric, but is not square"),
    ],
)
def test_structures_that_make_no_sense_say_so(structure, says):
    with pytest.raises(ValueError, match=says):
        planned("S + X'*X", structure)


def test_the_order_of_a_product_does_not_change_its_value():
    given = arguments(3)
    x, a, s = given["x"], given["A"], given["S"]
    with jax.enable_x64(True):
        got = compile_function(planned("x*x'*A*inv(S)*A'*x"))(x=x, A=a, S=s)
    assert np.allclose(got, x * (x @ a @ np.linalg.inv(s) @ a.T @ x), rtol=np.sqrt(np.finfo(float).eps), atol=0)
