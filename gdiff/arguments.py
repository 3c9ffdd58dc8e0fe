"""How a caller's arguments are made of leaves: arrays with names and domains, some of them differentiated."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from gdiff.domains import Domain, PositiveDefinite, default_domain
from gdiff.oracles import Leaves, refuse_tracers


@dataclass(frozen=True)
class Arguments:
    """How the caller's arguments are made of leaves: which are arrays, which are differentiated, what each is."""

    treedef: Any
    static: Mapping[int, Any]  # leaves that are no floating arrays: passed through
    names: tuple[str, ...]
    wrt: tuple[int, ...]  # positions among the arrays
    domains: tuple[Domain, ...]
    declared: tuple[bool, ...]
    argnums: int | tuple[int, ...] = 0

    def rebuild(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """The caller's arguments from the arrays."""
        rest = iter(arrays)
        leaves = [self.static[i] if i in self.static else next(rest) for i in range(self.treedef.num_leaves)]
        return tuple(jax.tree.unflatten(self.treedef, leaves))

    def flatten(self, args: Sequence[Any]) -> Leaves:
        """The arrays of a point, float64 on the host."""
        leaves = jax.tree.leaves(tuple(args))
        return tuple(np.asarray(leaf, dtype=np.float64) for i, leaf in enumerate(leaves) if i not in self.static)


def _is_array(leaf: Any) -> bool:
    return not isinstance(leaf, str | bytes | bool) and np.issubdtype(np.result_type(leaf), np.floating)


def read_arguments(
    f: Callable[..., Any],
    args: Sequence[Any],
    argnums: int | Sequence[int],
    domains: Any,
    names: Sequence[str] | None = None,
) -> Arguments:
    """Flatten the arguments, name the leaves, give each a domain: the caller's, or by rank."""
    args = tuple(args)
    refuse_tracers(args)
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for a in chosen:
        if not -len(args) <= a < len(args):
            raise ValueError(f"argnums={argnums}: got {len(args)} arguments, wanted indices below that.")
    chosen = tuple(a % len(args) for a in chosen)
    given = by_argument(domains, args, chosen)
    titles = list(names) if names is not None else parameter_names(f, len(args))
    static: dict[int, Any] = {}
    labels: list[str] = []
    spaces: list[Domain] = []
    declared: list[bool] = []
    wrt: dict[int, list[int]] = {a: [] for a in chosen}
    position = 0
    for number, argument in enumerate(args):
        leaves = jax.tree_util.tree_flatten_with_path(argument)[0]
        space = given[number]
        per_leaf = (
            [space] * len(leaves)
            if space is None or isinstance(space, Domain)
            else jax.tree.leaves(space, is_leaf=lambda x: x is None or isinstance(x, Domain))
        )
        if len(per_leaf) != len(leaves):
            raise ValueError(f"domains: got {len(per_leaf)} for {titles[number]}, which has {len(leaves)} arrays.")
        for (path, leaf), own in zip(leaves, per_leaf, strict=True):
            if number in wrt and np.issubdtype(np.result_type(leaf), np.integer):
                leaf = np.asarray(leaf, dtype=np.float64)
            if not _is_array(leaf):
                if number in wrt:
                    raise TypeError(f"{titles[number]}: cannot differentiate with respect to {type(leaf).__name__}.")
                static[position] = leaf
            else:
                if number in wrt:
                    wrt[number].append(len(labels))
                labels.append(titles[number] + jax.tree_util.keystr(path))
                spaces.append(own if own is not None else default_domain(np.shape(leaf)))
                declared.append(own is not None)
            position += 1
    return Arguments(
        treedef=jax.tree.structure(args),
        static=static,
        names=tuple(labels),
        wrt=tuple(i for a in chosen for i in wrt[a]),
        domains=tuple(spaces),
        declared=tuple(declared),
        argnums=chosen if not isinstance(argnums, int) else chosen[0],
    )


def by_argument(domains: Any, args: Sequence[Any], chosen: tuple[int, ...]) -> list[Any]:
    """One domain for each argument, None where none was declared: from one, or one for each chosen, or for each."""
    out: list[Any] = [None] * len(args)
    if domains is None:
        return out
    if isinstance(domains, Domain):
        for a in chosen:
            out[a] = domains
        return out
    if isinstance(domains, Mapping) and len(chosen) == 1:
        out[chosen[0]] = domains
        return out
    domains = tuple(domains)
    if len(domains) == len(args):
        return list(domains)
    if len(domains) == len(chosen):
        for a, d in zip(chosen, domains, strict=True):
            out[a] = d
        return out
    raise ValueError(
        f"domains: got {len(domains)}, wanted one, one for each of the {len(chosen)} differentiated arguments, "
        f"or one for each of all {len(args)}."
    )


def parameter_names(f: Callable[..., Any], count: int) -> list[str]:
    """The names of the first positional parameters, x0, x1 ... where there are none."""
    try:
        parameters = [
            p.name
            for p in inspect.signature(f).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        parameters = []
    return [parameters[i] if i < len(parameters) else f"x{i}" for i in range(count)]


def with_positive_definite(
    arguments: Arguments, leaves: Leaves, which: str
) -> tuple[Arguments, tuple[str, ...]] | None:
    """The same arguments with square matrices of undeclared structure taken as positive definite.

    `which` is "differentiated", "others" or "all". None where there are none.
    """
    domains, hypotheses = list(arguments.domains), []
    for i, leaf in enumerate(leaves):
        square = leaf.ndim >= 2 and leaf.shape[-1] == leaf.shape[-2]
        wanted = which == "all" or (i in arguments.wrt) == (which == "differentiated")
        if square and wanted and not arguments.declared[i]:
            domains[i] = PositiveDefinite()
            hypotheses.append(f"{arguments.names[i]} {'symmetric' if leaf.shape[-1] > 1 else 'positive'}")
    if not hypotheses:
        return None
    return (
        Arguments(
            arguments.treedef,
            arguments.static,
            arguments.names,
            arguments.wrt,
            tuple(domains),
            arguments.declared,
            arguments.argnums,
        ),
        tuple(hypotheses),
    )
