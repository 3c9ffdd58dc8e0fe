"""The command line, the only place that prints or exits.

Exit status: 0 all hold, 1 a claim is refuted, 2 bad input, 3 inconclusive.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from gdiff.assessment import Assessment
    from gdiff.claim import Claim

HOLDS, REFUTED, BAD_INPUT, INCONCLUSIVE = 0, 1, 2, 3


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit."""
    # A batched LAPACK call of jaxlib 0.10 blocks one worker of XLA's pool while it waits for the others: with two
    # workers, as on two cores, two such calls in one program can wait for each other for ever.
    os.environ.setdefault("PJRT_NPROC", str(max(16, os.cpu_count() or 1)))
    arguments = _parser().parse_args(_protect(sys.argv[1:] if argv is None else argv))
    try:
        status = arguments.run(arguments)
        sys.stdout.flush()
    except (ValueError, TypeError, KeyError) as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"gdiff {arguments.command}: {message}", file=sys.stderr)
        status = BAD_INPUT
    except RuntimeError as error:
        from gdiff.derivation.errors import DerivationError

        if not isinstance(error, DerivationError):
            raise
        print(f"gdiff {arguments.command}: {error}", file=sys.stderr)
        status = INCONCLUSIVE
    except BrokenPipeError:  # the reader of a pipe went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = HOLDS
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    sys.exit(status)


def _protect(argv: Sequence[str]) -> list[str]:
    """Formulas such as -1/2*inv(S) begin with a minus; a blank before it keeps them from being read as options."""
    return [" " + word if re.match(r"-(?!h$|$|-$|-[a-z][a-z-]*(=|$))", word) else word for word in argv]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gdiff",
        description="Is my matrix derivative right? Verify, list and check matrix-calculus formulas.",
        epilog="Exit status: 0 all hold, 1 a claim is refuted, 2 bad input, 3 inconclusive.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_verify(commands)
    _add_list(commands)
    _add_show(commands)
    _add_check(commands)
    _add_derive(commands)
    return parser


# gdiff verify


def _add_verify(commands: Any) -> None:
    verify = commands.add_parser(
        "verify", help="judge the catalogue at random points and on real data", description=_run_verify.__doc__
    )
    verify.add_argument("names", nargs="*", metavar="NAME", help="identities, chapters or sources (default: all)")
    verify.add_argument(
        "--from", dest="path", metavar="FILE", help="a Python file with CLAIMS of your own, judged instead"
    )
    verify.add_argument("--data", metavar="CSV", help="your own data in place of the penguins that come with gdiff")
    verify.add_argument("--columns", metavar="A,B", help="numeric columns of --data to use (default: all)")
    verify.add_argument("--dtype", choices=("float64", "float32"), default="float64", help="in which the claims run")
    verify.add_argument("--seed", type=int, default=0, help="of the random points (default: 0)")
    verify.add_argument("--json", metavar="FILE", help="write the result as JSON; - for standard output")
    verify.add_argument("--html", metavar="FILE", help="write the table as a page")
    verify.set_defaults(run=_run_verify)


def _run_verify(arguments: argparse.Namespace) -> int:
    """Judge identities of the catalogue against autodiff and finite differences, at random points and on real data."""
    if arguments.columns and not arguments.data:
        raise ValueError("--columns chooses columns of --data; got no --data.")
    if arguments.seed < 0:
        raise ValueError(f"--seed: got {arguments.seed}, wanted 0 or more.")
    from gdiff import report
    from gdiff.dataset import penguins, read_csv

    columns = tuple(c.strip() for c in arguments.columns.split(",")) if arguments.columns else None
    data = read_csv(arguments.data, columns) if arguments.data else penguins()
    entries = _entries(arguments.names, arguments.path)
    assessments = _assess(entries, arguments, data)
    out = sys.stderr if arguments.json == "-" else sys.stdout
    works = {source.work for entry in entries for source in entry.sources if source.equations}
    if len(arguments.names) == 1 and arguments.names[0] in works:
        table = report.equation_table(assessments, arguments.names[0])
    else:
        table = report.assessment_table(assessments)
    print(table.text(_width(out)), file=out)
    print(f"data: {data.name}, {len(data.rows)} rows, columns {', '.join(data.columns)}", file=out)
    print(report.summary(assessments), file=out)
    for complaint in report.complaints(assessments):
        print(f"\n{complaint}", file=out)
    if arguments.json:
        _write_json(
            arguments.json,
            report.json_object(assessments, seed=arguments.seed, dtype=arguments.dtype, data=data.name),
        )
    if arguments.html:
        from gdiff.workers import derive_in_processes

        derivations = derive_in_processes(entries, arguments.path, arguments.seed)
        _write(arguments.html, report.page(assessments, derivations))
    return _exit_status(assessments)


