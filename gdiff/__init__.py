"""Derive, verify and run matrix-calculus formulas for Gaussian models, on JAX.

Names load on first use: a formula with a typing mistake is answered before JAX is imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gdiff import closed_form as closed_form
    from gdiff import domains as domains
    from gdiff import multivariate_normal as multivariate_normal
    from gdiff import parameterizations as parameterizations
    from gdiff import symmetric as symmetric
    from gdiff import testing as testing
    from gdiff.assessment import verify_identity as verify_identity
    from gdiff.derivation import parse as parse
    from gdiff.derived import Derivation as Derivation
    from gdiff.derived import derive as derive
    from gdiff.estimation import maximum_likelihood as maximum_likelihood
    from gdiff.information import Information as Information
    from gdiff.laplace_approximation import laplace as laplace
    from gdiff.lookup import catalogue as catalogue
    from gdiff.statistics import SufficientStatistics as SufficientStatistics
    from gdiff.status import Status as Status
    from gdiff.structured import StructuredGaussian as StructuredGaussian
    from gdiff.verify import verify_differential as verify_differential
    from gdiff.verify import verify_gradient as verify_gradient
    from gdiff.verify import verify_hessian as verify_hessian
    from gdiff.verify import verify_jacobian as verify_jacobian
    from gdiff.written import identity as identity

_MODULES = ("closed_form", "domains", "multivariate_normal", "parameterizations", "symmetric", "testing")
_FROM = {  # module: its public names
    "assessment": ("verify_identity",),
    "derivation": ("parse",),
    "derived": ("Derivation", "derive"),
    "estimation": ("maximum_likelihood",),
    "information": ("Information",),
    "laplace_approximation": ("LaplaceApproximation", "laplace"),
    "lookup": ("catalogue",),
    "statistics": ("SufficientStatistics",),
    "status": ("Status",),
    "structured": ("StructuredGaussian",),
    "verify": ("verify_differential", "verify_gradient", "verify_hessian", "verify_jacobian"),
    "written": ("identity",),
}
_NAMES = {name: module for module, names in _FROM.items() for name in names}
__all__ = [*_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'gdiff' has no attribute {name!r}")
    module = import_module(f"gdiff.{_NAMES.get(name, name)}")
    return getattr(module, name) if name in _NAMES else module


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
