"""Span tests: the functions phi_k for which f(a, rest) is a sum of phi_k(a) w_k(rest).

The table f(a_i, rest_j) has as many singular values above its errors as there are terms, and its left singular
vectors span the phi_k, whatever mixture of them a network holds. A function of the library is one of them where it lies
in the span.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.expression import Node, Tape, Var, number, power
from numkan.symbolic.functions import Function
from numkan.symbolic.identify import affine, solve_pairs, starts_of
from numkan.symbolic.oracle import Answer, Oracle, part

__all__ = ["Table", "in_span", "make_table", "weights"]

_NODES, _SETTINGS = 28, 28
_MOST_TERMS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Answers for one variable against settings of the others."""

    variable: int
    at: FloatArray  # (nodes,)
    scale: FloatArray  # (nodes,), by which rows were divided, so that errors are about even
    left: FloatArray  # (nodes, rank), orthonormal
    singular: FloatArray  # all of them
    error: float  # the size of a singular value that errors alone can cause
    rank: int
    with_constant: bool  # whether 1 lies in the span

    @property
    def blur(self) -> float:
        """The largest apparent distance of a function of the span from it, relative to its size."""
        return 2.0 * self.error / float(self.singular[self.rank - 1])


@np.errstate(all="ignore")
def make_table(oracle: Oracle, variable: int, rng: np.random.Generator) -> Table | None:
    """Return the table of one variable, or None where answers are missing or it has too many terms."""
    settings = oracle.draw(_SETTINGS, rng)
    low, high = oracle.low[variable], oracle.high[variable]
    at = (low + high) / 2 + 0.49 * (high - low) * np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)[::-1]
    points = np.repeat(settings[None], _NODES, axis=0)
    points[:, :, variable] = at[:, None]
    value, error = oracle.ask(points.reshape(-1, oracle.n_in))
    if not np.isfinite(value).all():
        return None
    value, error = value.reshape(_NODES, _SETTINGS), error.reshape(_NODES, _SETTINGS)
    scale, across = _evened(error)
    value, error = value / scale[:, None] / across, error / scale[:, None] / across
    left, singular, _ = np.linalg.svd(value)
    noise = 3.0 * float(np.sqrt(np.mean(np.square(error)))) * np.sqrt(_NODES)
    rank = int(np.count_nonzero(singular > max(noise, 1e-14 * singular[0])))
    if not 1 <= rank <= _MOST_TERMS:
        return None
    table = Table(variable, at, scale, left[:, :rank], singular, noise, rank, False)
    outside = _distance(table, np.ones(_NODES))
    return replace(table, with_constant=rank > 1 and outside <= max(2 * table.blur, 1e-13))


