"""Assessments and the catalogue as tables and JSON."""

import html
import platform
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gdiff.assessment import Assessment
from gdiff.claim import Claim
from gdiff.display import Table, number
from gdiff.listing import convention_of, sources_of
from gdiff.verdict import Verdict


def status_of(assessment: Assessment) -> str:
    """The status in the words of the table: with the hypotheses that were found, and whether it was expected."""
    verdict = assessment.verdict
    text: str = verdict.status
    found = " and ".join(verdict.hypotheses)
    if verdict.status == "holds under hypotheses":
        text = f"holds if {found}"
    elif verdict.status == "convention dependent":
        text = f"convention dependent: {verdict.convention}"
    elif verdict.refuted:
        text = "refuted, as expected" if assessment.as_expected else text
        text += f" (holds if {' or '.join(verdict.hypotheses)})" if found else ""
    return text if assessment.as_expected or not verdict.holds else f"{text}, not expected"


def assessment_table(assessments: Sequence[Assessment]) -> Table:
    """One line an identity: name, source, convention, worst error against each oracle, verdict."""
    rows = [
        (
            a.entry.name,
            sources_of(a.entry),
            convention_of(a.entry),
            *(_error(a.verdict, oracle) for oracle in _ORACLES),
            number(a.verdict.bound, 2),
            status_of(a),
        )
        for a in assessments
    ]
    columns = ("identity", "source", "convention", "reverse", "forward", "differences", "allowed", "verdict")
    return Table(columns, rows, right=frozenset({3, 4, 5, 6}))


_ORACLES = (
    ("reverse", "reverse over reverse", "evaluation"),
    ("forward", "forward over reverse"),
    ("finite differences",),
)


def _error(verdict: Verdict, names: tuple[str, ...]) -> str:
    errors = [verdict.max_error[name] for name in names if name in verdict.max_error]
    return number(max(errors), 2) if errors else "-"


def equation_table(assessments: Sequence[Assessment], work: str) -> Table:
    """One line for each equation of a work, in the order of the work; what has no number comes last, by its place."""
    numbered, placed = [], []
    for a in assessments:
        for source in a.entry.sources:
            if source.work == work:
                numbered += [(number, a) for number in source.equations]
                placed += [] if source.equations else [(source.place, a)]
    rows = [
        (
            str(where),
            a.entry.name,
            convention_of(a.entry),
            number(max(a.verdict.max_error.values(), default=0.0), 2),
            number(a.verdict.bound, 2),
            status_of(a),
        )
        for where, a in [*sorted(numbered, key=lambda pair: pair[0]), *sorted(placed, key=lambda pair: pair[0])]
    ]
    return Table(("equation", "identity", "convention", "error", "allowed", "verdict"), rows, right=frozenset({3, 4}))


_COUNTED = {
    "holds": "{} hold",
    "holds under hypotheses": "{} hold under hypotheses that are not stated",
    "convention dependent": "{} in one convention only",
    "refuted": "{} refuted",
    "inconclusive": "{} inconclusive",
}


def summary(assessments: Sequence[Assessment]) -> str:
    """How many hold, and how many do not, in a sentence."""
    counts = Counter(str(a.verdict.status) for a in assessments)
    checks = sum(a.verdict.checks for a in assessments)
    parts = ", ".join(text.format(counts[status]) for status, text in _COUNTED.items() if counts[status])
    parts = re.sub(r"\b1 hold\b", "1 holds", parts)
    unexpected = sum(not a.as_expected for a in assessments)
    return f"{len(assessments)} identities, {checks} comparisons: {parts}; {unexpected} unexpected."


def complaints(assessments: Iterable[Assessment]) -> list[str]:
    """What is wrong with each identity that is not as expected: its name, the kind of mistake, the message."""
    out = []
    for a in assessments:
        if a.as_expected:
            continue
        diagnosis = a.verdict.diagnosis
        kind = f" ({diagnosis.kind.value})" if diagnosis is not None else ""
        out.append(f"{a.entry.name}: {status_of(a)}{kind}. {a.verdict.message}")
    return out


