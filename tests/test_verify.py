import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gdiff.domains import General, LowerTriangular, Positive, PositiveDefinite, Vector
from gdiff.oracles import judging
from gdiff.tolerance import printed_precision, question
from gdiff.truth import establish
from gdiff.verify import (
    judge,
    read_claim,
    verify_differential,
    verify_gradient,
    verify_hessian,
    verify_jacobian,
)
from tests.test_diagnosis import PD, A, B, S, array, log_density, log_det, x

DIMENSIONS = [1, 2, 3, 5]


def _point(d, condition=10.0, seed=0):
    rng = np.random.default_rng(seed)
    return PositiveDefinite().sample(rng, (d, d), condition=condition), rng.normal(size=d)


def _gradient(S, x):
    P = jnp.linalg.inv(S)
    return -0.5 * (P - P @ jnp.outer(x, x) @ P)


@pytest.mark.parametrize("d", DIMENSIONS)
def test_a_holds_and_its_convention_is_named(d):
    verdict = verify_gradient(log_density, _gradient, *_point(d), domains=PD)
    assert verdict.holds
    assert verdict.convention == ("either" if d == 1 else "full")
    assert not verdict.hypotheses
    assert set(verdict.max_error) == {"reverse", "forward", "finite differences"}
    assert 0 < verdict.bound < question()
    assert verdict.checks > 0


@pytest.mark.parametrize("d", DIMENSIONS)
def test_at_d_1_a_sign_is_a_sign(d):
    verdict = verify_gradient(log_density, lambda S, x: -_gradient(S, x), *_point(d), domains=PD)
    assert verdict.kind == "sign"


def test_either_convention_is_accepted_and_one_can_be_asked():
    for claimed, convention in ((A, "full"), (B, "symmetric")):
        other = "symmetric" if convention == "full" else "full"
        assert verify_gradient(log_density, claimed, S, x, domains=PD).convention == convention
        assert verify_gradient(log_density, claimed, S, x, domains=PD, convention=convention).holds
        assert verify_gradient(log_density, claimed, S, x, domains=PD, convention=other).refuted


def test_a_diagonal_result_is_either():
    verdict = verify_gradient(lambda S: jnp.trace(S) ** 2, lambda S: 2 * jnp.trace(S) * jnp.eye(3), S, domains=PD)
    assert verdict.convention == "either"


def test_arguments_not_declared_symmetric_have_no_convention():
    rng = np.random.default_rng(0)
    M = General().sample(rng, (3, 3))
    verdict = verify_gradient(log_det, lambda X: jnp.linalg.inv(X).T, M)
    assert verdict.status == "holds"
    assert verdict.convention is None


def test_undeclared_symmetry_is_a_hypothesis():
    verdict = verify_gradient(log_det, jnp.linalg.inv, S)
    assert verdict.status == "holds under hypotheses"
    assert verdict.holds
    assert verdict.hypotheses == ("X symmetric",)
    assert verify_gradient(log_density, B, S, x).convention == "symmetric"


def test_a_function_that_fails_off_the_cone_is_judged_on_it():
    def f(S):
        return 2 * jnp.sum(jnp.log(jnp.diag(jnp.linalg.cholesky(S))))

    verdict = verify_gradient(f, jnp.linalg.inv, S)
    assert verdict.hypotheses == ("S symmetric",)
    assert verdict.holds


def test_symmetric_convention_is_refused_for_general_arguments():
    with pytest.raises(ValueError, match="declare it"):
        verify_gradient(log_det, jnp.linalg.inv, S, domains=General(), convention="symmetric")
    with pytest.raises(ValueError, match="not known"):
        verify_gradient(log_det, jnp.linalg.inv, S, convention="upper")


@pytest.mark.parametrize("layout", ["matrix", "vech", "vec"])
def test_arrays_in_every_layout(layout):
    b = array(B)
    rows = np.triu_indices(3)[1], np.triu_indices(3)[0]
    claimed = {"matrix": b, "vech": b[rows], "vec": b.T.reshape(-1)}[layout]
    verdict = verify_gradient(log_density, claimed, S, x, domains=PD)
    assert verdict.convention == "symmetric"
    assert verdict.points == 1


