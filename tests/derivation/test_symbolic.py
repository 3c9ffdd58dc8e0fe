import contextlib
import pickle
import re

import pytest
import sympy as sp

from gdiff.derivation import from_sympy, parse

d = sp.Symbol("d", integer=True, positive=True)
S, x, nu = sp.MatrixSymbol("S", d, d), sp.MatrixSymbol("x", d, 1), sp.Symbol("nu", real=True)


def test_a_product_that_is_a_scalar_becomes_a_trace():
    assert parse("log(det(S)) + x'*inv(S)*x").sympy == sp.log(sp.Determinant(S)) + sp.Trace(x.T * S.inv() * x)


def test_sizes_are_symbols_or_integers():
    assert parse("S*x", symmetric=["S"]).sympy == S * x
    assert parse("S*x", shapes={"x": 3}, symmetric=["S"]).sympy.shape == (3, 1)


@pytest.mark.parametrize(
    "text",
    [
        "-1/2*inv(S) + 1/2*inv(S)*x*x'*inv(S)",
        "log(det(S)) + x'*inv(S)*x",
        "2*inv(S) - had(inv(S), I)",
        "tr(S*A)/nu*S^-2*x",
        "ddiag(S) + diag(x)",
        "kron(S, A)*vec(B)",
        "vech(S)",
        "sqrt(x'*x)",
        "sum(exp(x))",
        "(S + A)'*x",
        "diagonal(S)",
        "ones(d, d) + S",
        "S.^2",
        "2*pi*nu",
    ],
)
def test_what_sympy_gives_back_is_what_was_read(text):
    expression = parse(text, shapes={"S": ("d", "d")})
    again = from_sympy(expression.sympy)
    written = [re.sub(r"dummy_index=\d+", "", sp.srepr(e.sympy)) for e in (again, expression)]
    assert written[0] == written[1]
    assert from_sympy(parse(again.text, shapes=again.shapes).sympy).text == again.text


def test_the_style_of_what_is_printed():
    gradient = -sp.Inverse(S) / 2 + sp.Inverse(S) * x * x.T * sp.Inverse(S) / 2
    assert from_sympy(gradient).text == "-1/2*inv(S) + 1/2*inv(S)*x*x'*inv(S)"
    assert from_sympy(nu * sp.Trace(x.T * S * x) / 2).text == "1/2*nu*x'*S*x"


def test_what_is_not_in_the_language_is_named():
    with pytest.raises(TypeError, match="loggamma"):
        from_sympy(sp.loggamma(nu))
    with pytest.raises(TypeError, match="entrywise"):
        from_sympy(x.applyfunc(sp.sin))


@pytest.mark.parametrize("text", ["2^(9^9+1)", "(2^64)^(a^0*64 + 999)", "2^(1/3 + 9^9)"])
def test_powers_of_numbers_are_not_worked_out_whatever_their_size(text):
    with pytest.raises(ValueError, match="out of bounds"):
        _ = parse(text).sympy


def test_an_exponential_of_numbers_is_left_alone():
    assert parse("exp(387420490*log(2))").text == from_sympy(parse("exp(387420490*log(2))").sympy).text


def test_deep_expressions_become_sympy_or_an_error():
    with contextlib.suppress(ValueError):
        assert parse("exp(" * 90 + "x'*x" + ")" * 90).sympy is not None


def test_expressions_and_errors_are_pickled():
    expression = parse("x'*S*x")
    assert pickle.loads(pickle.dumps(expression)) == expression
