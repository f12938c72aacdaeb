"""Hidden grids over all rows of a fit, where a policy has no values outside them.

Grids are laid over the sample of the rows. For other policies that is enough: the curves go on beyond it. Here rows at
which the activation of a hidden node is least or largest among all rows join the sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.model.layer_outputs import network_activations
from numkan.model.network import Network
from numkan.train.commit import refuses, scratch_copy
from numkan.train.passes import Passes
from numkan.train.samples import check_samples
from numkan.train.session import Session
from numkan.train.start import NotFiniteError, lay_grids

__all__ = ["Farthest", "cover_rows", "farthest_rows", "is_refusing"]

#: How often grids are laid over rows that leave them; the curves change a little each time.
_TIMES = 3

#: A row counts as outside if it is nearer to the end of a grid than this share of its length, because other kernels
#: round in other ways.
_SLACK = 1e-5

#: In the message of a fit whose curves move with their grids.
_REFUSED = " The policy of its layers refuses some of the rows, whose activations leave hidden grids."


def is_refusing(session: Session) -> bool:
    """Whether a policy has no values outside hidden grids, which a fit may lay."""
    return session.settings.update_grid and any(map(refuses, session.model.act_fun[1:]))


class Farthest(NamedTuple):
    """For each hidden node the rows with the largest and with the least activation."""

    ends: FloatArray  # (m,): the largest a of all nodes, then the largest -a
    x: FloatArray  # (m, n_in)
    y: FloatArray


def farthest_rows(model: Network, rows: Passes) -> Farthest:
    """Return the farthest of all rows."""
    found: Farthest = rows.sum(_FarthestOfBlock(scratch_copy(model)), _farther)
    return found


@dataclass(frozen=True, eq=False)
class _FarthestOfBlock:
    """The farthest rows of a block."""

    model: Network

    def __call__(self, x: Any, y: Any) -> Farthest:
        samples = check_samples(self.model, x, y, "mse", None)
        a = np.concatenate(network_activations(self.model.act_fun[:-1], samples.x)[1:], axis=1).astype(np.float64)
        ends = np.concatenate([a, -a], axis=1)
        rows = ends.argmax(axis=0)
        return Farthest(ends.max(axis=0), samples.x[rows], samples.goal.y[rows])


def _farther(a: Farthest, b: Farthest) -> Farthest:
    """Return the farther rows, for each end."""
    far = b.ends > a.ends
    return Farthest(
        *(np.where(far if each.ndim == 1 else far[:, None], other, each) for each, other in zip(a, b, strict=True))
    )


def cover_rows(session: Session, rows: Passes) -> str:
    """Lay hidden grids of the fitted model over rows that leave them; return a sentence if some still do."""
    x = session.samples.x
    for times in range(_TIMES + 1):
        farthest = farthest_rows(session.model, rows)
        outside = ~(farthest.ends <= _limits(session.model))
        if not outside.any():
            return ""
        if times < _TIMES:
            x = np.concatenate([x, farthest.x[outside]])
            box = session.box.astype(session.model.dtype)
            try:
                work = lay_grids(session.best_model(), x, inputs=False, thin=False, box=box)
            except NotFiniteError:
                return _REFUSED
            session.commit_best(session.end_at(work))
    return _REFUSED


def _limits(model: Network) -> FloatArray:
    """Return the largest values that `Farthest.ends` may have for rows inside the grids."""
    low, high = np.concatenate([np.array(layer.basis.astype(np.float64).domain) for layer in model.act_fun[1:]], axis=1)
    limits: FloatArray = np.concatenate([high, -low]) - np.tile(_SLACK * (high - low), 2)
    return limits
