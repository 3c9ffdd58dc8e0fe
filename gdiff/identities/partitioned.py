"""Block matrices, their determinants and inverses, and the Vandermonde matrix."""

import jax.numpy as jnp
import numpy as np

from gdiff.claim import Argument, Claim
from gdiff.domains import General, Vector
from gdiff.identities.notation import cookbook, log_det

_A11 = Argument("A11", General(), ("d", "d"))
_A12 = Argument("A12", General(), ("d", "p"))
_A21 = Argument("A21", General(), ("p", "d"))
_A22 = Argument("A22", General(), ("p", "p"))
_BLOCKS = (_A11, _A12, _A21, _A22)


def _joined(a11, a12, a21, a22):
    return jnp.block([[a11, a12], [a21, a22]])


def _schur_1(a11, a12, a21, a22):
    return a11 - a12 @ jnp.linalg.inv(a22) @ a21


def _schur_2(a11, a12, a21, a22):
    return a22 - a21 @ jnp.linalg.inv(a11) @ a12


def _inverse_by_both(a11, a12, a21, a22):
    """(399): the diagonal blocks by C1 and C2, the others by C2."""
    c1, c2 = (jnp.linalg.inv(c(a11, a12, a21, a22)) for c in (_schur_1, _schur_2))
    p = jnp.linalg.inv(a11)
    return jnp.block([[c1, -p @ a12 @ c2], [-c2 @ a21 @ p, c2]])


def _inverse_in_full(a11, a12, a21, a22):
    """(400): the blocks written out."""
    c1, c2 = (jnp.linalg.inv(c(a11, a12, a21, a22)) for c in (_schur_1, _schur_2))
    p, q = jnp.linalg.inv(a11), jnp.linalg.inv(a22)
    return jnp.block([[p + p @ a12 @ c2 @ a21 @ p, -c1 @ a12 @ q], [-q @ a21 @ c1, q + q @ a21 @ c1 @ a12 @ q]])


def _vandermonde(v):
    return jnp.stack([v**k for k in range(len(v))], axis=1)


def _differences(v):
    return v[:, None] - v[None, :]


CLAIMS = (
    Claim(
        name="block/determinant_first",
        title="determinant of a block matrix, by the complement of A22",
        statement=r"\det A = \det(A_{22}) \det(C_1), \quad C_1 = A_{11} - A_{12} A_{22}^{-1} A_{21}",
        function=lambda *a: jnp.linalg.det(_joined(*a)),
        derivative=lambda *a: jnp.linalg.det(a[3]) * jnp.linalg.det(_schur_1(*a)),
        arguments=_BLOCKS,
        wrt=(),
        kind="value",
        source=cookbook(397),
        hypotheses=("A22 invertible",),
    ),
    Claim(
        name="block/determinant_second",
        title="determinant of a block matrix, by the complement of A11",
        statement=r"\det A = \det(A_{11}) \det(C_2), \quad C_2 = A_{22} - A_{21} A_{11}^{-1} A_{12}",
        function=lambda *a: jnp.linalg.det(_joined(*a)),
        derivative=lambda *a: jnp.linalg.det(a[0]) * jnp.linalg.det(_schur_2(*a)),
        arguments=_BLOCKS,
        wrt=(),
        kind="value",
        source=cookbook(398),
        hypotheses=("A11 invertible",),
    ),
    Claim(
        name="block/inverse",
        title="inverse of a block matrix, by both complements",
        statement=(
            r"A^{-1} = \begin{bmatrix} C_1^{-1} & -A_{11}^{-1} A_{12} C_2^{-1} \\"
            r" -C_2^{-1} A_{21} A_{11}^{-1} & C_2^{-1} \end{bmatrix}"
        ),
        function=lambda *a: jnp.linalg.inv(_joined(*a)),
        derivative=_inverse_by_both,
        arguments=_BLOCKS,
        wrt=(),
        kind="value",
        source=cookbook(399, 400, 401),
        hypotheses=("A11 and A22 invertible",),
    ),
    Claim(
        name="block/inverse_in_full",
        title="inverse of a block matrix, its blocks in full",
        statement=(
            r"A^{-1} = \begin{bmatrix} A_{11}^{-1} + A_{11}^{-1} A_{12} C_2^{-1} A_{21} A_{11}^{-1} &"
            r" -C_1^{-1} A_{12} A_{22}^{-1} \\ -A_{22}^{-1} A_{21} C_1^{-1} &"
            r" A_{22}^{-1} + A_{22}^{-1} A_{21} C_1^{-1} A_{12} A_{22}^{-1} \end{bmatrix}"
        ),
        function=lambda *a: jnp.linalg.inv(_joined(*a)),
        derivative=_inverse_in_full,
        arguments=_BLOCKS,
        wrt=(),
        kind="value",
        source=cookbook(402),
        hypotheses=("A11 and A22 invertible",),
    ),
    Claim(
        name="block/log_det_first",
        title="gradient of log|det| of a block matrix in A11",
        statement=r"\frac{\partial \ln|\det A|}{\partial A_{11}} = C_1^{-\top}",
        function=lambda *a: log_det(_joined(*a)),
        derivative=lambda *a: jnp.linalg.inv(_schur_1(*a)).T,
        arguments=_BLOCKS,
        wrt=(0,),
        source=cookbook(397),
        hypotheses=("A22 invertible",),
    ),
    Claim(
        name="block/log_det_cross",
        title="gradient of log|det| of a block matrix in A12",
        statement=r"\frac{\partial \ln|\det A|}{\partial A_{12}} = -(A_{22}^{-1} A_{21} C_1^{-1})^\top",
        function=lambda *a: log_det(_joined(*a)),
        derivative=lambda *a: -(jnp.linalg.inv(a[3]) @ a[2] @ jnp.linalg.inv(_schur_1(*a))).T,
        arguments=_BLOCKS,
        wrt=(1,),
        source=cookbook(397),
        hypotheses=("A22 invertible",),
    ),
    Claim(
        name="vandermonde/determinant",
        title="determinant of the Vandermonde matrix",
        statement=r"\det V = \prod_{i > j} (v_i - v_j)",
        function=lambda v: jnp.linalg.det(_vandermonde(v)),
        derivative=lambda v: jnp.prod(jnp.where(np.tri(len(v), k=-1) > 0, _differences(v), 1.0)),
        arguments=(Argument("v", Vector(), ("d",)),),
        wrt=(),
        kind="value",
        source=cookbook(485, 486),
        hypotheses=("distinct nodes",),
        dimensions=(2, 3),
    ),
    Claim(
        name="vandermonde/log_det",
        title="gradient of log|det V| in the nodes",
        statement=r"\frac{\partial \ln|\det V|}{\partial v_i} = \sum_{j \ne i} \frac{1}{v_i - v_j}",
        function=lambda v: log_det(_vandermonde(v)),
        derivative=lambda v: jnp.sum((1 - np.eye(len(v))) / (_differences(v) + np.eye(len(v))), axis=1),
        arguments=(Argument("v", Vector(), ("d",)),),
        wrt=(0,),
        source=cookbook(485, 486),
        hypotheses=("distinct nodes",),
        dimensions=(2, 3),
    ),
)