def test_an_array_is_judged_at_the_precision_of_its_dtype():
    assert verify_gradient(log_density, array(A).astype(np.float32), S, x, domains=PD).holds
    assert verify_gradient(log_density, array(A).astype(np.float32).astype(float), S, x, domains=PD).refuted


def test_printed_numbers_are_judged_at_half_a_unit_of_their_last_digit():
    texts = [[f"{v:.5f}" for v in row] for row in array(A)]
    numbers, half = np.array(texts, dtype=float), printed_precision(texts)
    assert verify_gradient(log_density, numbers, S, x, domains=PD, digits=half).holds
    wrong = numbers.copy()
    wrong[0, 1] = wrong[1, 0] = numbers[0, 1] + 2e-5
    assert verify_gradient(log_density, wrong, S, x, domains=PD, digits=half).refuted
    seven = np.array([[float(f"{v:.7g}") for v in row] for row in array(A)])
    assert verify_gradient(log_density, seven, S, x, domains=PD, digits=7).holds
    assert verify_gradient(log_density, seven, S, x, domains=PD).refuted


@pytest.mark.parametrize("f", [np.linalg.slogdet, None], ids=["numpy", "scipy"])
def test_what_jax_cannot_trace_is_judged_by_differences_alone(f):
    def host(S, x):
        if f is None:
            return stats.multivariate_normal.logpdf(x, np.zeros(3), S)
        return -0.5 * (f(np.asarray(S))[1] + x @ np.linalg.solve(S, x))

    verdict = verify_gradient(host, A, S, x, domains=PD)
    assert verdict.holds
    assert verdict.oracles == ("finite differences",)
    assert "cannot trace" in verdict.notes[0]
    assert verify_gradient(host, lambda S, x: -A(S, x), S, x, domains=PD).kind == "sign"


def test_float32_functions_are_judged_in_their_precision():
    def low(f):
        return lambda *a: f(*(jnp.asarray(v, jnp.float32) for v in a))

    for f, claimed in ((low(log_density), A), (log_density, low(A)), (low(log_density), low(A))):
        verdict = verify_gradient(f, claimed, S, x, domains=PD)
        assert verdict.holds
        assert verdict.bound > question()
    assert verify_gradient(low(log_density), lambda S, x: 2 * A(S, x), S, x, domains=PD).kind == "factor"


def test_noise_above_the_question_is_inconclusive():
    s, v = _point(3, condition=1e13)
    with judging():
        claimed = np.asarray(A(jnp.asarray(s), jnp.asarray(v)))
    verdict = verify_gradient(log_density, claimed, s, v, domains=PD)
    assert verdict.inconclusive
    assert not verdict.holds
    assert "noise" in verdict.explanation


def test_a_stationary_point_shows_nothing():
    verdict = verify_gradient(lambda x: jnp.sum(jnp.cos(x - jnp.pi)), np.zeros(2), np.zeros(2))
    assert verdict.inconclusive
    assert "stationary" in verdict.explanation


def test_a_function_with_a_wrong_rule_of_its_own_is_not_believed():
    @jax.custom_jvp
    def f(x):
        return jnp.sum(x**2)

    f.defjvp(lambda p, t: (f(*p), jnp.sum(3 * p[0] * t[0])))
    for claimed in (lambda x: 2 * x, lambda x: 3 * x):
        verdict = verify_gradient(f, claimed, np.array([1.0, 2.0]))
        assert verdict.inconclusive
        assert "custom_jvp" in verdict.explanation
    assert verify_gradient(f, lambda x: 5 * x, np.array([1.0, 2.0])).refuted


