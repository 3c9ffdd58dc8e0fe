"""Spaces that an argument can live in: sample, tangent basis, project.

A domain says what an argument *is*; it is declared by the caller and never guessed from values. Directions are scaled
to the point ("whitened"): a step of 1e-2 along one never leaves the domain, whatever the conditioning, and directional
derivatives along them are commensurate.

Arrays are host arrays (NumPy, float64). A leading batch is allowed where the domain is one of matrices.

Siblings in order: `base` (what every domain can do), `arrays` (entries free), `matrices` (symmetric and skew),
`factors` (triangular, diagonal, orthogonal), `patterns` (Toeplitz), `complex` (real and imaginary parts).
"""

from gdiff.domains.arrays import General as General
from gdiff.domains.arrays import Positive as Positive
from gdiff.domains.arrays import Scalar as Scalar
from gdiff.domains.arrays import Singular as Singular
from gdiff.domains.arrays import Vector as Vector
from gdiff.domains.base import Domain as Domain
from gdiff.domains.complex import Complex as Complex
from gdiff.domains.complex import Hermitian as Hermitian
from gdiff.domains.complex import default_domain as default_domain
from gdiff.domains.factors import Diagonal as Diagonal
from gdiff.domains.factors import LowerTriangular as LowerTriangular
from gdiff.domains.factors import Orthogonal as Orthogonal
from gdiff.domains.matrices import Correlation as Correlation
from gdiff.domains.matrices import DefinitePart as DefinitePart
from gdiff.domains.matrices import PositiveDefinite as PositiveDefinite
from gdiff.domains.matrices import RepeatedSpectrum as RepeatedSpectrum
from gdiff.domains.matrices import SingularSymmetric as SingularSymmetric
from gdiff.domains.matrices import Skew as Skew
from gdiff.domains.matrices import Symmetric as Symmetric
from gdiff.domains.patterns import Circulant as Circulant
from gdiff.domains.patterns import SymmetricToeplitz as SymmetricToeplitz
from gdiff.domains.patterns import Toeplitz as Toeplitz
