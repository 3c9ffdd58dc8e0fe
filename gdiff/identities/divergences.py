"""Divergences and distances between Gaussians: Kullback-Leibler, Wasserstein, Bhattacharyya, affine-invariant.

Here N0 = N(m0, S0), N1 = N(m1, S1), P = S^-1 of each, and d is the difference of the means.
"""

import jax
import jax.numpy as jnp

from gdiff.claim import Argument, Claim
from gdiff.domains import PositiveDefinite, Symmetric, Vector
from gdiff.identities.notation import beyond, log_det, log_likelihood, through_vech
from gdiff.identities.quadrature import expectation
from gdiff.symmetric.coordinates import duplication_matrix, vech
from gdiff.written import identity

_PD = ("S0 and S1 positive definite",)
_BOTH = {"S0": PositiveDefinite(), "S1": PositiveDefinite()}
_KL = "1/2*(tr(inv(S1)*S0) + (m1 - m0)'*inv(S1)*(m1 - m0) - tr(I_d) + log(det(S1)) - log(det(S0)))"
_SHAPES = {"m0": ("d",), "m1": ("d",), "S0": ("d", "d"), "S1": ("d", "d")}
_IN_FIRST = "1/2*(inv(S1) - inv(S0))"
_IN_SECOND = "1/2*(inv(S1) - inv(S1)*(S0 + (m1 - m0)*(m1 - m0)')*inv(S1))"
_m = Argument("mu", Vector(), ("d",))
_s = Argument("S", PositiveDefinite(), ("d", "d"))
_m0, _m1 = (Argument(f"m{i}", Vector(), ("d",)) for i in (0, 1))
_s0, _s1 = (Argument(f"S{i}", PositiveDefinite(), ("d", "d")) for i in (0, 1))
_dm = Argument("dmu", Vector(), ("d",))
_ds = Argument("dS", Symmetric(), ("d", "d"))


def _kl(m0, s0, m1, s1):
    p, d = jnp.linalg.inv(s1), m1 - m0
    return (jnp.trace(p @ s0) + d @ p @ d - len(d) + log_det(s1) - log_det(s0)) / 2


def _hessian_of_kl(first):
    """The Hessian of KL in (m, vech S) of one argument, the other fixed, times a step; where the two are equal."""

    def product(m, s, dm, ds):
        def moved(a, b):
            return _kl(a, b, m, s) if first else _kl(m, s, a, b)

        g, theta = through_vech(moved, m, s)
        _, step = through_vech(moved, dm, ds)
        return jax.jvp(jax.grad(g), (theta,), (step,))[1]

    return product


def _fisher(_, s, dm, ds):
    """(P dm, 1/2 D' (P kron P) D vech dS)."""
    p, d = jnp.linalg.inv(s), duplication_matrix(len(s))
    return jnp.concatenate([p @ dm, d.T @ jnp.kron(p, p) @ d @ vech(ds) / 2])


def _gradient(name, wrt, claim, title, convention=None):
    return identity(
        name,
        _KL,
        claim,
        wrt,
        title=title,
        shapes=_SHAPES,
        domains=_BOTH,
        convention=convention,
        source=beyond(25),
        hypotheses=_PD,
    )


