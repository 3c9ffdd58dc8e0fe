"""Gradients in the entries of symmetric, diagonal and Toeplitz matrices."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdiff.claim import Argument, Claim, Hypothesis
from gdiff.domains import Diagonal, General, SingularSymmetric, Symmetric, SymmetricToeplitz, Toeplitz
from gdiff.identities.notation import cookbook
from gdiff.written import identity

_SYMMETRIC: dict[str, Any] = {"domains": {"X": Symmetric()}, "convention": "symmetric", "hypotheses": ["X symmetric"]}
_A = Argument("A", General(), ("d", "d"))
_B = Argument("B", General(), ("d", "d"))


def _free(x, a, b):
    """A function of a matrix whose entries are free."""
    return jnp.sum(jnp.sin(x @ a)) + jnp.trace(x @ x @ b)


def _without(m, row, column):
    """[M]_ij: M without row i and column j, counted from 1."""
    return jnp.delete(jnp.delete(m, row - 1, axis=0), column - 1, axis=1)


def _alpha_printed(a):
    """(143) for n = 4: the main diagonal, the first and second off-diagonals and the corners, as printed."""
    t, n = a.T, len(a)
    above = {0: jnp.trace(a), 1: jnp.trace(_without(t, n, 1)), n - 1: a[n - 1, 0]}
    below = {1: jnp.trace(_without(t, 1, n)), n - 1: a[0, n - 1]}
    above[2] = jnp.trace(_without(_without(t, 1, n), n - 1, 2))
    below[2] = jnp.trace(_without(_without(t, 1, n), 2, n - 1))
    return sum(v * jnp.eye(n, k=k) for k, v in above.items()) + sum(v * jnp.eye(n, k=-k) for k, v in below.items())


def _alpha(a):
    """The sums along the diagonals of A', each on its diagonal."""
    n = len(a)
    return sum(jnp.trace(a.T, offset=k) * jnp.eye(n, k=k) for k in range(1 - n, n))


def _folded(alpha):
    return alpha + alpha.T - alpha * jnp.eye(len(alpha))


def _shared(partials):
    """Partial derivatives in the numbers of a Toeplitz matrix: each entry of a diagonal has an equal share."""
    n = len(partials)
    return partials / (n - np.abs(np.subtract.outer(np.arange(n), np.arange(n))))


def _shared_by_pairs(partials):
    """The same for a symmetric Toeplitz matrix, in which two diagonals hold one number."""
    return _shared(partials) * np.where(np.eye(len(partials)) > 0, 1.0, 0.5)