def _evened(error: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return scales of rows and columns whose products are like the errors of a table."""
    log = np.log(np.maximum(error, 1e-300))
    rows, columns = log.mean(axis=1) - log.mean(), log.mean(axis=0) - log.mean()
    return np.exp(rows), np.exp(columns)


def curve_beside_constant(table: Table) -> FloatArray:
    """Return the one curve (nodes,) that with 1 makes the span of a table of rank 2."""
    inside = table.left.T @ (1.0 / table.scale)
    direction = np.array([-inside[1], inside[0]]) / np.linalg.norm(inside)
    curve: FloatArray = (table.left @ direction) * table.scale
    return curve


def in_span(table: Table, functions: Mapping[str, Function], most: int = 8) -> list[tuple[float, Node]]:
    """Return functions of one variable that lie in the span, the closest in kind first: (distance, expression)."""
    middle, half = (table.at[0] + table.at[-1]) / 2, (table.at[-1] - table.at[0]) / 2
    s = (table.at - middle) / half
    found: list[tuple[float, float, Node]] = []
    for p in (1.0, 2.0, -1.0, 3.0, -2.0, 0.5):
        with np.errstate(all="ignore"):
            column = np.power(table.at, p)
        distance = _distance(table, column)
        if distance <= max(table.blur, 1e-13) and not (p < 0 and table.at[0] * table.at[-1] < 0):
            found.append((abs(p) + (p < 0), distance, power(Var(0), p)))
    for function in functions.values():
        if function.name != "identity" and function.varies:
            a, b, distance = _closest(table, s, function)
            if distance <= max(table.blur, 1e-13):
                found.append((3.0 + function.bits, distance, _in_units(function, a / half, b - a * middle / half)))
    return [(distance, node) for _, distance, node in sorted(found, key=lambda f: f[0])[:most]]


def _in_units(function: Function, a: float, b: float) -> Node:
    """Return f(a u + b) with a = 1 or -1 where f has no scale of its own: it is part of the factor."""
    size = 1.0 if "a" in function.varies else abs(a)
    return affine(function, a / size, b / size, Var(0))


def _distance(table: Table, column: FloatArray) -> float:
    """Return how far a column lies outside of a span, relative to its length."""
    column = column / table.scale
    size = float(np.linalg.norm(column))
    if not np.isfinite(size) or size == 0.0:
        return np.inf
    return float(np.linalg.norm(column - table.left @ (table.left.T @ column))) / size


def _closest(table: Table, s: FloatArray, function: Function) -> tuple[float, float, float]:
    """Return a, b of the f(a s + b) that is next to the span, and its distance, by Gauss-Newton from some starts."""
    with np.errstate(all="ignore"):
        theta = starts_of(function)
        loss, _, _ = _outside(table, s, function, theta, slopes=False)
        theta = theta[np.argsort(loss, kind="stable")[:3]]
        loss, r, jac = _outside(table, s, function, theta, slopes=True)
        damping = np.full(len(theta), 1e-3)
        vary = np.array(["a" in function.varies, "b" in function.varies])
        for _ in range(20):
            jac = jac * vary[:, None]
            normal = jac @ jac.transpose(0, 2, 1)
            size = normal[:, [0, 1], [0, 1]]
            normal[:, [0, 1], [0, 1]] += damping[:, None] * size + np.where(size > 0.0, 1e-300, 1.0)
            step = solve_pairs(normal, -(jac @ r[:, :, None])[:, :, 0])
            new = theta + np.where(np.isfinite(step), step, 0.0)
            new_loss, new_r, new_jac = _outside(table, s, function, new, slopes=True)
            better = new_loss < loss
            theta, loss = np.where(better[:, None], new, theta), np.where(better, new_loss, loss)
            r, jac = np.where(better[:, None], new_r, r), np.where(better[:, None, None], new_jac, jac)
            damping = np.where(better, damping * 0.1, damping * 10.0)
    best = int(np.argmin(loss))
    return float(theta[best, 0]), float(theta[best, 1]), float(loss[best])


def _outside(
    table: Table, s: FloatArray, function: Function, theta: FloatArray, *, slopes: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the part of unit functions that lies outside of the span: its size, itself, and its slopes by a and b."""
    left = table.left
    t = theta[:, :1] * s + theta[:, 1:]
    column = np.asarray(function.value(t), np.float64) / table.scale
    size = np.linalg.norm(column, axis=1)[:, None]
    column = column / size
    r = column - column @ left @ left.T
    loss = np.linalg.norm(r, axis=1)
    loss = np.where(np.isfinite(loss), loss, np.inf)
    if not slopes:
        return loss, r, r
    slope = np.asarray(function.derivative(t), np.float64) / table.scale / size
    both = np.stack([slope * s, slope], axis=1)
    jac = both - both @ left @ left.T - (both @ column[:, :, None]) * r[:, None]
    return loss, r, jac


def weights(oracle: Oracle, table: Table, basis: Sequence[Node]) -> list[Oracle]:
    """Return the oracles w_k of the other variables, by least squares on the nodes."""
    at, variable = table.at, table.variable
    columns = np.stack([Tape(node).value(at[:, None]) for node in basis], axis=1)
    rest = [k for k in range(oracle.n_in) if k != variable]

    def ask_all(x: FloatArray) -> Answer:
        points = np.empty((len(at), len(x), oracle.n_in))
        points[:, :, rest] = x
        points[:, :, variable] = at[:, None]
        value, error = oracle.ask(points.reshape(-1, oracle.n_in))
        value, error = value.reshape(len(at), -1).T, error.reshape(len(at), -1).T
        size = np.sqrt(np.square(columns).mean(axis=0))
        least = 1e-8 * error.max(where=np.isfinite(error), initial=0.0)
        root = least / np.maximum(error, least)  # at most 1: squares of it do not vanish
        design = columns / size * root[:, :, None]  # (n, nodes, terms)
        bad = ~(np.isfinite(design).all(axis=(1, 2)) & np.isfinite(value).all(axis=1))
        bad |= np.count_nonzero(root, axis=1) < len(size)  # an oracle of unlimited error tells nothing
        design[bad], value[bad] = np.eye(len(at), len(size)), np.nan
        normal = design.transpose(0, 2, 1) @ design  # well-conditioned: bases are chosen so
        normal = normal + 1e-14 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(len(size))
        found = np.linalg.solve(normal, design.transpose(0, 2, 1) @ (root * value)[:, :, None])[:, :, 0]
        spread = least * np.sqrt(np.linalg.inv(normal)[:, np.arange(len(size)), np.arange(len(size))])
        return (found / size).T, (spread / size).T

    def one(k: int) -> Oracle:
        def ask(x: FloatArray) -> Answer:
            value, error = ask_all(x)
            return value[k], error[k]

        return part(ask, oracle.low[rest], oracle.high[rest], len(at) * oracle.cost)

    return [one(k) for k in range(len(basis))]


@np.errstate(all="ignore")
def independent(table: Table, found: Sequence[Node], terms: int, *, constant: bool) -> list[list[Node]]:
    """Return bases of `terms` functions of the span that are well-conditioned, short ones first."""
    bases: list[list[Node]] = []
    fixed: list[Node] = [number(1)] if constant else []
    for start in range(len(found)):
        basis = [*fixed]
        for node in [*found[start:], *found[:start]]:
            columns = np.stack([Tape(n).value(table.at[:, None]) for n in [*basis, node]], axis=1)
            columns = columns / np.linalg.norm(columns, axis=0)
            if np.isfinite(columns).all() and np.linalg.svd(columns)[1][-1] > 1e-2:
                basis.append(node)
            if len(basis) == terms:
                bases.append(basis)
                break
        if len(bases) >= 3:
            break
    return bases