def _entries(names: Sequence[str], path: str | None = None) -> "list[Claim]":
    from gdiff.workers import load

    catalogue = load(path)
    if not names:
        return list(catalogue)
    chosen: dict[str, Claim] = {}
    for name in names:
        found = catalogue.find(name)
        if not found:
            catalogue[name]  # raises, with what is near
        chosen |= {entry.name: entry for entry in found}
    return list(chosen.values())


def _assess(entries: "Sequence[Claim]", arguments: argparse.Namespace, data: Any) -> "list[Assessment]":
    from gdiff.workers import assess_in_processes

    running = assess_in_processes(entries, arguments.path, arguments.seed, data=data, dtype=arguments.dtype)
    if not sys.stderr.isatty():
        judged = {a.entry.name: a for a in running}
        return [judged[entry.name] for entry in entries]
    from rich.console import Console
    from rich.progress import Progress

    done = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("verifying", total=len(entries))
        for assessment in running:
            done[assessment.entry.name] = assessment
            progress.update(task, advance=1, description=assessment.entry.name)
    return [done[entry.name] for entry in entries]


def _exit_status(assessments: "Sequence[Assessment]") -> int:
    unexpected = [a for a in assessments if not a.as_expected]
    if any(not a.verdict.inconclusive for a in unexpected):
        return REFUTED
    return INCONCLUSIVE if unexpected else HOLDS


# gdiff list, gdiff show


def _add_list(commands: Any) -> None:
    lists = commands.add_parser("list", help="what the catalogue holds", description=_run_list.__doc__)
    lists.add_argument("words", nargs="*", metavar="WORD", help="only entries with all these words")
    lists.add_argument("--chapter", metavar="NAME", help="only this chapter")
    lists.add_argument("--source", metavar="WORK", help="only what this work prints, such as cookbook or cookbook:57")
    lists.add_argument(
        "--status",
        choices=("holds", "holds under hypotheses", "convention dependent", "refuted"),
        help="only entries that are known to have it; `gdiff verify` computes it anew",
    )
    lists.add_argument("--chapters", action="store_true", help="the chapters, and what is in them")
    lists.add_argument("--markdown", action="store_true", help="as a page for a forge, with the formulas")
    lists.set_defaults(run=_run_list)


def _run_list(arguments: argparse.Namespace) -> int:
    """List the identities of the catalogue: name, source, convention, known status, what it says."""
    from gdiff.listing import catalogue_page, chapters_table, list_table
    from gdiff.lookup import catalogue

    found = [e.name for e in catalogue.search(" ".join(arguments.words))]
    if arguments.chapter:
        if arguments.chapter not in catalogue.chapters:
            raise ValueError(f"--chapter: got {arguments.chapter!r}, wanted one of {', '.join(catalogue.chapters)}.")
        found = [e.name for e in catalogue.chapters[arguments.chapter] if e.name in found]
    if arguments.source:
        own = {e.name for e in _entries([arguments.source])}
        found = [name for name in found if name in own]
    kept = {name for name in found if arguments.status in (None, catalogue[name].expected)}
    if not kept:
        filters = {name: getattr(arguments, name) for name in ("chapter", "source", "status")}
        asked = "".join(f" and --{name} {value}" for name, value in filters.items() if value)
        raise ValueError(
            f"no identity has the words {' '.join(arguments.words)!r}{asked}; `gdiff list` shows every one."
        )
    chapters = {name: tuple(e for e in claims if e.name in kept) for name, claims in catalogue.chapters.items()}
    chapters = {name: claims for name, claims in chapters.items() if claims}
    if arguments.chapters or not arguments.markdown:
        every = [e for claims in chapters.values() for e in claims]
        table = chapters_table(chapters) if arguments.chapters else list_table(every)
        print(table.markdown() if arguments.markdown else table.text(_width(sys.stdout)))
    else:
        print(catalogue_page(chapters))
    return HOLDS


