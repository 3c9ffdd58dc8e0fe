"""Conditional Gaussians, Kalman updates, and singular covariances.

A joint covariance S has the blocks aa, ab, ba and bb; K = S_ab S_bb^-1 and S_c = S_aa - K S_ba.
"""

import jax
import jax.numpy as jnp

from gdiff.claim import Argument, Claim
from gdiff.domains import General, PositiveDefinite, Symmetric, Vector
from gdiff.identities.notation import beyond, log_likelihood
from gdiff.written import identity

_JOINT = ("S_bb positive definite",)
_BLOCKS = {"S_aa": ("d", "d"), "S_ab": ("d", "m"), "S_bb": ("m", "m")}
_joint = Argument("S", PositiveDefinite(), ("n", "n"))
_weights = Argument("W", General(), ("d", "d"))


def _conditional(s, d):
    """S_c, a the first d coordinates."""
    return s[:d, :d] - s[:d, d:] @ jnp.linalg.solve(s[d:, d:], s[d:, :d])


def _of_conditional(s, w):
    """f(S_c) = sum_ij sin(W_ij S_c,ij); its gradient is not symmetric."""
    return jnp.sum(jnp.sin(w * _conditional(s, len(w))))


def _through_conditional(s, w):
    """[I, -K]' G [I, -K], its symmetric part."""
    d = len(w)
    gain = jnp.linalg.solve(s[d:, d:], s[d:, :d]).T
    g = w * jnp.cos(w * (s[:d, :d] - gain @ s[d:, :d]))
    side = jnp.concatenate([jnp.eye(d), -gain], axis=1)
    return side.T @ ((g + g.T) / 2) @ side


_CONDITIONALS = (
    identity(
        "conditional/gain",
        "S_ab*inv(S_bb)",
        "(dS_ab - S_ab*inv(S_bb)*dS_bb)*inv(S_bb)",
        ["S_ab", "S_bb"],
        kind="differential",
        title="differential of the regression coefficients K",
        shapes={"S_ab": ("d", "m"), "S_bb": ("m", "m")},
        domains={"S_bb": PositiveDefinite()},
        source=beyond(39),
        hypotheses=_JOINT,
    ),
    identity(
        "conditional/covariance",
        "S_aa - S_ab*inv(S_bb)*S_ab'",
        "dS_aa - S_ab*inv(S_bb)*dS_ab' - dS_ab*inv(S_bb)*S_ab' + S_ab*inv(S_bb)*dS_bb*inv(S_bb)*S_ab'",
        ["S_aa", "S_ab", "S_bb"],
        kind="differential",
        title="differential of the conditional covariance",
        shapes=_BLOCKS,
        domains={"S_aa": Symmetric(), "S_bb": PositiveDefinite()},
        source=beyond(39),
        hypotheses=_JOINT,
    ),
    Claim(
        name="conditional/chain",
        title="gradient of a function of the conditional covariance in the joint one",
        statement=(
            r"\nabla_S f(S_c) = \begin{pmatrix} I & -K \end{pmatrix}^\top \operatorname{sym}(G)"
            r" \begin{pmatrix} I & -K \end{pmatrix}, \quad S_c = S_{aa} - K S_{ba},\; K = S_{ab} S_{bb}^{-1}"
        ),
        function=_of_conditional,
        derivative=_through_conditional,
        arguments=(_joint, _weights),
        wrt=(0,),
        convention="full",
        source=beyond(39),
        hypotheses=("S positive definite", "G the gradient of f, entries free"),
    ),
)

_prior = Argument("P", PositiveDefinite(), ("d", "d"))
_noise = Argument("R", PositiveDefinite(), ("m", "m"))
_observe = Argument("H", General(), ("m", "d"))
_innovation = Argument("e", Vector(), ("m",))
_UPDATE = r"\quad S = H P H^\top + R,\; K = P H^\top S^{-1}"
_KALMAN_DEFINITE = ("P and R positive definite", "H fixed")


def _gain(p, r, h):
    return p @ h.T @ jnp.linalg.inv(h @ p @ h.T + r)


def _updated(p, r, h):
    """(I - K H) P."""
    return p - p @ h.T @ jnp.linalg.solve(h @ p @ h.T + r, h @ p)


def _updated_differential(p, r, h, dp, dr):
    k = _gain(p, r, h)
    left = jnp.eye(len(p)) - k @ h
    return left @ dp @ left.T + k @ dr @ k.T


def _innovation_density(e, p, r, h):
    return log_likelihood(e, jnp.zeros_like(e), h @ p @ h.T + r)


def _innovation_differential(e, p, r, h, de, dp, dr):
    inverse = jnp.linalg.inv(h @ p @ h.T + r)
    g = inverse @ e
    return jnp.trace((jnp.outer(g, g) - inverse) @ (h @ dp @ h.T + dr)) / 2 - g @ de


