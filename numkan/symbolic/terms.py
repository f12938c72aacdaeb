"""One variable that is a sum of up to three terms: functions, functions of functions, products and ratios of two.

The terms have constants 1 and 0 at first, so that only factors are unknown, and all sets of three are tried by linear
algebra. What comes close is then refined, with the constants of its functions free.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.atoms import Atom, Dictionary, joined, solved, unit_curves
from numkan.symbolic.expression import Const, Node, add, mul
from numkan.symbolic.functions import Function

__all__ = ["sums_of_terms"]

_FREE = 1e-10  # of a term that must be left by those before it
_MOST_TERMS = 260


def sums_of_terms(
    u: FloatArray, v: FloatArray, sigma: FloatArray, functions: Mapping[str, Function], own: set[str], most: int = 6
) -> Iterator[tuple[str, Node]]:
    """Go through sums of one, two and three terms that come close, to be refined: (kind, start)."""
    w = np.square(sigma.min() / sigma)
    w = w / w.sum()
    book = Dictionary(u, functions, own)
    atoms = [*book.plain, *joined(book), *book.nested][:_MOST_TERMS]
    if len(atoms) < 3:
        return
    z, goal = unit_curves(np.stack([atom.curve for atom in atoms]), w), unit_curves(v[None], w)[0]
    gram, right = (z * w) @ z.T, z @ (w * goal)
    triples: list[tuple[float, tuple[int, ...]]] = []
    for i in range(len(atoms)):
        triples += _with(i, gram, right, most)
    for best in (_alone(right, most), _two(gram, right, most), triples):  # short ones first: they lie in longer ones
        for _, places in sorted(best)[:most]:
            chosen = [atoms[k] for k in places]
            yield " + ".join(atom.kind for atom in chosen), _sum(chosen, v, w)


def _alone(right: FloatArray, most: int) -> list[tuple[float, tuple[int, ...]]]:
    """Return the best single terms: (share of the square that is left, places)."""
    loss = 1.0 - np.square(right)
    return [(float(loss[k]), (int(k),)) for k in np.argsort(loss, kind="stable")[:most]]


def _two(gram: FloatArray, right: FloatArray, most: int) -> list[tuple[float, tuple[int, ...]]]:
    """Return the best pairs of terms."""
    free = np.maximum(1.0 - np.square(gram), _FREE)
    loss = 1.0 - (np.square(right)[:, None] + np.square(right) - 2.0 * gram * np.outer(right, right)) / free
    rows, columns = np.triu_indices(len(right), 1)
    best = np.argsort(loss[rows, columns], kind="stable")[:most]
    return [(float(loss[rows[k], columns[k]]), (int(rows[k]), int(columns[k]))) for k in best]


def _with(i: int, gram: FloatArray, right: FloatArray, most: int) -> list[tuple[float, tuple[int, ...]]]:
    """Return the best sets of the term i and two later ones."""
    later = slice(i + 1, None)
    left = 1.0 - np.square(gram[i, later])  # of each term when the term i is taken out
    if not len(left):
        return []
    g = gram[later, later] - np.outer(gram[i, later], gram[i, later])
    r = right[later] - gram[i, later] * right[i]
    det = np.outer(left, left) - np.square(g)
    with np.errstate(all="ignore"):
        gain = (np.square(r)[:, None] * left[None] + np.square(r)[None] * left[:, None] - 2 * g * np.outer(r, r)) / det
    gain = np.where((det > _FREE) & np.isfinite(gain), gain, 0.0)
    loss = (1.0 - right[i] ** 2) - gain
    loss[np.tril_indices(len(loss))] = np.inf
    count = min(most, loss.size)
    places = np.sort(np.argpartition(loss, count - 1, axis=None)[:count])
    rows, columns = np.unravel_index(places, loss.shape)
    return [
        (float(loss[a, b]), (i, i + 1 + int(a), i + 1 + int(b))) for a, b in zip(rows, columns, strict=True) if a != b
    ]


def _sum(chosen: list[Atom], v: FloatArray, w: FloatArray) -> Node:
    *factors, shift = solved([*(atom.curve for atom in chosen), np.ones_like(v)], v, w)
    terms = [mul(Const(c), atom.node) for c, atom in zip(factors, chosen, strict=True)]
    return add(*terms, Const(shift))
