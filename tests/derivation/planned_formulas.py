"""Formulas over every operation and structure that a plan knows, with arguments for them."""

import numpy as np

SQUARE = ("d", "d")
SHAPES = {
    **dict.fromkeys(("A", "B", "S", "T", "W", "D", "L", "Q"), SQUARE),
    **{"X": ("n", "d"), "x": "d", "y": "d", "w": "n", "a": (), "b": (), "nu": ()},
}
STRUCTURE = {
    **{"S": "positive_definite", "T": "positive_definite", "W": "symmetric"},
    **{"D": "diagonal", "L": "lower_triangular", "Q": "orthogonal", "A": "general"},
}

FORMULAS = (
    # the Gaussian ones
    "-1/2*inv(S) + 1/2*inv(S)*x*x'*inv(S)",
    "2*inv(S) - had(inv(S), I) - 2*inv(S)*x*x'*inv(S) + had(inv(S)*x*x'*inv(S), I)",
    "-1/2*logdet(2*pi*S) - 1/2*x'*inv(S)*x",
    "(nu + 2)/(nu + x'*inv(S)*x)*inv(S)*x",
    "exp(-x'*inv(S)*x/2)/sqrt(det(S))*inv(S)*x",
    "inv(X'*inv(X*S*X' + I)*X + S)*X'*w",
    # solves of every kind, on both sides
    "inv(A)*x + inv(A)'*y",
    "x'*inv(A)",
    "x'*inv(A)*B",
    "B*inv(A)*B",
    "inv(A)*inv(B)",
    "inv(A)*D*inv(A)'",
    "inv(A*B)*x + inv(2*a*B)*y",
    "inv(W)*x*y'*inv(W)",
    "inv(L)*x + inv(L)'*y + inv(L')*x",
    "inv(L*L')*x + inv(L)*inv(L)'*y",
    "inv(D)*x + D*A*D*y + A*inv(D)*x",
    "inv(D)*inv(A) + inv(A)*inv(D)",
    "inv(Q)*A*Q + inv(Q')*x*x'",
    "inv(S)*A + A'*inv(S)",
    "inv(S + T)*x + inv(S - T/100)*y",
    "inv(S + A*A' + 3*I)*x",
    "inv(a*S + nu*I)*x",
    "inv(inv(S) + inv(T))*(inv(S)*x + inv(T)*y)",
    "inv(had(S, T))*x",
    "(inv(S) - inv(S)*x*x'*inv(S))*y",
    "(A + x*y')'*x + (x*x' + inv(S))'*y",
    "x'*S*y + tr(A*S) + x'*W*y + sum(W*A)",
    # traces and diagonals
    "tr(A*B) + tr(A) + tr(A')",
    "tr(inv(S)*A) + tr(inv(S)*x*y') + tr(inv(S))",
    "tr(inv(S)*A*inv(S)*B)",
    "tr(inv(A)*B) - tr(D*A*B) + tr(D) + tr(eye(d))*a",
    "tr((inv(S) - x*y')*A) + tr(A + 2*B)",
    "tr(X'*X) + tr(X*A*X')",
    "diagonal(A*B) + diagonal(x*y') + diagonal(inv(S)) + diagonal(I)",
    "ddiag(A*B)*x + diag(x)*A*diag(y)*x",
    "diag(x)*diag(y) + diag(x) + a*I",
    "had(A, B) + had(A, D) + had(2*I, A) + ddiag(x*y')",
    # determinants
    "logdet(A*A) + logdet(D*D) + logdet(L*L)",
    "log(det(S)^(-1/2)) + logdet(inv(S)) + logdet(3*S) + logdet(nu*T)",
    "logdet(X'*X) + det(inv(A)) + logdet(D^2) + logdet(2*nu*W*W*a*A*A)",
    "det(A)*inv(A)",
    "det(2*A*B) + det(D) + det(L) + det(S) + det(a*eye(d))",
    "logdet(B*B)*x + inv(B)*x + inv(B)'*y",
    "log(det(2*D*D + D*D))",
    "(2*I + a*I)*x + (I + nu*I)*A*y + logdet(2*eye(d) + a*I)*x + tr(a*I + I - D*0)*diagonal(a*I + A)",
    "inv(2*I + a*I)*A*inv(I + I) + (a*I + I)^2",
    # powers
    "A^2*x + A^0*y + A^-2*x",
    "A^3 + D^3 + D^-2 + S^-2",
    "A^9 + 2*(a*A)^2",
    "a^2 + nu^a + nu^(1/2) + nu^-1 + (2*nu)^-3 + 1/(1 + a^2)",
    "X.^2 + exp(X) + 1/2*X",
    "(A.^2).^(-1) + exp(A).^a",
    # entry by entry, sums, norms
    "exp(x) + sqrt(x.^2) + log(exp(y)) + abs(x) + x.*y + x./exp(y)",
    "sum(X) + norm(X)^2 + norm(x) + norm(x) + sum(x) + ones'*x",
    "X*ones + X*(x + y)",
    "ones(3)'*ones(3)*x",
    "(X*S)'",
    "x'*y*A - A*(x'*A*y)/nu",
    "x'*A*y*x'",
    "0*A + 0.1*B + 12345/7*I - 1e-4*A",
    "a*(A - A) + zeros(1, 1)*a*B",
    # shapes
    "kron(A, X) + kron(2*A, X)",
    "kron(x, y) + vec(x*y')",
    "kron(x', A)",
    "kron(x', y')*vec(A)",
    "vec(A) + commutation(d, d)*vec(A)",
    "commutation(n, d)*vec(X)",
    "duplication(d)*vech(S) + duplication(d)*duplication(d)'*vec(A)",
    "vech(W) + vech(A*A')",
    "cbind(A, x, inv(S)*x)",
    "rbind(A, x', y'*inv(S))*x",
    "cbind(x', y') + cbind(y', x')",
    "rbind(x, 2*x)",
    "tril(A) + tril(B)'",
    "inv(tril(S))*x + logdet(tril(S))*y",
    "pinv(X)*w + pinv(X')'*w + pinv(A)*x",
    "A",
    "x",
    "x'",
    "3/2",
    "2*pi*I - A",
)


def arguments(d: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Arguments of dimension d, each of its structure, none near singular."""
    rng = np.random.default_rng(seed)
    n = d + 2
    general = [rng.normal(size=(d, d)) / 2 + 2 * np.eye(d) for _ in range(4)]
    w = rng.normal(size=(d, d)) / 2
    return {
        **{"A": general[0], "B": general[1], "S": general[2] @ general[2].T, "T": general[3] @ general[3].T},
        **{"W": w + w.T - 3 * np.eye(d), "D": np.diag(rng.uniform(1, 2, size=d) * (-1) ** np.arange(d))},
        **{"L": np.tril(rng.normal(size=(d, d)) / 2) + 2 * np.eye(d), "Q": np.linalg.qr(rng.normal(size=(d, d)))[0]},
        **{"X": rng.normal(size=(n, d)), "x": rng.normal(size=d), "y": rng.normal(size=d), "w": rng.normal(size=n)},
        **{"a": np.array(0.7), "b": np.array(-1.3), "nu": np.array(5.0)},
    }
