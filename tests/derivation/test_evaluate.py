import jax
import numpy as np
import pytest

from gdiff.derivation import parse

rng = np.random.default_rng(0)
A, B, S = rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), rng.normal(size=(3, 3)) + 4 * np.eye(3)
X, Y, Z = rng.normal(size=(3, 2)), rng.normal(size=(2, 4)), rng.normal(size=(3, 2))
x, y, w = rng.normal(size=3), rng.normal(size=3), rng.normal(size=2)
a, nu = np.float64(0.7), np.float64(5.0)
DATA = {"A": A, "B": B, "S": S, "X": X, "Y": Y, "Z": Z, "x": x, "y": y, "w": w, "a": a, "nu": nu}
inv, det, tr = np.linalg.inv, np.linalg.det, np.trace


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


def close(got, want):
    return got.shape == np.shape(want) and np.allclose(got, want, rtol=np.sqrt(np.finfo(float).eps), atol=0)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("log(det(S)) + x'*inv(S)*x", np.log(det(S)) + x @ inv(S) @ x),
        ("log(det(S)^(-1/2))", -np.log(det(S)) / 2),
        ("-1/2*(2*inv(S) - had(inv(S), I))", -0.5 * (2 * inv(S) - inv(S) * np.eye(3))),
        ("S^-T x", inv(S).T @ x),
        ("S^3 + S^0 + S^-2", np.linalg.matrix_power(S, 3) + np.eye(3) + np.linalg.matrix_power(S, -2)),
        ("x*y'", np.outer(x, y)),
        ("x'*y*w", (x @ y) * w),
        ("S*x*(y'*A*y)", S @ x * (y @ A @ y)),
        ("X*Y", X @ Y),
        ("X∘Z + 2 X", X * Z + 2 * X),
        ("X./Z", X / Z),
        ("X.^2", X**2),
        ("tr(X*Z')", tr(X @ Z.T)),
        ("kron(X, Y)", np.kron(X, Y)),
        ("vec(X*Y)", (X @ Y).T.reshape(-1)),
        ("vech(S)", np.array([S[0, 0], S[1, 0], S[2, 0], S[1, 1], S[2, 1], S[2, 2]])),
        ("diag(x) + diag(A)", np.diag(x) + np.diag(np.diag(A))),
        ("diagonal(A)", np.diag(A)),
        ("x'", x[None, :]),
        ("sum(X) + norm(X)^2 + norm(x)", X.sum() + (X**2).sum() + np.linalg.norm(x)),
        ("exp(x) + sqrt(x.^2) + log(exp(y))", np.exp(x) + np.abs(x) + y),
        ("ones'*x + ones(3)'*x", 2 * x.sum()),
        ("zeros(3, 3) + A", A),
        ("nu^a/2 + 2*pi", nu**a / 2 + 2 * np.pi),
        ("|a - nu|", nu - a),
        ("a/nu*x/2", a / nu * x / 2),
        ("1/3 + 0.25", 1 / 3 + 0.25),
        ("S*eye(3)*ones(3, 2)", S @ np.ones((3, 2))),
    ],
)
def test_values_are_those_of_numpy(text, want):
    expression = parse(text, shapes={"A": ("d", "d"), "Y": ("p", "q")})
    got = expression.function()(**{name: DATA[name] for name in expression.symbols})
    assert close(got, want)


def test_log_det_does_not_overflow_and_is_nan_where_the_determinant_is_negative():
    logdet = parse("log|S|").function()
    assert close(logdet(S=1e300 * np.eye(3)), 3 * np.log(1e300))
    assert np.isnan(logdet(S=-np.eye(3)))


def test_entries_are_free():
    gradient = jax.grad(parse("log(det(S))").function(["S"]))(S)
    assert close(gradient, inv(S).T)


def test_it_jits_maps_and_differentiates_twice():
    f = parse("logdet(S) + x'*inv(S)*x").function(["S", "x"])
    batch = np.stack([x, y])
    assert close(jax.jit(jax.vmap(f, (None, 0)))(S, batch), np.array([f(S, x), f(S, y)]))
    assert close(jax.hessian(f, 1)(S, x), inv(S) + inv(S).T)


def test_columns_and_vectors_names_that_dropped_out_and_integers():
    f = parse("x'*x").function(["S", "x"])
    assert close(f(S, x), f(S=S, x=x[:, None]))
    assert close(parse("a*x").function()(a=np.array([[2]]), x=np.array([1, 2])), np.array([2.0, 4.0]))


def test_single_precision_stays_single():
    with jax.enable_x64(False), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        f = parse("1/2*logdet(S) + 2*x'*(inv(S) + 0.1*I)*x + sum(x).^2*pi").function()
        assert f(S=np.float32(S), x=np.float32(x)).dtype == np.float32


@pytest.mark.parametrize(
    ("kwargs", "error", "says"),
    [
        ({"S": S}, TypeError, "missing arguments: x"),
        ({"S": S, "x": x, "q": x}, TypeError, "got an argument `q`"),
        ({"S": S, "x": np.ones(4)}, ValueError, r"`x` has shape \(4,\); want d, with d = 3 from another"),
        ({"S": S, "x": np.ones((3, 2))}, ValueError, r"`x` has shape \(3, 2\)"),
        ({"S": S, "x": np.ones((2, 3, 1))}, ValueError, "jax.vmap"),
        ({"S": S, "x": 1.0}, ValueError, "0 axes"),
    ],
)
def test_arguments_that_do_not_fit_say_so(kwargs, error, says):
    with pytest.raises(error, match=says):
        parse("x'*S*x").function()(**kwargs)


def test_sizes_that_nothing_tells_are_an_error():
    with pytest.raises(ValueError, match="no argument has the dimension"):
        parse("tr(I)").function()()