_KALMAN = (
    Claim(
        name="kalman/covariance",
        title="differential of the updated covariance",
        statement=(
            r"\mathrm{d} P_+ = (I - K H)\, \mathrm{d}P\, (I - K H)^\top + K\, \mathrm{d}R\, K^\top,"
            rf" \quad P_+ = (I - K H) P, {_UPDATE}"
        ),
        function=_updated,
        derivative=_updated_differential,
        arguments=(_prior, _noise, _observe),
        wrt=(0, 1),
        kind="differential",
        source=beyond(40),
        hypotheses=_KALMAN_DEFINITE,
    ),
    Claim(
        name="kalman/innovation",
        title="differential of the log-density of the innovation",
        statement=(
            r"\mathrm{d} \log N(e \mid 0, S) = \tfrac12 \operatorname{tr}\bigl[(S^{-1} e e^\top S^{-1} - S^{-1})"
            r" (H\, \mathrm{d}P\, H^\top + \mathrm{d}R)\bigr] - e^\top S^{-1}\, \mathrm{d}e,"
            r" \quad S = H P H^\top + R"
        ),
        function=_innovation_density,
        derivative=_innovation_differential,
        arguments=(_innovation, _prior, _noise, _observe),
        wrt=(0, 1, 2),
        kind="differential",
        source=beyond(40),
        hypotheses=_KALMAN_DEFINITE,
    ),
)

_SINGULAR = ("Sigma = W W', W of full column rank k < n", "steps of constant rank, dSigma = dW W' + W dW'")
_tall = Argument("W", General(), ("n", "d"))
_dw = Argument("dW", General(), ("n", "d"))
_u = Argument("u", Vector(), ("d",))


def _log_pseudo_determinant(w):
    """The sum of the logarithms of the eigenvalues of W W' that are not zero."""
    return 2 * jnp.sum(jnp.log(jnp.linalg.svd(w, compute_uv=False)))


def _pseudo_inverse(w):
    """(W W')^+."""
    inner = jnp.linalg.inv(w.T @ w)
    return w @ inner @ inner @ w.T


def _moved(w, dw):
    return dw @ w.T + w @ dw.T


def _form_along(w, u, dw):
    """d/dt r' (Sigma + t dSigma)^+ r, r = W u fixed."""
    r = w @ u

    def form(moved):
        half = jnp.linalg.pinv(moved) @ r  # (W W')^+ = W^+' W^+
        return half @ half

    return jax.jvp(form, (w,), (dw,))[1]


def _form_differential(w, u, dw):
    solved = _pseudo_inverse(w) @ w @ u
    return -solved @ _moved(w, dw) @ solved


_SINGULAR_CLAIMS = (
    Claim(
        name="singular/log_pseudo_determinant",
        title="differential of the log-pseudo-determinant",
        statement=(
            r"\mathrm{d} \log \operatorname{pdet} \Sigma = \operatorname{tr}(\Sigma^+\, \mathrm{d}\Sigma),"
            r" \quad \Sigma = W W^\top,\; \mathrm{d}\Sigma = \mathrm{d}W\, W^\top + W\, \mathrm{d}W^\top"
        ),
        function=_log_pseudo_determinant,
        derivative=lambda w, dw: jnp.trace(_pseudo_inverse(w) @ _moved(w, dw)),
        arguments=(_tall,),
        wrt=(0,),
        kind="differential",
        source=beyond(44),
        hypotheses=_SINGULAR,
    ),
    Claim(
        name="singular/factor",
        title="gradient of the log-pseudo-determinant in the factor, by the pseudo-inverse",
        statement=r"\frac{\partial}{\partial W} \log \operatorname{pdet}(W W^\top) = 2 \Sigma^+ W",
        function=_log_pseudo_determinant,
        derivative=lambda w: 2 * _pseudo_inverse(w) @ w,
        arguments=(_tall,),
        wrt=(0,),
        source=beyond(44),
        hypotheses=_SINGULAR[:1],
    ),
    Claim(
        name="singular/factor_small",
        title="gradient of the log-pseudo-determinant in the factor",
        statement=r"\frac{\partial}{\partial W} \log \operatorname{pdet}(W W^\top) = 2 W (W^\top W)^{-1}",
        function=_log_pseudo_determinant,
        derivative=lambda w: 2 * w @ jnp.linalg.inv(w.T @ w),
        arguments=(_tall,),
        wrt=(0,),
        source=beyond(44),
        hypotheses=_SINGULAR[:1],
    ),
    Claim(
        name="singular/quadratic_form",
        title="differential of the quadratic form of a singular covariance",
        statement=(
            r"\mathrm{d} (r^\top \Sigma^+ r) = -r^\top \Sigma^+\, \mathrm{d}\Sigma\, \Sigma^+ r,"
            r" \quad r = W u \in \operatorname{range} \Sigma,"
            r" \; \mathrm{d}\Sigma = \mathrm{d}W\, W^\top + W\, \mathrm{d}W^\top"
        ),
        function=_form_along,
        derivative=_form_differential,
        arguments=(_tall, _u, _dw),
        wrt=(),
        kind="value",
        source=beyond(44),
        hypotheses=(*_SINGULAR, "r in the range of Sigma"),
    ),
)

CLAIMS: tuple[Claim, ...] = (*_CONDITIONALS, *_KALMAN, *_SINGULAR_CLAIMS)
