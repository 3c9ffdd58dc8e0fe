"""Programs run primitive by primitive return what JAX returns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gdiff.assessment import draw
from gdiff.identities import CHAPTERS
from gdiff.oracles import judging
from gdiff.primitives import RULES
from gdiff.program import Program
from gdiff.tolerance import tolerance

rng = np.random.default_rng(0)
A, B = rng.normal(size=(4, 3, 3)), rng.normal(size=(4, 3, 3))
S = A @ A.transpose(0, 2, 1) + np.eye(3)
v, n = rng.normal(size=5), np.array([3, -7, 0, 2, 5])
SPECIAL = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1.5, -2.0])

FUNCTIONS = {
    "arithmetic": (lambda a, b: (a + b, a - b, a * b, a / b, -a, a**3, a**-2, jnp.abs(a) ** b, a**2.0), (A, B)),
    "elementary": (
        lambda a: [f(a) for f in (jnp.sin, jnp.cos, jnp.tan, jnp.tanh, jnp.sinh, jnp.cosh, jnp.expm1)],
        (A,),
    ),
    "positive": (lambda a: [f(a) for f in (jnp.log, jnp.log1p, jnp.sqrt, lax.rsqrt, jnp.exp, jnp.square)], (abs(A),)),
    "orders": (
        lambda a, b: (a < b, a <= b, a > b, a >= b, a == b, a != b, jnp.maximum(a, b), jnp.minimum(a, b)),
        (A, B),
    ),
    "logic": (lambda a, b: ((a > 0) & (b > 0), (a > 0) | (b > 0), ~(a > 0), (a > 0) ^ (b > 0)), (A, B)),
    "special values": (
        lambda a: (jnp.sign(a), jnp.isfinite(a), jnp.where(a > 0, a, -a), jnp.abs(a), jnp.maximum(a, 0)),
        (SPECIAL,),
    ),
    "integers": (
        lambda k: (k // 3, k % 3, jnp.sum(k), jnp.max(k), k * k, jnp.sign(k), k.astype(float), jnp.sort(k)),
        (n,),
    ),
    "shapes": (
        lambda a: (
            a.T,
            a[:, 1],
            a[::2, ::-1],
            a.reshape(9, 4),
            jnp.concatenate([a, a], 1),
            jnp.stack([a, a]),
            a[..., None],
            jnp.pad(a, ((0, 1), (2, 0), (0, 0))),
            jnp.flip(a, 1),
            jnp.split(a, 2),
            jnp.squeeze(a[:1]),
            jnp.tril(a),
        ),
        (A,),
    ),
    "reductions": (
        lambda a: (a.sum(), a.sum(1), a.max((0, 2)), a.min(0), a.prod(2), (a > 0).any(1), (a > 0).all(0)),
        (A,),
    ),
    "products": (
        lambda a, b: (
            a @ b,
            jnp.einsum("nij,nkj->nik", a, b),
            jnp.tensordot(a, b, 2 * [[0, 1]]),
            jnp.vdot(a, b),
            jnp.kron(a[0], b[0]),
            jnp.outer(a[0, 0], b[0, 0]),
        ),
        (A, B),
    ),
    "indexing": (
        lambda a: (
            a[jnp.array([2, 0])],
            a[:, jnp.array([0, 2]), jnp.array([1, 1])],
            jnp.diagonal(a, axis1=1, axis2=2),
            a.at[1].set(0.0),
            a.at[:, 0].add(1.0),
            a[jnp.array([7])],
            a.at[jnp.array([0, 0, 9]), :, 1].add(1.0),  # twice the same place, and one outside
            a.at[:, jnp.array([2, 0])].set(a[:, :2]),
            jnp.argmax(a, 1),
            jnp.stack(jnp.unstack(a, axis=1), axis=2),
            lax.pad(a, 0.0, ((-1, 0, 0), (0, -1, 1), (1, -2, 0))),
            jnp.take(a, jnp.array([9]), axis=0),
        ),
        (A,),
    ),
    "factorisations": (
        lambda a, s: (
            jnp.linalg.cholesky(s),
            jnp.linalg.slogdet(a),
            jnp.linalg.inv(a),
            jnp.linalg.solve(a, s),
            jnp.linalg.det(a),
            jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(s), True), a),
        ),
        (A, S),
    ),
    "triangles": (
        lambda s, b: [
            jax.scipy.linalg.solve_triangular(f(s), b, trans=t, lower=f is jnp.tril, unit_diagonal=u)
            for f in (jnp.tril, jnp.triu)
            for t in (0, 1)
            for u in (False, True)
        ],
        (S, B),
    ),
    "left to JAX": (
        lambda a, s: (
            jax.nn.sigmoid(a),
            lax.while_loop(lambda x: jnp.sum(x) < 9, lambda x: x + 1, a),
            jnp.fft.fft(a).real,
            jax.scipy.linalg.expm(s),
        ),
        (A, S),
    ),
    "sums and loops": (
        lambda a: (
            jnp.cumsum(a, 1),
            jnp.cumprod(a, 0),
            lax.cumsum(a, 2, reverse=True),
            jnp.ceil(a),
            jnp.floor(a),
            jax.scipy.special.gammaln(abs(a)),
            jax.scipy.special.digamma(abs(a)),
            lax.fori_loop(0, 3, lambda _, x: x @ x / 9, a),
            lax.scan(lambda c, x: (c + x, c * x), a[0], a),
            lax.scan(lambda c, x: (c @ x, c), a[0], a, reverse=True),
        ),
        (A,),
    ),
    "spectra": (
        lambda a, s: (
            jnp.linalg.eigvalsh(s),
            jnp.abs(jnp.linalg.eigh(s)[1]),  # eigenvectors to a sign
            jnp.abs(jnp.linalg.eigvals(s - 3 * a)).sum(-1),
            jnp.abs(jnp.linalg.eig(s)[1]).sum((-2, -1)),
            jnp.linalg.svd(a, compute_uv=False),
            jnp.abs(jnp.linalg.svd(a[:, :2], full_matrices=False)[2]),
        ),
        (A, S),
    ),
    "complex": (
        lambda a, b: (
            a * b - a / (b + 3j),
            (jnp.exp(a), jnp.sin(a), jnp.cos(b), jnp.sqrt(a), jnp.log(b)),
            (jnp.abs(a), jnp.real(a), jnp.imag(b), jnp.conj(a)),
            (a**3, a @ b, a.sum(1), jnp.prod(a, 2), jnp.linalg.inv(a), jnp.linalg.det(a)),
            jax.scipy.linalg.solve_triangular(jnp.tril(a) + 2, b, trans="C", lower=True),
            jnp.linalg.eigvalsh(a + jnp.conj(a).swapaxes(1, 2)),
            lax.complex(jnp.real(a), jnp.imag(b)),
        ),
        (A + 1j * B, B - 2j * A),
    ),
    "calls": (
        lambda a: (
            jax.jit(jnp.sin)(a),
            jax.checkpoint(lambda x: x**2)(a),
            jax.nn.relu(a),
            jax.nn.softplus(a),
            lax.cond(True, jnp.sin, jnp.cos, a),
            jax.nn.softmax(a),
        ),
        (A,),
    ),
    "random": (lambda a: a + jax.random.normal(jax.random.key(0), a.shape), (A,)),
}


def _differences(f, arguments):
    with judging():
        mine, theirs = Program(f)(*arguments), jax.tree.leaves(jax.jit(f)(*arguments))
    assert len(mine) == len(theirs)
    for a, b in zip(mine, map(np.asarray, theirs), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        size = float(np.max(np.abs(b), initial=1.0, where=np.isfinite(b)))
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance("float64", conditioning=100 * size))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_program_returns_what_jax_returns(name):
    _differences(*FUNCTIONS[name])


@pytest.mark.parametrize("name", ["arithmetic", "elementary", "products", "factorisations", "indexing"])
def test_and_so_do_its_derivatives_in_a_batch(name):
    f, arguments = FUNCTIONS[name]

    def total(*a):
        return sum(jnp.sum(x) for x in jax.tree.leaves(f(*a)))

    _differences(jax.vmap(jax.grad(total)), [np.stack([a, 1.1 * a]) for a in arguments])


def test_catalogue_entries_run_as_jax_runs_them():
    core = ("determinants", "quadratic_forms", "gaussian", "complex_arguments", "spectral", "structured_gradients")
    for entry in (e for name in core for e in CHAPTERS[name] if e.kind == "gradient"):
        _differences(entry.derivative, draw(entry, max(entry.dimensions or (2,)), rng))


def test_every_rule_is_exercised():
    seen = set()

    def walk(jaxpr):
        for equation in jaxpr.eqns:
            seen.add(equation.primitive.name)
            for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda p: hasattr(p, "jaxpr")):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    walk(inner)

    with judging():
        for f, arguments in FUNCTIONS.values():
            walk(jax.make_jaxpr(f)(*arguments).jaxpr)
            walk(jax.make_jaxpr(jax.vmap(f))(*(np.stack([a, a]) for a in arguments)).jaxpr)
    assert set(RULES) - seen <= {"add_any", "atan2", "copy", "copy_p", "stop_gradient", "platform_index", "pow", "xor"}


def test_a_matrix_that_is_not_definite_has_no_factor_and_the_others_do():
    stack = np.stack([np.eye(2), -np.eye(2), [[1.0, 2.0], [2.0, 1.0]]])
    _differences(jnp.linalg.cholesky, [stack])


def test_a_singular_matrix_has_the_determinant_zero():
    _differences(jnp.linalg.det, [np.zeros((2, 3, 3))])


def test_float32_stays_float32():
    (out,) = Program(lambda a: jnp.sum(jnp.exp(a) @ a))(np.ones((3, 3), np.float32))
    assert out.dtype == np.float32


def test_it_is_traced_once_for_each_shape():
    traces = []
    program = Program(lambda a: traces.append(1) or a + 1)
    for size in (3, 3, 4, 3):
        assert program(np.ones(size))[0].tolist() == [2.0] * size
    assert len(traces) == 2