def test_pytrees_and_several_arguments():
    def f(p, y):
        return jnp.sum((p["w"] @ y + p["b"]) ** 2)

    def df(p, y):
        r = 2 * (p["w"] @ y + p["b"])
        return {"b": r, "w": jnp.outer(r, y)}

    p = {"w": np.arange(6.0).reshape(2, 3), "b": np.ones(2)}
    assert verify_gradient(f, df, p, x).holds
    wrong = verify_gradient(f, lambda p, y: {**df(p, y), "b": -df(p, y)["b"]}, p, x)
    assert wrong.reason.startswith("with respect to p['b']: every entry is -1 times")

    def both(y, mu, S):
        P = jnp.linalg.inv(S)
        return P @ (y - mu), _gradient(S, y - mu)

    domains = (Vector(), PD)
    g = verify_gradient(lambda y, mu, S: log_density(S, y - mu), both, x, x / 2, S, argnums=(1, 2), domains=domains)
    assert g.holds
    assert g.convention == "full"


def test_hessians_of_vectors_and_matrices():
    N = (np.eye(9) + np.eye(9).reshape(3, 3, 3, 3).transpose(1, 0, 2, 3).reshape(9, 9)) / 2
    D = np.eye(6)[[0, 1, 2, 1, 3, 4, 2, 4, 5]]

    def free(S, x):
        P = jnp.linalg.inv(S)
        Q = P @ jnp.outer(x, x) @ P
        return 0.5 * jnp.kron(P, P) - 0.5 * (jnp.kron(P, Q) + jnp.kron(Q, P))

    def full(S, x):
        return N @ free(S, x) @ N

    def symmetric(S, x):
        return D.T @ free(S, x) @ D

    def four(S, x):
        return full(S, x).reshape(3, 3, 3, 3)

    for claimed, convention in ((full, "full"), (symmetric, "symmetric"), (four, "full")):
        verdict = verify_hessian(log_density, claimed, S, x, domains=PD)
        assert verdict.holds
        assert verdict.convention == convention
    assert verify_hessian(log_density, free, S, x, domains=PD).kind == "symmetric_part_right"
    held = verify_hessian(log_density, lambda S, x: -jnp.linalg.inv(S), S, x, argnums=1, domains=(PD, None))  # noqa: ARG005
    assert held.status == "holds"


def test_the_hessian_of_a_general_argument_carries_the_commutation_matrix():
    K = np.eye(4).reshape(2, 2, 2, 2).transpose(1, 0, 2, 3).reshape(4, 4)
    M = General().sample(np.random.default_rng(0), (2, 2))

    def hessian(X):
        P = jnp.linalg.inv(X)
        return -K @ jnp.kron(P.T, P)

    assert verify_hessian(log_det, hessian, M, domains=General()).holds
    assert verify_hessian(log_det, lambda X: -jnp.kron(jnp.linalg.inv(X).T, jnp.linalg.inv(X)), M).refuted


def test_a_joint_hessian_is_cut_into_blocks():
    def f(a, b):
        return jnp.sum(a) ** 2 * b[0] + b[1] ** 3

    with judging():
        a, b = np.array([1.0, 2.0]), np.array([0.5, 1.5])
        joint = np.asarray(jax.hessian(lambda v: f(v[:2], v[2:]))(jnp.concatenate([a, b])))
    assert verify_hessian(f, joint, a, b, argnums=(0, 1)).holds
    assert verify_hessian(f, -joint, a, b, argnums=(0, 1)).refuted


def test_jacobians_and_differentials():
    W = np.arange(6.0).reshape(2, 3) + 1
    assert verify_jacobian(lambda x, W: W @ x, lambda x, W: W, x, W).holds  # noqa: ARG005

    def inverse_differential(S, dS):
        P = jnp.linalg.inv(S)
        return -P @ dS @ P

    assert verify_differential(jnp.linalg.inv, inverse_differential, S).holds
    assert verify_differential(jnp.linalg.inv, inverse_differential, S, domains=PD).holds
    wrong = verify_differential(jnp.linalg.inv, lambda S, dS: -inverse_differential(S, dS), S, domains=PD)
    assert wrong.kind == "sign"
    crooked = verify_differential(jnp.linalg.inv, lambda S, dS: inverse_differential(S, dS) + 1, S)
    assert "not linear" in crooked.reason


