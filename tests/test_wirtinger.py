"""Derivatives with respect to complex arguments: the four conventions told apart, holomorphic functions, pairs.

Formulas are the Matrix Cookbook's (2012-11-15), section 4; each is held in the convention that the book prints it in.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdiff.diagnosis import Kind
from gdiff.domains import Complex, PositiveDefinite
from gdiff.verify import verify_gradient, verify_hessian, verify_jacobian
from gdiff.wirtinger import CONVENTIONS

rng = np.random.default_rng(7)
Z, A = (rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3)) for _ in range(2))
z, b = (rng.normal(size=3) + 1j * rng.normal(size=3) for _ in range(2))


def square(Z):
    return jnp.real(jnp.trace(Z @ Z.conj().T))


OF_REAL = {
    "244 nabla": (square, lambda Z: 2 * Z, (Z,), "nabla"),
    "246": (square, lambda Z: Z.conj(), (Z,), "wirtinger"),
    "247": (square, lambda Z: Z, (Z,), "conjugate"),
    "jax.grad": (square, jax.grad(square), (Z,), "jax"),
    "89": (lambda x: jnp.abs(0.7 - x.conj() @ b) ** 2, lambda x: -2 * b * (0.7 - x.conj() @ b).conj(), (z,), "nabla"),
    "log|det|^2": (lambda Z: 2 * jnp.log(jnp.abs(jnp.linalg.det(Z))), lambda Z: jnp.linalg.inv(Z).T, (Z,), "wirtinger"),
    "scalar": (lambda t: jnp.abs(t) ** 2, lambda t: 2 * t, (0.3 - 1.2j,), "nabla"),
}


@pytest.mark.parametrize("name", OF_REAL)
def test_the_convention_of_a_derivative_of_a_real_function_is_told(name):
    f, claimed, args, convention = OF_REAL[name]
    verdict = verify_gradient(f, claimed, *args)
    assert verdict.holds, str(verdict)
    assert verdict.convention == convention
    for other in CONVENTIONS:
        asked = verify_gradient(f, claimed, *args, convention=other)
        assert asked.holds == (other == convention)
        assert other == convention or asked.kind is Kind.OTHER_CONVENTION


MISTAKES = {
    "sign": (lambda Z: -2 * Z, Kind.SIGN),
    "transpose": (lambda Z: 2 * Z.T, Kind.TRANSPOSE),
    "three": (lambda Z: 6 * Z, Kind.FACTOR),
    "real part only": (lambda Z: 2 * Z.real, Kind.MISSING_TERM),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_whatever_the_convention(name):
    claimed, kind = MISTAKES[name]
    verdict = verify_gradient(square, claimed, Z)
    assert verdict.refuted
    assert verdict.kind is kind, str(verdict)


def test_holomorphic_functions_have_transposes_that_do_not_conjugate():
    right = verify_gradient(jnp.linalg.det, lambda Z: jnp.linalg.det(Z) * jnp.linalg.inv(Z).T, Z)
    assert right.holds
    assert right.convention is None
    wrong = verify_gradient(jnp.linalg.det, lambda Z: jnp.conj(jnp.linalg.det(Z) * jnp.linalg.inv(Z).T), Z)
    assert wrong.kind is Kind.OTHER_CONVENTION
    assert "conjugate" in wrong.reason
    assert verify_gradient(jnp.linalg.det, lambda Z: jnp.linalg.det(Z) * jnp.linalg.inv(Z), Z).kind is Kind.TRANSPOSE


def test_a_function_that_is_not_holomorphic_has_two_derivatives():
    def f(Z, A):  # (240), (241)
        return jnp.trace(A @ Z.conj().T)

    assert verify_gradient(f, lambda Z, A: (jnp.zeros_like(Z), A), Z, A).holds
    assert verify_gradient(f, (np.zeros((3, 3)), A), Z, A).holds
    alone = verify_gradient(f, lambda Z, A: A, Z, A)  # noqa: ARG005
    assert alone.refuted
    assert "not holomorphic" in alone.reason
    assert verify_gradient(f, lambda Z, A: (A, A), Z, A).refuted  # noqa: ARG005


def test_a_jacobian_of_a_holomorphic_map():
    verdict = verify_jacobian(
        lambda x: jnp.stack([x[0] * x[1], x[2] ** 2]), jax.jacfwd(_square_map, holomorphic=True), z
    )
    assert verdict.refuted
    assert verify_jacobian(_square_map, jax.jacfwd(_square_map, holomorphic=True), z).holds


def _square_map(x):
    return jnp.stack([x[0] * x[1], x[2] ** 3])


def test_numbers_are_judged_at_the_point():
    assert verify_gradient(square, 2 * Z, Z).convention == "nabla"
    assert verify_gradient(square, np.round(2 * Z, 3), Z).refuted


def test_a_real_result_in_a_complex_dtype_is_taken_as_real_and_said():
    verdict = verify_gradient(lambda Z: jnp.trace(Z @ Z.conj().T), lambda Z: 2 * Z, Z)
    assert verdict.convention == "nabla"
    assert any("without an imaginary part" in note for note in verdict.notes)


def test_a_real_argument_declared_complex_is_one_and_a_real_one_beside_it_stays_real():
    assert verify_gradient(square, lambda Z: 2 * Z, Z.real, domains=Complex()).convention == "nabla"

    def f(Z, S):
        return jnp.real(jnp.trace(Z.conj().T @ S @ Z))

    S = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
    domains = (Complex(), PositiveDefinite())
    assert verify_gradient(f, lambda Z, S: 2 * S @ Z, Z, S, domains=domains).convention == "nabla"

    def claimed(Z, S):
        return 2 * S @ Z, jnp.real(Z @ Z.conj().T)

    both = verify_gradient(f, claimed, Z, S, argnums=(0, 1), domains=domains)
    assert both.holds, str(both)


DET = jnp.linalg.det
BAD = {
    "convention": (lambda: verify_gradient(square, square, Z, convention="full"), ValueError, "'wirtinger'"),
    "domain": (lambda: verify_gradient(square, square, Z, domains=PositiveDefinite()), ValueError, "wanted Complex"),
    "hessian": (lambda: verify_hessian(square, square, Z), TypeError, "real and imaginary parts"),
    "shape": (lambda: verify_gradient(square, lambda Z: Z[:2], Z), ValueError, "Re Z"),
    "count": (lambda: verify_gradient(square, lambda Z: (Z, Z, Z), Z), ValueError, "3 arrays, wanted 1"),
    "complex output": (lambda: verify_gradient(DET, DET, Z, convention="jax"), ValueError, "dF/dZ"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_judged_says_what_was_wanted(name):
    call, error, words = BAD[name]
    with pytest.raises(error, match=words):
        call()


def test_steps_stay_in_the_domain_and_span_it():
    domain = Complex()
    for shape in ((), (3,), (2, 3)):
        point = domain.sample(np.random.default_rng(0), shape, condition=100.0)
        basis = domain.tangent_basis(point)
        assert np.iscomplexobj(point)
        assert basis.shape == (2 * point.size, *shape)
        flat = basis.reshape(len(basis), -1)
        assert np.linalg.matrix_rank(np.concatenate([flat.real, flat.imag], axis=1)) == 2 * point.size
        assert domain.contains(point)
        assert np.allclose(domain.perturb(np.random.default_rng(1), point, 1e-9), point, rtol=1e-6)
