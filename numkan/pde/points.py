r"""Points of a box: of its interior, and of its faces with their outward normals.

They are those of an additive recurrence (M. Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018),

.. math:: u_{mi} = (s_i + m \varphi^{-i}) \bmod 1, \qquad \varphi^{d + 1} = \varphi + 1,

which fill a box evenly for any number of them. Other points of the same kind come from another shift s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray, as_float_array, check_finite, check_integer, is_list
from numkan._shown import shown

__all__ = ["Boundary", "Interior", "Sampled", "followed"]


class Sampled(NamedTuple):
    """Points, and the outward normals of the faces that they lie on."""

    x: FloatArray  # (n, n_in)
    normal: FloatArray | None  # (n, n_in); None inside


def _recurrence(n: int, d: int, shift: FloatArray) -> FloatArray:
    phi = 2.0
    for _ in range(64):
        phi = (1.0 + phi) ** (1.0 / (d + 1))
    return (shift + np.outer(np.arange(n), phi ** -np.arange(1.0, d + 1))) % 1.0


def _check_box(low: Any, high: Any) -> tuple[FloatArray, FloatArray]:
    ends = []
    for name, value in (("low", low), ("high", high)):
        end = np.array(as_float_array(name, value, np.float64))
        if end.ndim != 1 or not end.size:
            raise ValueError(f"Argument `{name}` must have shape (n_in,), not {end.shape}.")
        check_finite(name, end)
        ends.append(end)
    if ends[0].shape != ends[1].shape or not (ends[0] < ends[1]).all():
        raise ValueError(f"Argument `high` must be larger than `low` in every input, not {shown(ends[1].tolist())}.")
    return ends[0], ends[1]


@dataclass(frozen=True, eq=False)
class Interior:
    """`n` points inside a box.

    Parameters
    ----------
    low, high : array_like, shape (n_in,)
    n : int

    Examples
    --------
    >>> Interior([0.0, -1.0], [1.0, 1.0], 100).draw().x.shape
    (100, 2)
    """

    low: Any
    high: Any
    n: int

    def __post_init__(self) -> None:
        low, high = _check_box(self.low, self.high)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)
        object.__setattr__(self, "n", check_integer("n", self.n, 1))

    def draw(self, rng: np.random.Generator | None = None) -> Sampled:
        """Return the points, or others of their kind."""
        d = len(self.low)
        u = _recurrence(self.n, d, np.full(d, 0.5) if rng is None else rng.random(d))
        return Sampled(self.low + (self.high - self.low) * u, None)


@dataclass(frozen=True, eq=False)
class Boundary:
    """`n` points on each face of a box. A residual that takes an argument `normal` is given the outward normals.

    Parameters
    ----------
    low, high : array_like, shape (n_in,)
    n : int
        On each face; a box of one input has faces of one point.
    faces : sequence of (int, int), optional
        Which ones: (input, 0) at its low end, (input, 1) at its high end. By default all of them.

    Examples
    --------
    >>> sampled = Boundary([0.0, 0.0], [1.0, 2.0], 3, faces=[(1, 1)]).draw()
    >>> sampled.x[:, 1], sampled.normal[0]
    (array([2., 2., 2.]), array([0., 1.]))
    """

    low: Any
    high: Any
    n: int
    faces: Sequence[tuple[int, int]] | None = None

    def __post_init__(self) -> None:
        low, high = _check_box(self.low, self.high)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)
        object.__setattr__(self, "n", check_integer("n", self.n, 1))
        every = [(i, end) for i in range(len(low)) for end in (0, 1)]
        faces: list[Any] = every if self.faces is None else list(self.faces) if is_list(self.faces) else []
        pairs = [face for face in faces if is_list(face) and all(isinstance(part, Integral) for part in face)]
        if not faces or len(pairs) < len(faces) or not all(tuple(face) in every for face in pairs):
            raise ValueError(f"Argument `faces` must list pairs (input, 0 or 1), not {shown(self.faces)}.")
        object.__setattr__(self, "faces", tuple((int(i), int(end)) for i, end in faces))

    def draw(self, rng: np.random.Generator | None = None) -> Sampled:
        """Return the points, or others of their kind."""
        d, parts, normals = len(self.low), [], []
        assert self.faces is not None
        for i, end in self.faces:
            others = np.arange(d) != i
            n = self.n if d > 1 else 1
            x = np.empty((n, d))
            x[:, i] = (self.low, self.high)[end][i]
            if d > 1:
                u = _recurrence(n, d - 1, np.full(d - 1, 0.5) if rng is None else rng.random(d - 1))
                x[:, others] = self.low[others] + (self.high - self.low)[others] * u
            parts.append(x)
            normals.append(np.tile((2.0 * end - 1.0) * ~others, (n, 1)))
        return Sampled(np.concatenate(parts), np.concatenate(normals))


def followed(sampled: Sampled | None, points: Any, given: Mapping[int, FloatArray]) -> Sampled | None:
    """Return the points of a box, moved so that each interval of given knots has as many; other points stay."""
    if sampled is None or not isinstance(points, Interior | Boundary):
        return sampled
    x = sampled.x.copy()
    for i, knots in given.items():
        if i < x.shape[1]:
            low, high = points.low[i], points.high[i]
            inside = np.concatenate([[low], knots[(knots > low) & (knots < high)], [high]])
            share = (x[:, i] - low) / (high - low) * (len(inside) - 1)
            x[:, i] = np.interp(share, np.arange(len(inside)), inside)
    return sampled._replace(x=x)
