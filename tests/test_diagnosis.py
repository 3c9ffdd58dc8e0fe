"""What is wrong is said in words that a person can act on: the messages, at one point, with their numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdiff.diagnosis import Kind
from gdiff.domains import General, Positive, PositiveDefinite, Vector
from gdiff.oracles import judging
from gdiff.verify import verify_gradient, verify_hessian, verify_jacobian

S = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
x = np.array([1.0, -2.0, 1.5])
PD = PositiveDefinite()


def log_density(S, x):
    return -0.5 * (jnp.linalg.slogdet(S)[1] + x @ jnp.linalg.solve(S, x))


def log_det(X):
    return jnp.linalg.slogdet(X)[1]


def A(S, x):
    P = jnp.linalg.inv(S)
    return -0.5 * (P - P @ jnp.outer(x, x) @ P)


def B(S, x):
    return 2 * A(S, x) - A(S, x) * jnp.eye(3)


def array(f):
    with judging():
        return np.asarray(f(jnp.asarray(S), jnp.asarray(x)))


A_OR_B = (
    "right, in the full convention; not the partial derivative when S_12 and S_21 move together. Entry [2,1]: yours "
    "-0.109161, the partial -0.218322. Follow A in a gradient step; `to_symmetric(A)` = 2A - A∘I for standard errors "
    "and paired finite differences."
)


def test_a_or_b():
    held = verify_gradient(log_density, A, S, x, domains=PD)
    assert held.convention == "full"
    assert held.explanation == A_OR_B
    asked = verify_gradient(log_density, A, S, x, domains=PD, convention="symmetric")
    assert asked.kind is Kind.OTHER_CONVENTION
    assert asked.reason == A_OR_B


def test_transpose():
    verdict = verify_gradient(log_det, lambda X: jnp.linalg.inv(X), S, domains=General())
    assert verdict.kind is Kind.TRANSPOSE
    assert verdict.reason == (
        "the transpose of the derivative: `inv(X)'` holds. The two agree only for symmetric X; if yours is, add "
        "`--symmetric X` (in Python `domains=PositiveDefinite()`), and your formula holds."
    )


def test_half():
    verdict = verify_gradient(log_density, lambda S, x: A(S, x) - 0.5 * jnp.linalg.inv(S), S, x, domains=PD)
    assert verdict.kind is Kind.WRONG_COEFFICIENT
    assert verdict.reason == (
        "the log-det term is twice what it should be: you have -1*inv(S), the derivative has -1/2*inv(S); the other "
        "term is right."
    )


def _log_det_only(S, x):  # noqa: ARG001
    return -0.5 * jnp.linalg.inv(S)


@pytest.mark.parametrize("domains", [PD, None], ids=["declared", "undeclared"])
def test_missing_term(domains):
    verdict = verify_gradient(log_density, _log_det_only, S, x, domains=domains)
    assert verdict.kind is Kind.MISSING_TERM
    assert verdict.reason == (
        "you are missing + 1/2*inv(S)*x*x'*inv(S); with it the formula holds at 12 fresh points. You differentiated "
        "log|S| only, but x'S⁻¹x depends on S too."
    )


def test_sign():
    verdict = verify_gradient(log_density, lambda S, x: -A(S, x), S, x, domains=PD, convention="full")
    assert verdict.kind is Kind.SIGN
    assert verdict.reason == (
        "every entry is -1 times the derivative: the gradient of the *negative* log-likelihood, or the minus of "
        "d(S⁻¹) = -S⁻¹ dS S⁻¹ got lost."
    )


def test_order():
    verdict = verify_gradient(log_density, array(B)[np.tril_indices(3)], S, x, domains=PD)
    assert verdict.kind is Kind.WRONG_ORDER
    assert verdict.reason == (
        "right numbers, wrong order: row by row (`numpy.tril_indices`); vech goes column by column (R's `lower.tri`). "
        "Entries 3 and 4 are swapped."
    )


def _cho_factor(S, x):
    c, low = jax.scipy.linalg.cho_factor(S, lower=True)
    return -jnp.sum(jnp.log(jnp.diag(c))) - 0.5 * x @ jax.scipy.linalg.cho_solve((c, low), x)


def _expected(S):
    """The expected log-likelihood under covariance S_0, the constant: its Hessian at S_0 is minus the information."""
    return -0.5 * (log_det(S) + jnp.trace(jnp.linalg.solve(S, jnp.asarray(S_0))))


S_0 = S
D = np.eye(6)[[0, 1, 2, 1, 3, 4, 2, 4, 5]]
P = np.linalg.inv(S)


def _conic(P, d):
    return -0.5 * d @ P @ d


def _conic_gradient(P, d):  # noqa: ARG001
    return -0.5 * jnp.outer(d, d)


THREADS = {
    "2 inv(S) - diag(inv(S)) offered as a matrix gradient": (
        lambda: verify_gradient(
            log_det, lambda S: 2 * jnp.linalg.inv(S) - jnp.linalg.inv(S) * jnp.eye(3), S, domains=PD, convention="full"
        ),
        Kind.OTHER_CONVENTION,
        "right, in the symmetric convention",
    ),
    "jax.grad through cho_factor": (
        lambda: verify_gradient(_cho_factor, jax.grad(_cho_factor), S, x, domains=PD),
        Kind.SYMMETRIC_PART_RIGHT,
        "treated as free",
    ),
    "the negated covariance gradient": (
        lambda: verify_gradient(log_density, lambda S, x: -A(S, x), S, x),
        Kind.SIGN,
        "-1 times",
    ),
    "a Laplace precision with the wrong sign": (
        lambda: verify_hessian(lambda x: log_density(jnp.asarray(S), x), lambda x: jnp.linalg.inv(S), x),  # noqa: ARG005
        Kind.SIGN,
        "-1 times",
    ),
    "a Laplace covariance for the precision": (
        lambda: verify_hessian(lambda x: log_density(jnp.asarray(S), x), lambda x: -jnp.asarray(S), x),  # noqa: ARG005
        Kind.INVERSE_EXCHANGED,
        "covariance for precision",
    ),
    "the off-diagonal half": (
        lambda: verify_gradient(
            log_density, lambda S, x: A(S, x) * (0.5 + 0.5 * jnp.eye(3)), S, x, domains=PD, convention="full"
        ),
        Kind.OFF_DIAGONAL_FACTOR,
        "off it 1/2 times",
    ),
    "Fisher information without its half": (
        lambda: verify_hessian(_expected, -D.T @ np.kron(P, P) @ D, S, domains=PD),
        Kind.FACTOR,
        "2 times the derivative",
    ),
    "the splatting kernel's off-diagonal of the conic": (
        lambda: verify_gradient(
            _conic,
            _conic_gradient,
            np.array([[2.0, 0.3], [0.3, 1.0]]),
            np.array([1.0, 2.0]),
            domains=(PD, Vector()),
            convention="symmetric",
        ),
        Kind.OTHER_CONVENTION,
        "Entry [2,1]: yours -1, the partial -2",
    ),
}


@pytest.mark.parametrize("name", THREADS)
def test_mistakes_of_public_threads_are_named(name):
    verify, kind, words = THREADS[name]
    verdict = verify()
    assert verdict.refuted
    assert verdict.kind is kind
    assert words in verdict.reason


def test_the_matrix_gradient_of_the_threads_holds_once_the_argument_is_symmetric():
    verdict = verify_gradient(log_det, lambda S: 2 * jnp.linalg.inv(S) - jnp.linalg.inv(S) * jnp.eye(3), S)
    assert verdict.status == "holds under hypotheses"
    assert (verdict.convention, verdict.hypotheses) == ("symmetric", ("S symmetric",)) or verdict.hypotheses == (
        "X symmetric",
    )


def test_the_callers_own_terms_name_what_no_library_has():
    def f(S, x):
        return jnp.trace(S @ S @ S @ S) / 4 + x @ jnp.sin(S) @ x

    def half(S, x):
        return S @ S @ S + 0.5 * jnp.outer(x, x) * jnp.cos(S)

    terms = [
        ("S^3", lambda a: np.linalg.matrix_power(a["S"], 3)),
        ("had(x*x', cos(S))", lambda a: np.outer(a["x"], a["x"]) * np.cos(a["S"])),
    ]
    verdict = verify_gradient(f, half, S, x, domains=PD, terms=terms)
    assert verdict.kind is Kind.WRONG_COEFFICIENT
    assert "you have 1/2*had(x*x', cos(S)), the derivative has 1*had(x*x', cos(S))" in verdict.reason


def test_an_inverse_for_a_matrix_is_found_within_a_term():
    def wrong(S, x):
        return A(S, x) - 0.5 * jnp.outer(x, x) @ jnp.linalg.inv(S) * 0 - 0.5 * (S - jnp.linalg.inv(S))

    verdict = verify_gradient(log_density, wrong, S, x, domains=PD)
    assert verdict.kind is Kind.INVERSE_EXCHANGED
    assert "you have -1/2*S where the derivative has -1/2*inv(S)" in verdict.reason


def test_factors_in_the_wrong_order_are_found():
    M = np.array([[1.0, 2.0, 0.3], [0.4, 1.5, -0.2], [0.1, 0.7, 1.1]])
    verdict = verify_gradient(
        lambda X, M: jnp.trace(X.T @ M @ X), lambda X, M: M.T @ X + X @ M, M, M @ M + S, domains=(General(), General())
    )
    assert verdict.kind is Kind.WRONG_ORDER


def test_a_transposed_jacobian_is_a_layout():
    verdict = verify_jacobian(lambda x, W: W @ x, lambda x, W: W.T, x, np.arange(6.0).reshape(2, 3))  # noqa: ARG005
    assert verdict.kind is Kind.LAYOUT


def test_evidence_is_at_hand():
    verdict = verify_gradient(log_density, lambda S, x: 3 * A(S, x), S, x, domains=PD)
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.kind is verdict.kind is Kind.FACTOR
    assert verdict.diagnosis.message == verdict.reason
    shown = verdict.diagnosis.evidence
    assert shown["ratio"] == 3
    assert shown["ratios"].shape == (3, 3)
    assert shown["worst"]["entry"].startswith("[")
    assert "1/3" in shown["instead"]


def test_every_kind_explains_itself():
    assert all(len(kind.explanation) > 20 for kind in Kind)
    assert len(Kind) == 17


def test_terms_that_coincide_at_symmetric_points_are_one_even_if_a_component_is_minus_zero():
    def student(x, mu, S, nu):
        r = x - mu
        return -(nu + 3) / 2 * jnp.log(1 + r @ jnp.linalg.solve(S, r) / nu) - 0.5 * log_det(S)

    terms = [("inv(S)", lambda a: np.linalg.inv(a["S"])), ("inv(S)'", lambda a: np.linalg.inv(a["S"]).T)]
    verdict = verify_gradient(
        student, lambda x, mu, S, nu: -0.5 * jnp.linalg.inv(S), x, x / 2, S, 4.0, argnums=2,  # noqa: ARG005
        domains=(None, None, PD, None), names=["x", "mu", "S", "nu"], terms=terms,
    )  # fmt: skip
    assert verdict.kind is Kind.MISSING_TERM
    assert set(verdict.diagnosis.evidence["claimed_terms"]) == {"inv(S)"}


def test_a_digit_that_is_off_by_a_hair_is_no_transpose():
    numbers = np.array([[float(f"{v:.7g}") for v in row] for row in array(A)])
    numbers[1, 0] *= 1.00001
    verdict = verify_gradient(log_density, numbers, S, x, domains=PD, digits=7)
    assert verdict.refuted
    assert verdict.kind is Kind.UNKNOWN
    numbers[1, 0] = array(A)[1, 0] + 1.2e-7
    verdict = verify_gradient(log_density, numbers, S, x, domains=PD, digits=7)
    assert verdict.kind is Kind.UNKNOWN
    assert verdict.reason.startswith("entry [2,1] is off by 2.")
    assert "times what the digits allow: yours -0.10916" in verdict.reason


def test_no_diagnosis_is_one_times_the_derivative():
    for slight in (1e-6, 3e-8, -2e-7):
        claimed = array(A) * (1 + slight)
        verdict = verify_gradient(log_density, claimed, S, x, domains=PD, convention="full")
        assert verdict.kind is Kind.FACTOR
        assert "is 1 times" not in verdict.reason


def test_the_callers_terms_have_factors_to_exchange():
    M = np.array([[1.0, 2.0, 0.3], [0.4, 1.5, -0.2], [0.1, 0.7, 1.1]])

    def f(X, M):
        return jnp.sum((M.T @ X @ M) ** 3) / 3

    def right(X, M):
        return M @ (M.T @ X @ M) ** 2 @ M.T

    cube = [
        ("M*(M'*X*M).^2*M'", lambda a: a["M"] @ (a["M"].T @ a["X"] @ a["M"]) ** 2 @ a["M"].T),
        ("M'*(M'*X*M).^2*M", lambda a: a["M"].T @ (a["M"].T @ a["X"] @ a["M"]) ** 2 @ a["M"]),
    ]
    assert verify_gradient(f, right, S, M, domains=(General(), General())).holds
    wrong = verify_gradient(
        f, lambda X, M: M.T @ (M.T @ X @ M) ** 2 @ M, S, M, domains=(General(), General()), terms=cube
    )
    assert wrong.kind is Kind.WRONG_ORDER
    assert "the derivative has 1*M*(M'*X*M).^2*M'" in wrong.reason


def test_a_transpose_is_excused_only_where_symmetry_would_mend_it():
    def f(X, a, b):
        return a @ X @ b

    def gradient(X, a, b):
        return jnp.outer(b, a) + 0 * X

    point = S, x, np.array([0.5, 2.0, -1.0])
    for domains in (None, (General(), None, None)):
        verdict = verify_gradient(f, gradient, *point, domains=domains)
        assert verdict.refuted
        assert verdict.kind is Kind.TRANSPOSE
        assert "if yours is" not in verdict.reason
    assert "if yours is" in verify_gradient(log_det, jnp.linalg.inv, S).reason


def test_a_constant_function_is_said_to_be_flat():
    def f(S):
        return jnp.trace(S @ jnp.linalg.inv(S))

    verdict = verify_gradient(f, jnp.zeros_like, S)
    assert verdict.inconclusive
    assert "the derivative is zero there, up to rounding" in verdict.explanation
    assert verify_gradient(f, jnp.linalg.inv, S).refuted


def test_a_coefficient_of_one_is_not_written_before_a_number():
    terms = [("1/(2*s^2)*q", lambda a: a["q"] / (2 * a["s"] ** 2)), ("1/s", lambda a: 1 / a["s"])]
    verdict = verify_gradient(
        lambda s, q: -2 * jnp.log(s) - q / (2 * s), lambda s, q: -2 / s - q / (2 * s**2), 1.7, 2.3,
        domains=(Positive(), Positive()), terms=terms,
    )  # fmt: skip
    assert verdict.kind is Kind.WRONG_COEFFICIENT
    assert "you have -1/(2*s^2)*q, the derivative has 1/(2*s^2)*q" in verdict.reason


def test_what_is_wrong_in_every_block_is_said_once():
    def f(y, mu, S):
        return log_density(S, y - mu)

    def both(y, mu, S):
        return jnp.linalg.solve(S, y - mu), A(S, y - mu)

    for wrong, kind in ((-1.0, Kind.SIGN), (0.5, Kind.FACTOR)):
        verdict = verify_gradient(
            f, lambda *a, c=wrong: tuple(c * g for g in both(*a)), x, x / 2, S, argnums=(1, 2), domains=(Vector(), PD)
        )
        assert verdict.kind is kind
        assert verdict.reason.startswith("every block: every entry is")
        assert verdict.reason.count("every entry") == 1


def test_the_determinant_for_its_logarithm_is_named():
    def slip(S, x):
        return A(S, x) + 0.5 * (1 - jnp.linalg.det(S)) * jnp.linalg.inv(S)

    own = [("det(S)*inv(S)", lambda a: np.linalg.det(a["S"]) * np.linalg.inv(a["S"]))]
    for terms in ((), own):
        verdict = verify_gradient(log_density, slip, S, x, domains=PD, terms=terms)
        assert verdict.kind is Kind.WRONG_COEFFICIENT
        assert "-1/2*inv(S). That is the derivative of |S|, not of log|S|." in verdict.reason
    verdict = verify_gradient(log_density, slip, S, x, domains=PD)
    assert verdict.reason == (
        "the log-det term is det(S) times what it should be: you have -1/2*det(S)*inv(S), the derivative has "
        "-1/2*inv(S). That is the derivative of |S|, not of log|S|."
    )


def _of_vector(y):
    return jnp.sum(jnp.exp(y)) + y[0] * y[1] * y[3]


PARTS = {
    "a range": ([1, 1, 2, 2], Kind.FACTOR, "entries 3 to 4 are 2 times the derivative; the rest is right."),
    "one entry": ([1, 0.5, 1, 1], Kind.FACTOR, "entry [2] is 1/2 times the derivative; the rest is right."),
    "scattered": ([-1, 1, -1, 1], Kind.SIGN, "2 of 4 entries, [1] the first, are -1 times the derivative"),
    "lost": ([1, 0, 0, 1], Kind.MISSING_TERM, "entries 2 to 3 are zero and should not be; the rest is right."),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_multiple_on_a_part_of_the_entries_is_named_with_its_place(name):
    factors, kind, words = PARTS[name]
    verdict = verify_gradient(
        _of_vector, lambda y: jnp.asarray(factors) * jax.grad(_of_vector)(y), np.array([0.3, -1.0, 0.7, 0.2])
    )
    assert verdict.kind is kind
    assert words in verdict.reason


def test_a_block_of_a_hessian_is_named_with_its_rows_and_columns():
    def claimed(y):
        return jnp.ones((4, 4)).at[2:, 2:].set(3) * jax.hessian(_of_vector)(y)

    verdict = verify_hessian(_of_vector, claimed, np.array([0.3, -1.0, 0.7, 0.2]))
    assert verdict.kind is Kind.FACTOR
    assert verdict.reason.startswith("2 of 16 entries, [3,3] the first, are 3 times")  # the others there are zero


def test_two_multiples_are_no_block():
    verdict = verify_gradient(
        _of_vector,
        lambda y: jnp.array([1.0, 2.0, 3.0, 1.0]) * jax.grad(_of_vector)(y),
        np.array([0.3, -1.0, 0.7, 0.2]),
    )
    assert verdict.kind is Kind.UNKNOWN


@pytest.mark.parametrize("convention", ["full", "symmetric"])
def test_a_wrong_coefficient_within_a_hessian_is_named_in_both_conventions(convention):
    def f(S, x):
        return -(jnp.linalg.slogdet(S)[1] + x @ jnp.linalg.inv(S) @ x) / 2

    D = np.zeros((9, 6))
    for column, (j, i) in enumerate(zip(*np.triu_indices(3), strict=True)):
        D[3 * j + i, column] = D[3 * i + j, column] = 1
    M = D if convention == "symmetric" else D @ np.linalg.pinv(D)

    def claimed(S, x):
        P = jnp.linalg.inv(S)
        Q = P @ jnp.outer(x, x) @ P
        return M.T @ (jnp.kron(P, P) - (jnp.kron(P, Q) + jnp.kron(Q, P)) / 2) @ M  # 1/2 is right for the first

    verdict = verify_hessian(f, claimed, S, x, domains=PD, convention=convention)
    assert verdict.kind is Kind.WRONG_COEFFICIENT
    assert "kron(inv(S), inv(S))" in verdict.reason
    assert "is twice what it should be" in verdict.reason


@pytest.mark.parametrize(("power", "words"), [(1, "once too often"), (-1, "multiply by the function"), (2, "power 2")])
def test_powers_of_the_function_on_its_derivative_are_named(power, words):
    def f(y):
        return jnp.exp(-y @ y)

    verdict = verify_gradient(f, lambda y: f(y) ** power * jax.grad(f)(y), np.array([0.3, -0.5, 0.2]))
    assert verdict.kind is Kind.DENSITY_NOT_LOG
    assert words in verdict.reason


def test_a_sign_lost_within_a_difference_is_named_with_the_argument():
    def f(mu, x, S):
        return -(x - mu) @ jnp.linalg.solve(S, x - mu) / 2

    verdict = verify_gradient(f, lambda mu, x, S: jnp.linalg.solve(S, x + mu), x[::-1].copy(), x, S)
    assert verdict.kind is Kind.SIGN
    assert verdict.reason.startswith("with -mu in place of mu the formula holds")


def test_a_hessian_of_free_entries_is_told_what_else_is_wrong_with_it():
    def claimed(S):
        return -jnp.kron(jnp.linalg.inv(S), jnp.linalg.inv(S)) / 2

    verdict = verify_hessian(lambda S: jnp.linalg.slogdet(S)[1], claimed, S, domains=PD)
    assert verdict.kind is Kind.FACTOR
    assert verdict.reason.startswith("the entries of S were treated as free, and of the symmetric part")
    assert "every entry is 1/2 times the derivative" in verdict.reason


def test_a_scalar_factor_that_is_wrong_everywhere_is_named_although_it_varies():
    def f(S, x):
        return jnp.exp(log_density(S, x))

    def claimed(S, x):
        return jnp.sqrt(jnp.linalg.det(S)) * jnp.sin(x[0]) * A(S, x)

    verdict = verify_gradient(f, claimed, S, x, domains=PD)
    assert verdict.kind is Kind.FACTOR
    assert "the multiple varies from point to point" in verdict.reason
    assert verify_gradient(f, lambda S, x: claimed(S, x) + S, S, x, domains=PD).kind is Kind.UNKNOWN


def _commuted(m):
    return m.reshape(3, 3, 9).transpose(1, 0, 2).reshape(9, 9)


GENERAL = {
    "right": (1, 1, None, ""),
    "sign": (1, -1, Kind.WRONG_COEFFICIENT, "is minus what it should be"),
    "lost": (1, 0, Kind.MISSING_TERM, "you are missing + K*kron(inv(X)'*x*x'*inv(X)', inv(X))"),
    "half": (0.5, 0.5, Kind.FACTOR, "every entry is 1/2 times the derivative"),
}


@pytest.mark.parametrize("name", GENERAL)
def test_a_hessian_in_free_entries_has_terms_with_the_commutation_matrix(name):
    a, b, kind, words = GENERAL[name]

    def claimed(X, x):
        P = jnp.linalg.inv(X)
        M = jnp.outer(P @ x, P.T @ x)
        return _commuted(a * jnp.kron(P.T, M) + b * jnp.kron(M.T, P))

    X = np.array([[1.0, 0.4, -0.3], [0.2, -1.1, 0.5], [0.7, 0.1, 0.9]])
    verdict = verify_hessian(lambda X, x: x @ jnp.linalg.solve(X, x), claimed, X, x, domains=General())
    assert verdict.kind is kind
    assert words in verdict.reason
