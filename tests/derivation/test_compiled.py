import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdiff.derivation import parse
from gdiff.derivation.compiled import compile_function
from gdiff.derivation.plan import plan
from tests.derivation.planned_formulas import FORMULAS, SHAPES, STRUCTURE, arguments


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


def read(text):
    formula = parse(text, shapes=SHAPES)
    assert all(formula.shapes[name] == shape for name, shape in parse("A + X'*X + x*x'", shapes=SHAPES).shapes.items())
    return formula


def compiled(text, names=None, structure=STRUCTURE):
    formula = read(text)
    return compile_function(plan(formula.node, formula.all_shapes, structure), names)


def close(got, want):
    """Equal to half the digits, relative to the largest entry."""
    got, want = np.asarray(got), np.asarray(want)
    allowed = np.sqrt(np.finfo(got.dtype).eps)
    return got.shape == want.shape and bool(np.all(np.abs(got - want) <= allowed * np.max(np.abs(want), initial=0)))


def projected(name, gradient, at):
    """The part of a gradient along the structure of an argument."""
    g = np.asarray(gradient)
    match STRUCTURE.get(name):
        case "positive_definite" | "symmetric":
            return (g + g.T) / 2
        case "diagonal":
            return np.diag(np.diag(g))
        case "lower_triangular":
            return np.tril(g)
        case "orthogonal":
            return (g - at @ g.T @ at) / 2
    return g


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("text", FORMULAS)
def test_it_is_the_formula_as_typed(text, d):
    formula, given = read(text), arguments(d)
    assert close(compiled(text)(**given), formula.numpy_function()(**given))


@pytest.mark.parametrize("text", FORMULAS)
def test_its_value_and_gradient_are_those_of_the_formula(text):
    formula, given = read(text), arguments(2, seed=1)
    naive, own = formula.function(list(given)), compiled(text, list(given))
    value = formula.numpy_function()(**given)
    assert close(own(*given.values()), value)
    weights = np.random.default_rng(2).normal(size=value.shape)
    names = formula.symbols
    positions = tuple(list(given).index(name) for name in names)
    if not positions:
        return
    want = jax.grad(lambda *args: jnp.sum(weights * naive(*args)), positions)(*given.values())
    got = jax.grad(lambda *args: jnp.sum(weights * own(*args)), positions)(*given.values())
    for name, one, other in zip(names, got, want, strict=True):
        one = projected(name, one, given[name]) if STRUCTURE.get(name) == "orthogonal" else one
        assert close(one, projected(name, other, given[name])), name


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("inv(A)*x", "inv(A)'*x"),
        ("-1/2*inv(S) + 1/2*inv(S)*x*x'*inv(S)", "1/2*inv(S) + 1/2*inv(S)*x*x'*inv(S)"),
        ("inv(S) - 1/2*had(inv(S), I)", "inv(S)"),
        ("tr(A*B)", "tr(A*B')"),
    ],
)
def test_the_comparison_tells_formulas_apart(text, wrong):
    given = arguments(3)
    assert not close(compiled(text)(**given), read(wrong).function()(**given))


def test_it_jits_and_maps_over_any_argument():
    text = "(nu + 2)/(nu + x'*inv(S)*x)*(inv(S)*x + inv(A)*x)*logdet(A*A')"
    given, other = arguments(3), arguments(3, seed=5)
    f = compiled(text, ("nu", "x", "S", "A"))
    both = [np.stack([given[n], other[n]]) for n in ("nu", "x", "S", "A")]
    want = [f(*(a[i] for a in both)) for i in range(2)]
    assert close(jax.jit(jax.vmap(f))(*both), want)
    assert close(jax.jit(f)(*(a[0] for a in both)), want[0])
    shared = jax.vmap(f, (None, 0, None, None))(both[0][0], both[1], both[2][0], both[3][0])
    assert close(shared[0], want[0])


