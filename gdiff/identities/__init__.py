"""The catalogue, one chapter a file, each an explicit tuple of claims.

The siblings are floors of their own: `notation` (domains, sources and plain functions that chapters share), then the
chapters `determinants`, `quadratic_forms`, `gaussian`, `gaussian_hessian`, `information`, none of which imports
another.
"""

from gdiff.claim import Claim
from gdiff.identities import determinants, gaussian, gaussian_hessian, information, quadratic_forms

CHAPTERS: dict[str, tuple[Claim, ...]] = {
    "determinants": determinants.CLAIMS,
    "quadratic_forms": quadratic_forms.CLAIMS,
    "gaussian": gaussian.CLAIMS,
    "gaussian_hessian": gaussian_hessian.CLAIMS,
    "information": information.CLAIMS,
}