_HESSIAN = r"= \operatorname{diag}\bigl(P, \tfrac12 D^\top (P \otimes P) D\bigr)\, v"
_KULLBACK_LEIBLER = (
    Claim(
        name="kl/value",
        title="Kullback-Leibler divergence",
        statement=(
            r"E_{x \sim N_0}[\log N_0(x) - \log N_1(x)] = \tfrac12 \bigl(\operatorname{tr}(P_1 S_0)"
            r" + d^\top P_1 d - n + \log\det S_1 - \log\det S_0\bigr), \quad d = m_1 - m_0"
        ),
        function=lambda m0, s0, m1, s1: expectation(
            lambda v: log_likelihood(v, m0, s0) - log_likelihood(v, m1, s1), m0, s0
        ),
        derivative=_kl,
        arguments=(_m0, _s0, _m1, _s1),
        wrt=(),
        kind="value",
        source=beyond(25),
        hypotheses=_PD,
    ),
    _gradient("kl/first_mean", "m0", "-inv(S1)*(m1 - m0)", "gradient of KL in the first mean"),
    _gradient("kl/second_mean", "m1", "inv(S1)*(m1 - m0)", "gradient of KL in the second mean"),
    _gradient("kl/first_covariance", "S0", _IN_FIRST, "gradient of KL in the first covariance", "full"),
    _gradient("kl/second_covariance", "S1", _IN_SECOND, "gradient of KL in the second covariance", "full"),
    _gradient(
        "kl/first_covariance_symmetric",
        "S0",
        f"2*({_IN_FIRST}) - ddiag({_IN_FIRST})",
        "gradient of KL in the distinct entries of the first covariance",
        "symmetric",
    ),
    _gradient(
        "kl/second_covariance_symmetric",
        "S1",
        f"2*({_IN_SECOND}) - ddiag({_IN_SECOND})",
        "gradient of KL in the distinct entries of the second covariance",
        "symmetric",
    ),
    Claim(
        name="kl/hessian_first",
        title="Hessian of KL in the first Gaussian where the two are equal, times a step",
        statement=rf"\nabla^2_{{(m_0, \operatorname{{vech}} S_0)}} \mathrm{{KL}}\big|_{{N_0 = N_1}}\, v {_HESSIAN}",
        function=_hessian_of_kl(True),
        derivative=_fisher,
        arguments=(_m, _s, _dm, _ds),
        wrt=(),
        kind="value",
        source=beyond(26),
        hypotheses=("S positive definite",),
    ),
    Claim(
        name="kl/hessian_second",
        title="Hessian of KL in the second Gaussian where the two are equal, times a step",
        statement=rf"\nabla^2_{{(m_1, \operatorname{{vech}} S_1)}} \mathrm{{KL}}\big|_{{N_0 = N_1}}\, v {_HESSIAN}",
        function=_hessian_of_kl(False),
        derivative=_fisher,
        arguments=(_m, _s, _dm, _ds),
        wrt=(),
        kind="value",
        source=beyond(26),
        hypotheses=("S positive definite",),
    ),
)


def _root(s, power=0.5):
    """S^power by the eigenvalues."""
    values, vectors = jnp.linalg.eigh(s)
    return vectors * values**power @ vectors.T


def _log(s):
    values, vectors = jnp.linalg.eigh(s)
    return vectors * jnp.log(values) @ vectors.T


def _congruent_eigenvalues(a, b):
    """Eigenvalues of B A, as those of L' B L, A = L L'."""
    f = jnp.linalg.cholesky(a)
    return jnp.linalg.eigvalsh(f.T @ b @ f)


def _wasserstein(m1, s1, m2, s2):
    """Squared; tr (S2^1/2 S1 S2^1/2)^1/2 is the sum of the roots of the eigenvalues of S1 S2."""
    overlap = jnp.sum(jnp.sqrt(_congruent_eigenvalues(s2, s1)))
    return (m1 - m2) @ (m1 - m2) + jnp.trace(s1 + s2) - 2 * overlap


def _transport(s1, s2):
    """T = S2^1/2 (S2^1/2 S1 S2^1/2)^-1/2 S2^1/2."""
    root = _root(s2)
    return root @ _root(root @ s1 @ root, -0.5) @ root


def _bhattacharyya(m1, s1, m2, s2):
    middle, d = (s1 + s2) / 2, m1 - m2
    return d @ jnp.linalg.solve(middle, d) / 8 + log_det(middle) / 2 - log_det(s1) / 4 - log_det(s2) / 4


def _bhattacharyya_in_covariance(m1, s1, m2, s2):
    p = jnp.linalg.inv((s1 + s2) / 2)
    pd = p @ (m1 - m2)
    return -jnp.outer(pd, pd) / 16 + p / 4 - jnp.linalg.inv(s1) / 4


def _affine_invariant(a, b):
    """sum log^2 eig(A^-1 B)."""
    return jnp.sum(jnp.log(_congruent_eigenvalues(jnp.linalg.inv(a), b)) ** 2)


def _by_general_logarithm(a, b):
    """2 B^-1 logm(B A^-1), B A^-1 = A^1/2 (A^-1/2 B A^-1/2) A^-1/2."""
    root, inverse = _root(a), _root(a, -0.5)
    return 2 * jnp.linalg.solve(b, root @ _log(inverse @ b @ inverse) @ inverse)


def _by_symmetric_logarithm(a, b):
    root, inverse = _root(b), _root(b, -0.5)
    return 2 * inverse @ _log(root @ jnp.linalg.inv(a) @ root) @ inverse


