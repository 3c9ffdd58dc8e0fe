"""Programs run primitive by primitive return what JAX returns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

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
            jnp.linalg.eigvalsh(s),
            jax.scipy.special.gammaln(abs(a)),
            jax.nn.sigmoid(a),
            jnp.cumsum(a, 1),
            lax.fori_loop(0, 3, lambda _, x: x @ x / 9, a),
            jnp.fft.fft(a).real,
            jax.scipy.linalg.expm(s),
        ),
        (A, S),
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
        size = np.max(np.abs(b), initial=1.0, where=np.isfinite(b))
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


def test_every_catalogue_entry_runs_without_compiling_anything():
    for chapter in CHAPTERS.values():
        for entry in chapter:
            if entry.derivative is not None and entry.kind == "gradient":
                point = [
                    a.domain.sample(rng, tuple({"d": 2, "n": 4}.get(s, s) for s in a.shape)) for a in entry.arguments
                ]
                _differences(entry.derivative, point)


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