CLAIMS = (
    Claim(
        name="symmetric/from_unconstrained",
        title="gradient in the distinct entries from the unconstrained one",
        statement=(
            r"\frac{\mathrm{d}f}{\mathrm{d}A} = \frac{\partial f}{\partial A}"
            r" + \Bigl(\frac{\partial f}{\partial A}\Bigr)^\top"
            r" - \operatorname{diag}\Bigl(\frac{\partial f}{\partial A}\Bigr)"
        ),
        function=_free,
        derivative=lambda x, a, b: (lambda g: g + g.T - jnp.diag(jnp.diag(g)))(jax.grad(_free)(x, a, b)),
        arguments=(Argument("X", Symmetric(), ("d", "d")), _A, _B),
        wrt=(0,),
        source=cookbook(138),
        convention="symmetric",
        hypotheses=("A symmetric",),
    ),
    identity("symmetric/trace", "tr(A*X)", "A + A' - had(A, I)", "X", source=cookbook(139), **_SYMMETRIC),
    identity(
        "symmetric/det",
        "det(X)",
        "det(X)*(2*inv(X) - had(inv(X), I))",
        "X",
        source=cookbook(140),
        fails_unless={"X invertible": {"X": SingularSymmetric()}},
        expected="holds under hypotheses",
        instead="symmetric/det_cofactors",
        **_SYMMETRIC,
    ),
    Claim(
        name="symmetric/det_cofactors",
        title="gradient of det(X) in the distinct entries: from the cofactors",
        statement=(
            r"\frac{\partial \det(X)}{\partial X} = 2 \operatorname{adj}(X) - \operatorname{adj}(X) \circ I,"
            r" \quad \operatorname{adj}(X) = X^2 - \operatorname{tr}(X) X"
            r" + \tfrac12 (\operatorname{tr}(X)^2 - \operatorname{tr}(X^2)) I"
        ),
        function=jnp.linalg.det,
        derivative=lambda x: (lambda adj: 2 * adj - adj * jnp.eye(3))(
            x @ x - jnp.trace(x) * x + (jnp.trace(x) ** 2 - jnp.trace(x @ x)) / 2 * jnp.eye(3)
        ),
        arguments=(Argument("X", Symmetric(), (3, 3)),),
        wrt=(0,),
        source=cookbook(140),
        convention="symmetric",
        hypotheses=("X symmetric, 3 x 3, singular or not",),
        fails_unless=(Hypothesis("X invertible", (Argument("X", SingularSymmetric(), (3, 3)),)),),
        dimensions=(3,),
    ),
    identity(
        "symmetric/log_det",
        "log(det(X))",
        "2*inv(X) - had(inv(X), I)",
        "X",
        source=cookbook(141),
        **_SYMMETRIC,
    ),
    identity(
        "diagonal/trace",
        "tr(A*X)",
        "had(A, I)",
        "X",
        source=cookbook(142),
        domains={"X": Diagonal()},
        hypotheses=["X diagonal: the other entries are no parameters"],
    ),
    Claim(
        name="toeplitz/trace_printed",
        title="gradient of tr(AT) in the diagonals of a Toeplitz T, n = 4",
        statement=(
            r"\frac{\partial \operatorname{tr}(AT)}{\partial T} = \alpha(A), \quad"
            r" \alpha_{13} = \operatorname{tr}\bigl([[A^\top]_{1n}]_{n-1,2}\bigr),"
            r" \ \alpha_{31} = \operatorname{tr}\bigl([[A^\top]_{1n}]_{2,n-1}\bigr)"
        ),
        function=lambda a, t: jnp.trace(a @ t),
        derivative=lambda a, t: _shared(_alpha_printed(a)),  # noqa: ARG005
        arguments=(_A, Argument("T", Toeplitz(), ("d", "d"))),
        wrt=(1,),
        source=cookbook(143),
        hypotheses=("T Toeplitz",),
        expected="refuted",
        instead="toeplitz/trace",
        note="the main diagonal, the first off-diagonals and the corners are right; the second off-diagonals are not",
        dimensions=(4,),
    ),
    Claim(
        name="toeplitz/trace",
        title="gradient of tr(AT) in the diagonals of a Toeplitz T",
        statement=(
            r"\frac{\partial \operatorname{tr}(AT)}{\partial T} = \alpha(A), \quad"
            r" \alpha(A)_{i,i+k} = \sum_j A_{j+k,j}"
        ),
        function=lambda a, t: jnp.trace(a @ t),
        derivative=lambda a, t: _shared(_alpha(a)),  # noqa: ARG005
        arguments=(_A, Argument("T", Toeplitz(), ("d", "d"))),
        wrt=(1,),
        source=cookbook(143),
        hypotheses=("T Toeplitz",),
        dimensions=(1, 3, 4),
    ),
    Claim(
        name="toeplitz/symmetric_trace_printed",
        title="gradient of tr(AT) in the diagonals of a symmetric Toeplitz T, n = 4, alpha as printed",
        statement=(
            r"\frac{\partial \operatorname{tr}(AT)}{\partial T} = \alpha(A) + \alpha(A)^\top - \alpha(A) \circ I"
        ),
        function=lambda a, t: jnp.trace(a @ t),
        derivative=lambda a, t: _shared_by_pairs(_folded(_alpha_printed(a))),  # noqa: ARG005
        arguments=(_A, Argument("T", SymmetricToeplitz(), ("d", "d"))),
        wrt=(1,),
        source=cookbook(144),
        hypotheses=("T symmetric Toeplitz", "alpha of (143)"),
        expected="refuted",
        instead="toeplitz/symmetric_trace",
        dimensions=(4,),
    ),
    Claim(
        name="toeplitz/symmetric_trace",
        title="gradient of tr(AT) in the diagonals of a symmetric Toeplitz T",
        statement=(
            r"\frac{\partial \operatorname{tr}(AT)}{\partial T} = \alpha(A) + \alpha(A)^\top - \alpha(A) \circ I,"
            r" \quad \alpha(A)_{i,i+k} = \sum_j A_{j+k,j}"
        ),
        function=lambda a, t: jnp.trace(a @ t),
        derivative=lambda a, t: _shared_by_pairs(_folded(_alpha(a))),  # noqa: ARG005
        arguments=(_A, Argument("T", SymmetricToeplitz(), ("d", "d"))),
        wrt=(1,),
        source=cookbook(144),
        hypotheses=("T symmetric Toeplitz",),
        dimensions=(1, 3, 4),
    ),
)
