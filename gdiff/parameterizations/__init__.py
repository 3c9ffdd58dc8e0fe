"""Covariances from unconstrained vectors, and back: for optimisers, and for priors.

Sigma is d x d, theta the vector of parameters, k = d(d+1)/2. Every class has `covariance(params)`, `parameters(cov)`,
`log_det_jacobian(params)`, the logarithm of |det d vech(Sigma) / d theta|, and `size(d)`, the length of theta.

| made by | Sigma | theta | free | unique | cost | choose it for |
|---|---|---|---|---|---|---|
| `LowerTriangle()` | unvech(theta) | entries of Sigma | no | yes | d^2 (1) | reports, not optimisers |
| `Cholesky()` | L L' | entries of L | yes | up to signs | d^3 | models that come close to singular |
| `LogCholesky()` | L L' | entries of L, log of its diagonal | yes | yes | d^3 | nearly any model: the first to try |
| `MatrixLogarithm()` | exp(Z) | entries of Z | yes | yes | eigh | models in which no variable comes first |
| `Spherical()` | L L' | log s, angles of rows | yes | yes | d^3 | correlations with the first variable |
| `Givens()` | U diag(l) U' | log gaps of l, angles | yes | yes (2) | d^3 | eigenvalues of interest |
| `ScaleCorrelation()` | diag(s) R diag(s) | log s, partial correlations | yes | yes | d^3 | priors on s and on R |
| `BoundedEigenvalues(low, high)` | f(Z) | entries of Z | yes | yes | eigh | a bounded condition number |
| `Diagonal()` | diag(v) | log v | yes | yes | d^2 | independent variables |
| `LowRankPlusDiagonal(rank)` | F F' + diag(v) | F, log v | yes | yes (3) | d^2 rank | few factors, many variables |

L is lower triangular, s are standard deviations, l eigenvalues. Free: every vector of that length is a covariance.
(1) And d^3 to judge it. (2) Not all are reached: equal eigenvalues are not. (3) Where d >= 2 rank + 1, for almost all.
Choose by what a prior or a report is to speak of, and start an optimiser at `parameters(sample_covariance)`.

`params` is of shape (size,) and `cov` of shape (d, d): batches are `jax.vmap`'s business. All is differentiable to
every order but one: `log_det_jacobian` of `MatrixLogarithm` and `BoundedEigenvalues` to the second at equal
eigenvalues (NaN beyond), and to every order elsewhere. The dtype is that of the argument. ValueError for shapes, and
for values when nothing is traced: entries that are not finite, a matrix that is not a covariance (`gdiff.validity` has
the rules) or not one that the parameterization reaches; under a transformation those give NaN.

The siblings in order: `spectral` (functions of symmetric matrices), `base` (what all share), `triangular`
(LowerTriangle, Cholesky, LogCholesky), `angles` (Spherical, ScaleCorrelation), `eigen` (MatrixLogarithm,
BoundedEigenvalues, Givens), `restricted` (Diagonal, LowRankPlusDiagonal).

Sources: Pinheiro and Bates 1996, Unconstrained parametrizations for variance-covariance matrices, Statistics and
Computing 6, 289-296; Muirhead 1982, Aspects of Multivariate Statistical Theory; Lewandowski, Kurowicka and Joe 2009,
Generating random correlation matrices based on vines and extended onion method, Journal of Multivariate Analysis 100.
"""

from gdiff.parameterizations.angles import ScaleCorrelation as ScaleCorrelation
from gdiff.parameterizations.angles import Spherical as Spherical
from gdiff.parameterizations.base import Parameterization as Parameterization
from gdiff.parameterizations.eigen import BoundedEigenvalues as BoundedEigenvalues
from gdiff.parameterizations.eigen import Givens as Givens
from gdiff.parameterizations.eigen import MatrixLogarithm as MatrixLogarithm
from gdiff.parameterizations.restricted import Diagonal as Diagonal
from gdiff.parameterizations.restricted import LowRankPlusDiagonal as LowRankPlusDiagonal
from gdiff.parameterizations.triangular import Cholesky as Cholesky
from gdiff.parameterizations.triangular import LogCholesky as LogCholesky
from gdiff.parameterizations.triangular import LowerTriangle as LowerTriangle