@pytest.mark.parametrize(
    "text",
    ["logdet(S) + x'*inv(S)*x", "logdet(A*A)*x'*inv(A)*x", "log(nu + x'*inv(S)*x)", "logdet(D*D) + sum(inv(L)*x)"],
)
def test_second_derivatives_are_those_of_the_formula(text):
    formula, given = read(text), arguments(2)
    for name in formula.symbols:
        rest = {n: a for n, a in given.items() if n != name}
        naive, own = formula.function(), compiled(text)
        want = jax.hessian(lambda v, f=naive, n=name, r=rest: f(**{n: v}, **r))(given[name])
        got = jax.hessian(lambda v, f=own, n=name, r=rest: f(**{n: v}, **r))(given[name])
        step = projected(name, np.random.default_rng(0).normal(size=given[name].shape), given[name])
        along = [projected(name, np.tensordot(h, step, step.ndim), given[name]) for h in (got, want)]
        assert close(along[0], along[1]), name


def test_gradients_are_those_of_finite_differences():
    f, given = compiled("-1/2*logdet(S) - 1/2*x'*inv(S)*x + tr(A*inv(S))", ("S", "x", "A")), arguments(3)
    s, x, a = (given[name] for name in ("S", "x", "A"))
    h = np.finfo(float).eps ** (1 / 3)
    direction = projected("S", np.random.default_rng(3).normal(size=s.shape), s)
    slope = (f(s + h * direction, x, a) - f(s - h * direction, x, a)) / (2 * h)
    assert close(np.sum(jax.grad(f)(s, x, a) * direction), slope)


def test_gradients_of_symmetric_arguments_are_symmetric_to_the_last_bit():
    given = arguments(3)
    gradient = jax.grad(compiled("logdet(S)*x'*inv(S)*y + x'*S*y", ("S", "x", "y")))(given["S"], given["x"], given["y"])
    assert np.array_equal(gradient, gradient.T)


def test_single_precision_stays_single_and_meets_no_promotion():
    given = {name: np.float32(array) for name, array in arguments(3).items()}
    with jax.enable_x64(False), jax.numpy_dtype_promotion("strict"):
        for text in FORMULAS:
            assert jax.eval_shape(compiled(text), **given).dtype == np.float32, text


def test_columns_integers_and_names_that_dropped_out_are_taken():
    f, given = compiled("x + 0*y"), arguments(3)
    assert close(f(x=given["x"][:, None], S=given["S"]), given["x"])
    assert close(f(np.array([1, 2, 3]), np.zeros(3)), np.array([1.0, 2.0, 3.0]))


def test_what_has_no_value_is_nan():
    assert np.isnan(compiled("logdet(A)")(A=-np.eye(3)))
    assert np.isnan(compiled("logdet(A) + tr(inv(A))")(A=-np.eye(3)))
    assert np.isnan(compiled("logdet(D)")(D=-np.eye(3)))
    assert np.isnan(compiled("logdet(L)")(L=-np.eye(3)))
    assert np.all(np.isnan(compiled("inv(S)*x")(S=-np.eye(3), x=np.ones(3))))


def test_log_det_does_not_overflow():
    for name in "ASDL":
        assert close(compiled(f"logdet({name})")(**{name: 1e300 * np.eye(3)}), 3 * np.log(1e300))


@pytest.mark.parametrize(
    ("kwargs", "error", "says"),
    [
        ({"S": np.eye(3)}, TypeError, "missing arguments: x"),
        ({"S": np.eye(3), "x": np.ones(3), "q": 1.0}, TypeError, "got an argument `q`"),
        ({"S": np.eye(3), "x": np.ones(4)}, ValueError, r"`x` has shape \(4,\); want d, with d = 3 from another"),
        ({"S": np.eye(3), "x": np.ones((3, 2))}, ValueError, r"`x` has shape \(3, 2\)"),
        ({"S": np.ones((2, 3, 3)), "x": np.ones(3)}, ValueError, "jax.vmap"),
        ({"S": np.ones((3, 2)), "x": np.ones(3)}, ValueError, r"`S` has shape \(3, 2\); want d x d"),
    ],
)
def test_arguments_that_do_not_fit_say_so(kwargs, error, says):
    with pytest.raises(error, match=says):
        compiled("x'*inv(S)*x")(**kwargs)


def test_sizes_that_nothing_tells_are_an_error():
    formula = parse("tr(I)")
    with pytest.raises(ValueError, match="no argument has the dimension"):
        compile_function(plan(formula.node, formula.all_shapes))()
