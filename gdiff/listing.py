"""The catalogue as something to browse: tables for a terminal, and pages for a forge."""

import importlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from gdiff.claim import Claim
from gdiff.display import Table

_STANDING = {
    "holds": "holds",
    "holds under hypotheses": "holds if {}",
    "convention dependent": "in one convention only",
    "refuted": "refuted",
}


def convention_of(entry: Claim) -> str:
    """The convention, or a dash where none is named."""
    return entry.convention or "-"


def sources_of(entry: Claim) -> str:
    """Where a formula is printed: cookbook:57, beyond:B25, ..."""
    return ", ".join(re.sub(r"^beyond:(\d+)", _numbered, str(s)) for s in entry.sources)


def _numbered(match: re.Match[str]) -> str:
    return f"beyond:B{int(match[1]):02d}"


def standing(entry: Claim) -> str:
    """The status that an entry is known to have, with hypotheses that it leaves unsaid, and what is right instead."""
    text = _STANDING[entry.expected].format(" and ".join(h.text for h in entry.fails_unless))
    rescued = " or ".join(h.text for h in entry.holds_if)
    text += f"; holds if {rescued}" if entry.expected == "refuted" and rescued else ""
    return f"{text}; see {entry.instead}" if entry.instead else text


def list_table(entries: Iterable[Claim]) -> Table:
    """Name, source, convention, known status, what it says."""
    rows = [(e.name, sources_of(e), convention_of(e), e.expected, e.title) for e in entries]
    return Table(("identity", "source", "convention", "status", "what it says"), rows)


def chapters_table(chapters: Mapping[str, Sequence[Claim]]) -> Table:
    """The chapters: how many claims, how many of them are kept although they do not simply hold, what is in them."""
    rows = []
    for name, claims in chapters.items():
        counts = Counter(c.expected for c in claims)
        rows.append((name, len(claims), len(claims) - counts["holds"] or "", about(name)))
    return Table(("chapter", "claims", "of them not plainly true", "what is in it"), rows, right=frozenset({1, 2}))


def about(chapter: str) -> str:
    """The first sentence about a chapter of gdiff's own; nothing for another's."""
    try:
        module = importlib.import_module(f"gdiff.identities.{chapter}")
    except ImportError:
        return ""
    first = (module.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    return first.removesuffix(".")


def catalogue_page(chapters: Mapping[str, Sequence[Claim]]) -> str:
    """Every chapter as a table in Markdown, the formulas in the mathematics of the forge."""
    total = sum(map(len, chapters.values()))
    out = [
        "# The catalogue",
        "",
        f"{total} formulas, each executed and judged when you run `gdiff verify`; this page is what `gdiff list"
        " --markdown` prints. The status is the one that is known and that a run confirms: formulas that are printed"
        " somewhere and are wrong as printed stand here as printed, beside what is right instead. `full` is the"
        " Frobenius gradient, `symmetric` the partial derivatives in the distinct entries of a symmetric matrix;"
        " `wirtinger`, `conjugate` and `nabla` are d/dZ, d/dZ* and 2 d/dZ*. Numbers are those of the source:"
        " `cookbook` is the Matrix Cookbook of November 15, 2012.",
        "",
        *(f"- [{name}](#{name}): {about(name)}" for name in chapters),
    ]
    for name, claims in chapters.items():
        rows = [
            (sources_of(c), c.name, mathematics(c.statement), "; ".join(c.hypotheses), convention_of(c), standing(c))
            for c in claims
        ]
        table = Table(("source", "identity", "formula", "hypotheses", "convention", "status"), rows)
        out += ["", f"## {name}", "", f"{about(name)}.", "", table.markdown()]
    return "\n".join(out)


def mathematics(latex: str) -> str:
    """LaTeX as a forge sets it within a table: no vertical bars, which would end the cell."""
    barless = latex.replace(r"\|", r"\Vert ").replace("|", r"\vert ")
    return f"$`{barless}`$"