def _add_show(commands: Any) -> None:
    show = commands.add_parser("show", help="one identity, with its verdict now", description=_run_show.__doc__)
    show.add_argument("name", metavar="NAME", help="a name from `gdiff list`, or a source such as cookbook:57")
    show.add_argument("--seed", type=int, default=0, help="of the random points (default: 0)")
    show.set_defaults(run=_run_show)


def _run_show(arguments: argparse.Namespace) -> int:
    """Show an identity: statement, source, hypotheses, convention, the code of its closed form, its verdict."""
    from gdiff.assessment import assess
    from gdiff.derived import derivation_of
    from gdiff.listing import convention_of, sources_of
    from gdiff.lookup import catalogue
    from gdiff.report import closed_form_source, counter_example, status_of

    assessments = []
    for assessment in assess(_entries([arguments.name]), arguments.seed):
        entry = assessment.entry
        edition = f", {entry.edition}" if entry.edition else ""
        right = catalogue[entry.instead] if entry.instead else None
        lines = [
            f"{entry.name}: {entry.title}",
            f"  statement    {entry.statement}",
            f"  source       {sources_of(entry)} ({entry.source.title}{edition})",
            f"  hypotheses   {'; '.join(entry.hypotheses) or 'none'}",
            f"  convention   {convention_of(entry)}",
            *([f"  note         {entry.note}"] if entry.note else []),
            *([f"  instead      {right.name}: {right.statement}"] if right is not None else []),
            f"  verdict      {status_of(assessment)}",
            *(f"  {line}" for line in str(assessment.verdict).splitlines()),
            *_shown(counter_example(assessment)),
            "",
            closed_form_source(entry),
            *(["", derivation.text(words=True)] if (derivation := derivation_of(entry, arguments.seed)) else []),
        ]
        print("\n".join(lines))
        assessments.append(assessment)
    return _exit_status(assessments)


def _shown(arrays: dict[str, Any]) -> list[str]:
    """A counter-example, an array after another, as NumPy prints them."""
    import numpy as np

    lines = ["  counter-example"] if arrays else []
    for name, array in arrays.items():
        text = np.array2string(np.asarray(array), precision=5, suppress_small=True, prefix=f"    {name} = ")
        lines.append(f"    {name} = {text}")
    return lines


# gdiff check


def _add_check(commands: Any) -> None:
    check = commands.add_parser("check", help="is this formula that derivative?", description=_run_check.__doc__)
    check.add_argument(
        "expression", metavar="EXPR", nargs="?", help='what was differentiated: "log(det(S)) + x\'*inv(S)*x"'
    )
    check.add_argument("formula", metavar="CLAIM", nargs="?", help="its derivative, as you worked it out")
    check.add_argument("--wrt", metavar="V", help="the variable of the derivative")
    check.add_argument("--symmetric", nargs="+", default=[], metavar="V", help="variables that are symmetric matrices")
    check.add_argument("--shape", nargs="+", default=[], metavar="x=3,1", help="shapes, where the letters do not tell")
    check.add_argument("--hessian", action="store_true", help="the claim is a second derivative")
    check.add_argument(
        "--degenerate", action="store_true", help="if it holds, try zero, rank one, equal eigenvalues ... too"
    )
    check.add_argument("--at", nargs="+", default=[], metavar="S=S.csv", help="values of the variables, as CSV files")
    check.add_argument("--claim", metavar="CSV", help="the derivative at those values, as numbers")
    check.add_argument("--steps", metavar="FILE", help="a derivation, a line for each step; - for standard input")
    check.add_argument("--seed", type=int, default=0, help="of the random points (default: 0)")
    check.add_argument("--json", metavar="FILE", help="write the result as JSON; - for standard output")
    check.set_defaults(run=_run_check)


