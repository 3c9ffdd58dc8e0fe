"""The pages about the catalogue are the catalogue."""

import re
from pathlib import Path

from gdiff.listing import catalogue_page, chapters_table, list_table, mathematics, standing
from gdiff.lookup import catalogue

ROOT = Path(__file__).parents[1]


def test_the_page_of_the_catalogue_is_the_catalogue():
    assert (ROOT / "CATALOGUE.md").read_text() == catalogue_page(catalogue.chapters) + "\n"


def test_the_readme_has_its_chapters():
    assert chapters_table(catalogue.chapters).markdown() in (ROOT / "README.md").read_text()


def test_every_row_of_the_page_has_its_six_cells():
    rows = [line for line in catalogue_page(catalogue.chapters).splitlines() if line.startswith("| ")]
    assert len(rows) >= len(catalogue)
    assert {line.replace(r"\|", "").count("|") for line in rows} == {7}


def test_formulas_have_no_bars_that_would_end_a_cell():
    assert mathematics(r"\log\left|S\right| = \|x\|") == r"$`\log\left\vert S\right\vert  = \Vert x\Vert `$"
    assert not [e.name for e in catalogue if "|" in mathematics(e.statement)]


def test_a_status_says_what_would_make_it_right():
    assert standing(catalogue["quotient/printed"]) == "refuted; holds if B symmetric; see quotient/rayleigh"
    assert standing(catalogue["det/differential_inverse"]) == "holds if X invertible; see det/differential"
    assert standing(catalogue["trace/x"]) == "holds"


def test_the_table_has_a_row_an_entry():
    assert len(list_table(catalogue).rows) == len(catalogue)


def test_every_formula_is_balanced():
    for entry in catalogue:
        text = re.sub(r"\\[{}|]", " ", entry.statement)
        depth = 0
        for character in text:
            depth += {"{": 1, "}": -1}.get(character, 0)
            assert depth >= 0, entry.name
        assert depth == 0, entry.name
        assert len(re.findall(r"\\left(?![a-z])", text)) == len(re.findall(r"\\right(?![a-z])", text)), entry.name
        assert text.count(r"\begin{") == text.count(r"\end{"), entry.name
        assert "$" not in text, entry.name
