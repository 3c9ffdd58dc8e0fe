"""Derive, verify and run matrix-calculus formulas for Gaussian models, on JAX."""

from gdiff import closed_form as closed_form
from gdiff import symmetric as symmetric
from gdiff.statistics import SufficientStatistics as SufficientStatistics
from gdiff import multivariate_normal as multivariate_normal
