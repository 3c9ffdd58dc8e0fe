"""The catalogue, one chapter a file, each an explicit tuple of claims.

The siblings are floors of their own: `notation` (sources, domains and plain functions that chapters share),
`quadrature` (exact expectations), `matrix_functions` (exponentials, roots, logarithms), then the chapters, none of
which imports another:

- rules, determinants, inverses, forms: `differentials`, `rules`, `determinants`, `cofactors`, `inverses`,
  `vector_forms`, `quadratic_forms`, `forms`, `traces`, `operators`.
- structure: `structured`, `structured_gradients`, `single_entry`, `partitioned`, `complex_arguments`.
- spectra and factorisations: `eigenvalues`, `eigenproblems`, `singular_values`, `spectral`, `decompositions`,
  `pseudo_inverses`.
- the Gaussian log-density: `gaussian`, `gaussian_hessian`, `information`, `parameterizations`, `cholesky`,
  `exponential_family`, `structured_covariances`.
- Gaussians in use: `normal`, `moments`, `higher_moments`, `conditioning`, `models`, `inference`, `theorems`,
  `divergences`.
- other densities: `mixtures`, `univariate`, `wishart`, `wishart_scores`, `distributions`.
"""

from importlib import import_module

from gdiff.claim import Claim

_CHAPTERS = (
    # rules, determinants, inverses, forms
    "differentials",
    "rules",
    "determinants",
    "cofactors",
    "inverses",
    "vector_forms",
    "quadratic_forms",
    "forms",
    "traces",
    "operators",
    # structure
    "structured",
    "structured_gradients",
    "single_entry",
    "partitioned",
    "complex_arguments",
    # spectra and factorisations
    "eigenvalues",
    "eigenproblems",
    "singular_values",
    "spectral",
    "decompositions",
    "pseudo_inverses",
    # the Gaussian log-density
    "gaussian",
    "gaussian_hessian",
    "information",
    "parameterizations",
    "cholesky",
    "exponential_family",
    "structured_covariances",
    # Gaussians in use
    "normal",
    "moments",
    "higher_moments",
    "conditioning",
    "models",
    "inference",
    "theorems",
    "divergences",
    # other densities
    "mixtures",
    "univariate",
    "wishart",
    "wishart_scores",
    "distributions",
)
CHAPTERS: dict[str, tuple[Claim, ...]] = {name: import_module(f"gdiff.identities.{name}").CLAIMS for name in _CHAPTERS}
