"""A claim that holds at generic points, tried at degenerate ones: zero, rank one, equal eigenvalues ..."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gdiff.arguments import Arguments
from gdiff.judgement import judge
from gdiff.oracles import Leaves
from gdiff.truth import NotEstablished, Subject, establish
from gdiff.verdict import Verdict


def judged_at(
    f: Callable[..., Any],
    claimed: Any,
    arguments: Arguments,
    leaves: Leaves,
    *,
    order: int,
    subject: Subject,
    **how: Any,
) -> Verdict:
    """The verdict at one point alone."""
    point = arguments.rebuild(leaves)
    try:
        truth = establish(f, [point], order=order, arguments=arguments, subject=subject, fresh=False)
    except np.linalg.LinAlgError as error:
        raise NotEstablished(str(error)) from error
    try:
        return judge(truth, claimed, explain=False, **how)
    except np.linalg.LinAlgError:  # the claim inverts what f does not
        return Verdict("refuted")


def at_degenerate_points(
    verdict: Verdict, arguments: Arguments, leaves: Leaves, at: Callable[[Leaves], Verdict]
) -> Verdict:
    """A verdict that holds at generic points, tried where formulas break: what fails there becomes a hypothesis."""
    hypotheses, notes, checks, points = list(verdict.hypotheses), list(verdict.notes), verdict.checks, verdict.points
    for i in arguments.wrt:
        name, held = arguments.names[i], []
        for what, value in arguments.domains[i].degenerate(np.shape(leaves[i])).items():
            try:
                found = at((*leaves[:i], value, *leaves[i + 1 :]))
            except NotEstablished:
                notes.append(f"f is not finite where {name} is {what}.")
                continue
            if found.refuted:
                hypotheses.append(f"{name} not {what}")
            elif found.inconclusive:
                notes.append(f"where {name} is {what} there is nothing to judge: {found.explanation}")
            else:
                held.append(what)
                checks, points = checks + found.checks, points + found.points
        if held:
            notes.append(f"holds where {name} is {', '.join(held)} too.")
    status: Any = "holds under hypotheses" if hypotheses else verdict.status
    return replace(
        verdict, status=status, hypotheses=tuple(hypotheses), notes=tuple(notes), checks=checks, points=points
    )