def _run_check(arguments: argparse.Namespace) -> int:
    """Hold a derivative that was worked out by hand against autodiff and finite differences, and say what is wrong."""
    from gdiff.check import check, parse_at, parse_shapes

    if arguments.steps:
        return _run_check_steps(arguments)
    if arguments.expression is None or arguments.wrt is None:
        raise ValueError("want an expression, a claim and --wrt V; or --steps FILE")
    checked = check(
        arguments.expression,
        arguments.formula,
        wrt=arguments.wrt,
        symmetric=tuple(arguments.symmetric),
        shapes=parse_shapes(arguments.shape),
        hessian=arguments.hessian,
        at=parse_at(arguments.at),
        claim_file=arguments.claim,
        seed=arguments.seed,
        degenerate=arguments.degenerate,
    )
    print(checked.text, file=sys.stderr if arguments.json == "-" else sys.stdout)
    if arguments.json:
        _write_json(arguments.json, checked.json())
    return checked.exit_status


def _run_check_steps(arguments: argparse.Namespace) -> int:
    """Look for the first line of a derivation that does not follow."""
    from gdiff.worked import read_steps

    given = {"EXPR": arguments.expression, "--wrt": arguments.wrt, "--symmetric": arguments.symmetric}
    if extra := [name for name, value in (given | {"--shape": arguments.shape}).items() if value]:
        raise ValueError(f"--steps {arguments.steps}: {', '.join(extra)} stands in the file itself, as in `wrt S`")
    others = ("claim", "at", "hessian", "degenerate", "json")
    if extra := [f"--{name}" for name in others if getattr(arguments, name)]:
        raise ValueError(f"--steps {arguments.steps}: {', '.join(extra)} is for a formula, not for a derivation")
    review = read_steps(_read(arguments.steps)).check(arguments.seed)
    print(review.text)
    return review.exit_status


# gdiff derive


def _add_derive(commands: Any) -> None:
    derives = commands.add_parser("derive", help="the derivative of an expression", description=_run_derive.__doc__)
    derives.add_argument("expression", metavar="EXPR", help='such as "log(det(S)) + x\'*inv(S)*x"')
    derives.add_argument("--wrt", required=True, metavar="V", help="the variable of the derivative")
    derives.add_argument(
        "--symmetric", nargs="+", default=[], metavar="V", help="variables that are symmetric matrices"
    )
    derives.add_argument(
        "--assume",
        nargs="+",
        default=[],
        metavar="V=WORD",
        help="other structure, such as S=positive_definite L=lower_triangular",
    )
    derives.add_argument("--convention", choices=("full", "symmetric"), default="full", help="for a symmetric variable")
    derives.add_argument("--hessian", action="store_true", help="the second derivative")
    derives.add_argument(
        "--shape", nargs="+", default=[], metavar="x=3,1", help="shapes, where the letters do not tell"
    )
    derives.add_argument("--steps", action="store_true", help="every step, with its rule and a sentence of plain words")
    output = derives.add_mutually_exclusive_group()
    output.add_argument("--latex", action="store_true", help="the steps as LaTeX")
    output.add_argument("--python", action="store_true", help="a function to paste, which imports jax only")
    output.add_argument("--r", action="store_true", help="a function to paste, in base R")
    derives.add_argument("--seed", type=int, default=0, help="of the random points (default: 0)")
    derives.set_defaults(run=_run_derive)


def _run_derive(arguments: argparse.Namespace) -> int:
    """Derive a gradient, Jacobian or Hessian, every step checked, and print it: as text, LaTeX, Python or R."""
    from gdiff.check import parse_assumptions, parse_shapes
    from gdiff.derived import derive

    found = derive(
        arguments.expression,
        arguments.wrt,
        assume=parse_assumptions(arguments.symmetric, arguments.assume),
        convention=arguments.convention,
        order=2 if arguments.hessian else 1,
        shapes=parse_shapes(arguments.shape),
        seed=arguments.seed,
    )
    if arguments.latex or arguments.python or arguments.r:
        print(found.latex() if arguments.latex else found.python() if arguments.python else found.r())
    else:
        print(found.text(steps=arguments.steps, words=True))
        print(f"\n{found.report()}")
    return HOLDS


# Output


def _width(stream: Any) -> int:
    """Of the terminal; wide enough for a table where there is none."""
    return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 160


def _read(path: str) -> str:
    try:
        if path == "-":
            return sys.stdin.read()
        with open(path, encoding="utf-8-sig") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None


def _write_json(path: str, value: Any) -> None:
    text = json.dumps(value, indent=1, default=float)
    if path == "-":
        print(text)
    else:
        _write(path, text + "\n")


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ValueError(f"{path}: cannot be written ({error.strerror or error}).") from None
