"""Does the verifier miss a wrong formula, or reject a right one, in the chapters of gdiff's own closed forms?

Every entry of them with a derivative, at twelve points of each condition number: the entry itself (a false alarm if
refuted, up to 1e8) and every mutant that applies (missed if it holds, up to 1e6). Run by
`python -m benchmarks.verifier`.
"""

import argparse
import collections
import json
import platform
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import jax
import numpy as np

from gdiff.assessment import claimed_by, convention_asked, draw, establish_at
from gdiff.claim import Claim
from gdiff.display import Table
from gdiff.identities import CHAPTERS
from gdiff.mutants import MUTANTS, trials
from gdiff.truth import NotEstablished
from gdiff.verify import judge, read_claim

TRUE = (1.0, 10.0, 1e2, 1e4, 1e6, 1e8)
MUTATED = (10.0, 1e2, 1e4, 1e6)
POINTS = 12
CORE = ("determinants", "quadratic_forms", "gaussian", "gaussian_hessian", "information")  # gdiff's own closed forms
OUTCOMES = ("named", "misnamed", "missed", "inconclusive", "indistinguishable")
RESULTS = Path(__file__).parent / "results" / "verifier.json"


def examine(entry: Claim, condition: float, d: int, seed: int) -> dict[str, Any]:
    """What becomes of an entry and its mutants at points of one condition number."""
    rng = np.random.default_rng([seed, d, int(condition)])
    first, *others = (draw(entry, d, rng, condition) for _ in range(POINTS))
    try:
        truth = establish_at(entry, first, seed, others=others, fresh=False)
    except NotEstablished as error:  # a density that underflows, say
        return {"condition": condition, "status": "not established", "reason": str(error), "outcomes": {}, "worth": []}
    asked = convention_asked(entry, truth)
    values = read_claim(truth, claimed_by(entry, truth))
    verdict = judge(truth, values, convention=asked)
    own = {"condition": condition, "status": verdict.status, "reason": verdict.message if not verdict.holds else ""}
    tried = trials(truth, values, convention=asked) if condition in MUTATED and verdict.holds else ()
    shown = [t for t in tried if t.outcome in ("misnamed", "missed", "inconclusive")]
    return own | {
        "outcomes": dict(collections.Counter(t.outcome for t in tried)),
        "worth": [
            {"mutant": t.mutant, "outcome": t.outcome, "found": t.found and t.found.value, "message": t.message}
            for t in shown
        ],
    }


def main() -> int:
    """Print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="entries, by default all")
    parser.add_argument("--dimension", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    entries = [e for name in CORE for e in CHAPTERS[name] if e.derivative is not None]
    entries = [e for e in entries if e.expected == "holds" and (not options.names or e.name in options.names)]
    start, cpu = perf_counter(), process_time()
    figures, rows = {}, []
    for entry in entries:
        parts = [examine(entry, c, options.dimension, options.seed) for c in TRUE]
        figures[entry.name] = parts
        total: collections.Counter[str] = collections.Counter()
        for part in parts:
            total.update(part["outcomes"])
        status = ["ok" if p["status"].startswith("holds") else p["status"] for p in parts]
        rows.append((entry.name, *status, *(total[o] for o in OUTCOMES)))
        print(*rows[-1], f"{perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    count = collections.Counter[str]()
    for row in rows:
        count.update(dict(zip(OUTCOMES, row[1 + len(TRUE) :], strict=True)))
    refuted = count["named"] + count["misnamed"]
    statuses = [(c, p["status"]) for parts in figures.values() for c, p in zip(TRUE, parts, strict=True)]
    summary = {
        "entries": len(entries),
        "mutants": len(MUTANTS),
        "judged": sum(count[o] for o in OUTCOMES),
        **{o: count[o] for o in OUTCOMES},
        "named, of those refuted": round(count["named"] / refuted, 4) if refuted else None,
        "false alarms": sum(s == "refuted" for _, s in statuses),
        "inconclusive truths up to 1e6": sum(
            s in ("inconclusive", "not established") and c <= 1e6 for c, s in statuses
        ),
        "inconclusive truths above": sum(s in ("inconclusive", "not established") and c > 1e6 for c, s in statuses),
        "seconds": round(perf_counter() - start),
        "cpu seconds": round(process_time() - cpu),
    }
    columns = ("entry", *(f"{c:g}" for c in TRUE), *OUTCOMES)
    print(Table(columns, rows, right=frozenset(range(1, len(columns)))).text(160))
    print(*(f"{k}: {v}" for k, v in summary.items()), sep="\n")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    versions = {"python": platform.python_version(), "jax": jax.__version__, "numpy": np.__version__}
    written = {"versions": versions, "dimension": options.dimension, "seed": options.seed, "summary": summary}
    options.json.write_text(json.dumps(written | {"entries": figures}, indent=1) + "\n")
    return 1 if count["missed"] or summary["false alarms"] else 0


if __name__ == "__main__":
    sys.exit(main())