def test_triangles_and_positive_numbers():
    L = np.linalg.cholesky(S)

    def f(L, s):
        return s * jnp.sum(jnp.log(jnp.diag(L)))

    domains = (LowerTriangular(), Positive())
    assert verify_gradient(f, lambda L, s: s * jnp.diag(1 / jnp.diag(L)), L, 2.0, domains=domains)
    assert verify_gradient(f, lambda L, s: s * jnp.linalg.inv(L).T, L, 2.0, domains=domains).refuted


def test_one_truth_serves_many_claims():
    truth = establish(log_density, [(S, x)], domains=PD)
    assert judge(truth, A).holds
    assert judge(truth, lambda S, x: 2 * A(S, x)).kind == "factor"
    values = read_claim(truth, A)
    assert judge(truth, values.mapped(lambda a, point, block: -a)).kind == "sign"  # noqa: ARG005


def test_several_points_can_be_given_and_none_drawn():
    points = [_point(2, seed=k) for k in range(3)]
    truth = establish(log_density, points, domains=PD, fresh=False)
    assert len(truth.points) == 3
    assert judge(truth, _gradient).points == 3


def test_the_seed_decides_the_points():
    one, same, other = (establish(log_density, [(S, x)], domains=PD, seed=s) for s in (1, 1, 2))
    assert np.array_equal(one.points[-1].leaves[0], same.points[-1].leaves[0])
    assert not np.array_equal(one.points[-1].leaves[0], other.points[-1].leaves[0])


def test_what_cannot_be_judged_says_why():
    with pytest.raises(ValueError, match="wanted .3, 3. or .9,. or .6,."):
        verify_gradient(log_density, np.ones(4), S, x, domains=PD)
    with pytest.raises(ValueError, match="use verify_jacobian"):
        verify_gradient(jnp.linalg.inv, jnp.linalg.inv, S)
    with pytest.raises(ValueError, match="not in PositiveDefinite"):
        verify_gradient(log_density, A, -S, x, domains=PD)
    with pytest.raises(ValueError, match="argnums"):
        verify_gradient(log_density, A, S, x, argnums=2)
    with pytest.raises(ValueError, match="domains"):
        verify_gradient(log_density, A, S, x, domains=(PD, PD, PD))
    with pytest.raises(TypeError, match="wanted a function"):
        verify_gradient(log_density, "2*inv(S)", S, x)
    with pytest.raises(TypeError, match="tracer"):
        jax.jit(lambda s: verify_gradient(log_density, A, s, x).checks)(S)


def test_configuration_is_left_alone():
    before = jnp.ones(1).dtype, jax.config.read("jax_enable_x64")
    verify_gradient(lambda x: jnp.sum(x**2), lambda x: 2 * x, x)
    assert before == (jnp.ones(1).dtype, jax.config.read("jax_enable_x64"))


def test_a_refuted_claim_has_errors_of_one_scale():
    verdict = verify_gradient(log_density, A, S, x, domains=PD, convention="symmetric")
    errors = list(verdict.max_error.values())
    assert len(errors) == 3
    assert max(errors) - min(errors) <= question() * max(errors)


def test_what_is_badly_rounded_is_no_wrong_formula():
    def noisy(S, x):
        return A(S, x) * (1 + 1e-10 * jnp.sin(1e8 * x[0]))

    verdict = verify_gradient(log_density, noisy, S, x, domains=PD)
    assert not verdict.refuted
    assert verify_gradient(log_density, lambda S, x: A(S, x) * (1 + 1e-6), S, x, domains=PD).refuted


@pytest.mark.parametrize("seed", [0, 32])
def test_the_rounding_of_a_product_of_factors_is_no_mistake(seed):
    def f(L, x):
        return log_density(L @ L.T, x)

    def gradient(L, x):
        return 2 * jnp.tril(A(L @ L.T, x) @ L)

    L = LowerTriangular().sample(np.random.default_rng(seed), (2, 2), condition=1e6)
    assert verify_gradient(f, gradient, L, x[:2], domains=LowerTriangular(), seed=seed).holds
    assert verify_gradient(f, lambda L, x: (1 + 1e-6) * gradient(L, x), L, x[:2], domains=LowerTriangular()).refuted