_four = tuple(
    Argument(name, domain, shape)
    for i in (1, 2)
    for name, domain, shape in ((f"m{i}", Vector(), ("d",)), (f"S{i}", PositiveDefinite(), ("d", "d")))
)
_pair = (Argument("A", PositiveDefinite(), ("d", "d")), Argument("B", PositiveDefinite(), ("d", "d")))
_TWO = ("S1 and S2 positive definite",)
_W = r"W_2^2"
_DISTANCES = (
    Claim(
        name="wasserstein/mean",
        title="gradient of the squared Wasserstein distance in a mean",
        statement=(
            rf"\frac{{\partial {_W}}}{{\partial m_1}} = 2 (m_1 - m_2), \quad {_W} = \|m_1 - m_2\|^2"
            r" + \operatorname{tr}\bigl(S_1 + S_2 - 2 (S_2^{1/2} S_1 S_2^{1/2})^{1/2}\bigr)"
        ),
        function=_wasserstein,
        derivative=lambda m1, _s1, m2, _s2: 2 * (m1 - m2),
        arguments=_four,
        wrt=(0,),
        source=beyond(31),
        hypotheses=_TWO,
    ),
    Claim(
        name="wasserstein/covariance",
        title="gradient of the squared Wasserstein distance in a covariance",
        statement=(
            rf"\nabla_{{S_1}} {_W} = I - T,"
            r" \quad T = S_2^{1/2} (S_2^{1/2} S_1 S_2^{1/2})^{-1/2} S_2^{1/2}"
        ),
        function=_wasserstein,
        derivative=lambda _m1, s1, _m2, s2: jnp.eye(len(s1)) - _transport(s1, s2),
        arguments=_four,
        wrt=(1,),
        convention="full",
        source=beyond(31),
        hypotheses=_TWO,
    ),
    Claim(
        name="wasserstein/map",
        title="T is the optimal map: it carries S1 to S2",
        statement=r"T S_1 T = S_2, \quad T = S_2^{1/2} (S_2^{1/2} S_1 S_2^{1/2})^{-1/2} S_2^{1/2}",
        function=lambda s1, s2: _transport(s1, s2) @ s1 @ _transport(s1, s2),
        derivative=lambda _, s2: s2,
        arguments=(_four[1], _four[3]),
        wrt=(),
        kind="value",
        source=beyond(31),
        hypotheses=_TWO,
    ),
    Claim(
        name="bhattacharyya/mean",
        title="gradient of the Bhattacharyya distance in a mean",
        statement=(
            r"\frac{\partial}{\partial m_1} \Bigl[\tfrac18 d^\top \bar S^{-1} d + \tfrac12 \log\det \bar S"
            r" - \tfrac14 \log\det S_1 - \tfrac14 \log\det S_2\Bigr] = \tfrac14 \bar S^{-1} d,"
            r" \quad \bar S = \tfrac12 (S_1 + S_2),\; d = m_1 - m_2"
        ),
        function=_bhattacharyya,
        derivative=lambda m1, s1, m2, s2: jnp.linalg.inv((s1 + s2) / 2) @ (m1 - m2) / 4,
        arguments=_four,
        wrt=(0,),
        source=beyond(32),
        hypotheses=_TWO,
    ),
    Claim(
        name="bhattacharyya/covariance",
        title="gradient of the Bhattacharyya distance in a covariance",
        statement=(
            r"\nabla_{S_1} = -\tfrac1{16} \bar S^{-1} d d^\top \bar S^{-1} + \tfrac14 \bar S^{-1} - \tfrac14 S_1^{-1},"
            r" \quad \bar S = \tfrac12 (S_1 + S_2),\; d = m_1 - m_2"
        ),
        function=_bhattacharyya,
        derivative=_bhattacharyya_in_covariance,
        arguments=_four,
        wrt=(1,),
        convention="full",
        source=beyond(32),
        hypotheses=_TWO,
    ),
    Claim(
        name="affine_invariant/general",
        title="gradient of the squared affine-invariant distance, by the logarithm of B A^-1",
        statement=r"\nabla_B \sum_i \log^2 \lambda_i(A^{-1} B) = 2 B^{-1} \log(B A^{-1})",
        function=_affine_invariant,
        derivative=_by_general_logarithm,
        arguments=_pair,
        wrt=(1,),
        convention="full",
        source=beyond(33),
        hypotheses=("A and B positive definite",),
    ),
    Claim(
        name="affine_invariant/symmetric_form",
        title="gradient of the squared affine-invariant distance, by the logarithm of a symmetric matrix",
        statement=(
            r"\nabla_B \sum_i \log^2 \lambda_i(A^{-1} B)"
            r" = 2 B^{-1/2} \log(B^{1/2} A^{-1} B^{1/2})\, B^{-1/2}"
        ),
        function=_affine_invariant,
        derivative=_by_symmetric_logarithm,
        arguments=_pair,
        wrt=(1,),
        convention="full",
        source=beyond(33),
        hypotheses=("A and B positive definite",),
    ),
)

CLAIMS: tuple[Claim, ...] = (*_KULLBACK_LEIBLER, *_DISTANCES)
