"""What ERRATA.md says of the Matrix Cookbook is what the catalogue says, and its counter-examples are true."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

from gdiff.lookup import catalogue

ERRATA = (Path(__file__).parents[1] / "ERRATA.md").read_text()
PARTS = {part.partition("\n")[0]: part for part in re.split(r"^## ", ERRATA, flags=re.MULTILINE)[1:]}
SECTIONS = dict(s.split("\n", 1) for part in PARTS.values() for s in re.split(r"^### ", part, flags=re.MULTILINE)[1:])
REFUTED = [heading for heading in SECTIONS if f"### {heading}\n" in PARTS["Refuted"]]
STANDINGS = {
    "Refuted": "refuted",
    "Right in one convention only": "convention dependent",
    "Right under a hypothesis that is not stated": "holds under hypotheses",
}
ENTRIES = {c.name: c for c in catalogue}
FORMULAS = [c for c in catalogue if c.source.work == "cookbook" and c.expected in STANDINGS.values()]


def entries(text):
    """The entries of the catalogue that a text names, in its order."""
    return [ENTRIES[name] for name in re.findall(r"`([^`\s]+)`", text) if name in ENTRIES]


def examples(section):
    """The Python blocks of a section, each with the output shown below it."""
    return re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def numbers(text):
    """Every number in a text; real and imaginary parts are two."""
    return [float(n) for n in re.findall(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?", text)]


@pytest.mark.parametrize("claim", FORMULAS, ids=[c.name for c in FORMULAS])
def test_a_formula_that_needs_a_remark_is_named_where_it_belongs_with_the_one_that_is_right(claim):
    (part,) = (part for title, part in PARTS.items() if STANDINGS[title] == claim.expected)
    assert f"`{claim.name}`" in part
    assert not claim.instead or f"`{claim.instead}`" in part
    assert all(f"({n})" in part for n in claim.equations)


@pytest.mark.parametrize("title", STANDINGS)
def test_what_is_named_has_the_standing_of_its_part_or_is_right_instead(title):
    named = entries(PARTS[title])
    wrong = [c for c in named if c.expected == STANDINGS[title]]
    assert {c.name for c in named} == {name for c in wrong for name in (c.name, c.instead)}


@pytest.mark.parametrize("heading", REFUTED)
def test_a_refuted_formula_comes_before_the_one_that_holds_and_has_a_counterexample(heading):
    printed, right = entries(SECTIONS[heading])
    assert (printed.expected, right.expected, printed.instead) == ("refuted", "holds", right.name)
    assert len(examples(SECTIONS[heading])) == 1


@pytest.mark.parametrize("heading", SECTIONS)
def test_a_short_example_prints_what_is_shown(heading):
    assert SECTIONS[heading].count("```python") == len(examples(SECTIONS[heading]))
    for code, shown in examples(SECTIONS[heading]):
        assert sum(bool(line.strip()) for line in code.splitlines()) <= 5
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, {})
        np.testing.assert_allclose(numbers(printed.getvalue()), numbers(shown), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("heading", REFUTED)
def test_the_true_value_of_a_counterexample_is_not_the_printed_one(heading):
    for _, shown in examples(SECTIONS[heading]):
        true, printed = np.split(np.array(numbers(shown)), 2)
        assert not np.allclose(true, printed, rtol=1e-2)