def test_a_formula_that_fails_at_degenerate_points_holds_under_hypotheses_that_name_them():
    def f(X):
        return jnp.trace(X.T @ X)

    right = verify_gradient(f, lambda X: 2 * X, S, degenerate=True)
    assert (right.status, right.hypotheses) == ("holds", ())
    assert "holds where X is of rank 1, the identity" in " ".join(right.notes)
    thin = verify_gradient(f, lambda X: 2 * X @ X @ jnp.linalg.inv(X), S, degenerate=True)
    assert thin.status == "holds under hypotheses"
    assert thin.hypotheses == ("X not 0", "X not of rank 1")
    assert right.checks > thin.checks > verify_gradient(f, lambda X: 2 * X, S).checks


def test_where_a_function_has_no_derivative_there_is_nothing_to_judge():
    kinked = verify_gradient(jnp.max, lambda x: (x == x.max()).astype(float), x, degenerate=True)
    assert kinked.status == "holds"
    assert any("f is not smooth" in note for note in kinked.notes)
    unbounded = verify_gradient(lambda x: jnp.sum(jnp.log(x**2)), lambda x: 2 / x, x, degenerate=True)
    assert unbounded.status == "holds"
    assert any("not finite where x is 0" in note for note in unbounded.notes)


def test_a_wrong_formula_is_not_excused_by_degenerate_points():
    assert verify_gradient(lambda X: jnp.trace(X.T @ X), lambda X: 3 * X, S, degenerate=True).refuted


def _batched(S, x):
    return jnp.sum(jax.vmap(log_density)(S, x))


def test_a_batch_of_matrices_is_judged_as_one_argument():
    rng = np.random.default_rng(0)
    stack, rows = np.stack([PD.sample(rng, (3, 3)) for _ in range(2)]), rng.normal(size=(2, 3))
    for domains, hypotheses in ((PD, ()), (None, ("S symmetric",))):
        verdict = verify_gradient(_batched, jax.vmap(A), stack, rows, domains=domains)
        assert (verdict.convention, verdict.hypotheses) == ("full", hypotheses)
        assert "Entry [" in verdict.explanation
    assert verify_gradient(_batched, lambda S, x: -jax.vmap(A)(S, x), stack, rows, domains=PD).kind == "sign"
    first = lambda S, x: jax.vmap(A)(S, x).at[1].multiply(2.0)  # noqa: E731
    verdict = verify_gradient(_batched, first, stack, rows, domains=PD)
    assert verdict.kind == "factor"
    assert "9 of 18 entries, [2,1,1] the first" in verdict.reason


def _of_parameters(p):
    return log_density(p["S"], p["x"])


def _gradient_of_parameters(p):
    return {"S": A(p["S"], p["x"]), "x": -jnp.linalg.solve(p["S"], p["x"])}


def test_a_pytree_of_arguments_has_a_domain_and_a_verdict_for_each_leaf():
    p, domains = {"S": S, "x": x}, {"S": PD, "x": Vector()}
    assert verify_gradient(_of_parameters, _gradient_of_parameters, p, domains=domains).convention == "full"
    wrong = verify_gradient(
        _of_parameters, lambda p: {**_gradient_of_parameters(p), "x": jnp.linalg.solve(p["S"], p["x"])}, p,
        domains=domains,
    )  # fmt: skip
    assert wrong.kind == "sign"
    assert wrong.reason.startswith("with respect to p['x']")


def test_a_hessian_over_a_pytree_speaks_of_the_blocks_that_are_wrong_and_not_of_rounding():
    verdict = verify_hessian(
        _of_parameters, jax.hessian(_of_parameters), {"S": S, "x": x}, domains={"S": PD, "x": Vector()}
    )
    assert verdict.kind == "symmetric_part_right"
    assert "rounding" not in verdict.reason


def test_numbers_have_no_degenerate_points():
    with pytest.raises(ValueError, match="numbers are those of one point"):
        verify_gradient(lambda X: jnp.trace(X.T @ X), 2 * S, S, degenerate=True)