def page(assessments: Sequence[Assessment], derivations: Mapping[str, str] | None = None) -> str:
    """The table and the summary as an HTML page; `derivations`, HTML by name, follow it."""
    style = "body{font-family:sans-serif}td,th{padding:.2em .8em;text-align:left}tr:nth-child(even){background:#f4f4f4}"
    wrong = "".join(f"<p>{html.escape(text)}</p>" for text in complaints(assessments))
    steps = "".join(
        f"<details><summary>{html.escape(name)}</summary>{table}</details>"
        for name, table in sorted((derivations or {}).items())
    )
    derived = f"<h2>Derivations</h2>{steps}" if steps else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>gdiff verify</title><style>{style}</style>'
        f"<h1>gdiff verify</h1><p>{html.escape(summary(assessments))}</p>{wrong}"
        f"{assessment_table(assessments).html()}{derived}</html>\n"
    )


def json_object(assessments: Sequence[Assessment], *, seed: int, dtype: str, data: str | None) -> dict[str, Any]:
    """Everything about a run as one JSON object: versions, seed, dtype, and a list of claims."""
    return {
        "versions": versions(),
        "seed": seed,
        "dtype": dtype,
        "data": data,
        "claims": [claim_json(a) for a in assessments],
    }


def versions() -> dict[str, str]:
    """Of gdiff, Python, JAX and NumPy."""
    from importlib.metadata import version

    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("gdiff", "jax", "jaxlib", "numpy")},
    }


def claim_json(assessment: Assessment) -> dict[str, Any]:
    """One entry of the list of claims."""
    entry, verdict = assessment.entry, assessment.verdict
    diagnosis = verdict.diagnosis
    return {
        "name": entry.name,
        "source": entry.source.work,
        "title": entry.source.title,
        "edition": entry.edition,
        "equations": list(entry.equations),
        "convention": entry.convention,
        "hypotheses": [*entry.hypotheses, *verdict.hypotheses],
        "status": verdict.status,
        "expected": entry.expected,
        "instead": entry.instead,
        "holds_if": list(verdict.hypotheses),
        "diagnosis": None if diagnosis is None else {"kind": diagnosis.kind.value, "message": diagnosis.message},
        "counter_example": {k: np.asarray(v).tolist() for k, v in counter_example(assessment).items()},
        "max_error": dict(verdict.max_error),
        "bound": verdict.bound,
        "checks": verdict.checks,
        "seconds": round(assessment.seconds, 3),
    }


def counter_example(assessment: Assessment) -> dict[str, Any]:
    """Where a claim is refuted: the arguments at a point by name, what is claimed there, and what is true."""
    diagnosis = assessment.verdict.diagnosis
    if not assessment.verdict.refuted or diagnosis is None or "arguments" not in diagnosis.evidence:
        return {}
    found = diagnosis.evidence
    names = {name for a in assessment.entry.arguments for name in (a.name, f"Re {a.name}", f"Im {a.name}")}
    arguments = {name: array for name, array in found["arguments"].items() if name in names}
    return {**arguments, "claimed": found["claimed"], "true": found["true"]}


def closed_form_source(entry: Claim) -> str:
    """The code of the closed form: what the entry's derivative calls, or the derivative itself."""
    import inspect

    from gdiff import closed_form

    if entry.text is not None:
        return "\n".join(entry.text)
    if entry.derivative is None:
        return inspect.getsource(entry.function)
    names = set(re.findall(r"closed_form\.(\w+)", _own_source(entry)))
    functions = [getattr(closed_form, name) for name in names if callable(getattr(closed_form, name, None))]
    if getattr(entry.derivative, "__module__", "") == closed_form.__name__:
        functions = [entry.derivative]
    parts = []
    for function in functions:
        parts.append(inspect.getsource(function))
        private = getattr(closed_form, f"_{function.__name__}", None)
        if private is not None:
            parts.append(inspect.getsource(private))
    return "\n\n".join(parts) or inspect.getsource(entry.derivative)


def _own_source(entry: Claim) -> str:
    import inspect

    return inspect.getsource(entry.derivative) if entry.derivative is not None else ""
