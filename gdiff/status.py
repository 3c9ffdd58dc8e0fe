"""Why an answer is not to be trusted: of arguments, of a matrix, of a maximum. Under jit it is an int32 array."""

import enum


class Status(enum.IntEnum):
    """Why an answer is NaN, or a maximum is none; `Status(int(a.status)).explain()` says what to do."""

    OK = 0
    NOT_FINITE = 1
    NOT_SYMMETRIC = 2
    NOT_POSITIVE_DEFINITE = 3
    NOT_LOWER_TRIANGULAR = 4
    DIAGONAL_NOT_POSITIVE = 5
    SINGULAR = 6
    NOT_CONVERGED = 7
    SADDLE = 8
    FLAT_DIRECTION = 9
    AT_BOUND = 10

    @property
    def words(self) -> str:
        """Its name, as a person writes it."""
        return self.name.lower().replace("_", " ")

    def explain(self) -> str:
        """What is wrong, and what to do."""
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    Status.OK: "valid.",
    Status.NOT_FINITE: (
        "there are NaN or infinite numbers: drop or impute them where they are data; where a log-density or a "
        "derivative of it returns them, start where it is finite."
    ),
    Status.NOT_SYMMETRIC: (
        "the matrix is not symmetric. Moving one entry alone leaves the symmetric matrices, where the density is not "
        "defined: move S_ij and S_ji together (that derivative is B = 2A - A∘I, gdiff.symmetric.grad); if the "
        "asymmetry is rounding, pass gdiff.symmetric.symmetrize(S)."
    ),
    Status.NOT_POSITIVE_DEFINITE: (
        "the matrix is not positive definite to the precision of its dtype: its Cholesky factorisation fails, or a "
        "variable is a linear combination of the others (variance inflation factor above 1/(16 u)). Drop collinear "
        "variables, use more observations than dimensions, or use float64."
    ),
    Status.NOT_LOWER_TRIANGULAR: (
        "the factor has entries above its diagonal: pass the lower L with S = L L' (for an upper one, its transpose; "
        "for the covariance itself, cov=)."
    ),
    Status.DIAGONAL_NOT_POSITIVE: (
        "the factor's diagonal has entries that are not positive: flip the signs of those columns; L L' stays as it is."
    ),
    Status.SINGULAR: "the matrix is singular to the precision of its dtype, so it has no inverse.",
    Status.NOT_CONVERGED: (
        "the search ended where the function still rises: it ran out of steps (raise max_steps, or start nearer), the "
        "function rises without end (an improper posterior: add a prior), or it has a kink at its maximum, where it "
        "has no second derivative."
    ),
    Status.SADDLE: (
        "the point is stationary, but no maximum: the function curves upwards along a direction. Start elsewhere: a "
        "start with symmetries that the maximum lacks leads to a saddle."
    ),
    Status.FLAT_DIRECTION: (
        "the function has no curvature along a direction, to the precision of its dtype, or one that changes at once "
        "(a quartic): the data do not identify that combination of parameters. Add a prior, fix a parameter, rescale "
        "parameters whose units differ by many orders of magnitude, or use float64."
    ),
    Status.AT_BOUND: (
        "the maximum is on a bound, or within a tenth of a standard deviation of one or of where the function stops "
        "being finite, so that no Gaussian stands for it: use parameters without bounds (a logarithm, a logit; mind "
        "the Jacobian), or fix the parameter there."
    ),
}
