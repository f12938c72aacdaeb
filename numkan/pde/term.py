"""An equation at its points, as the least-squares problem sees it: residuals, and their partials by complex step."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from numkan._check import FloatArray
from numkan.layer.jets import Jets, Pairs
from numkan.model.swept import Linearized
from numkan.pde.equation import NORMAL, Equation, Signature
from numkan.pde.hard import hard_conditions
from numkan.pde.points import Sampled

__all__ = ["PointTerm"]

#: The complex step: its square vanishes beside anything, so that the imaginary part is the derivative to rounding.
_STEP = 1e-30

#: Relative step, and tolerance, of the difference that partials are checked by once.
_DIFFERENCE, _TOLERANCE = 1e-6, 1e-3

#: The difference is taken at numbers of this size at most.
_MODERATE = 3.0


class PointTerm:
    """One equation at n points; see :class:`numkan.model.swept.Term`.

    Attributes
    ----------
    root : float or ndarray, shape (n, 1)
        What residuals are multiplied by.
    size : int
        How many residuals there are, n m.
    """

    def __init__(
        self,
        equation: Equation,
        signature: Signature,
        sampled: Sampled,
        unknowns: Sequence[str],
        n_out: int,
        transform: Any = None,
    ) -> None:
        self.x, self.order = np.ascontiguousarray(sampled.x), signature.order
        self.pairs = Pairs.of(self.x.shape[1], mixed=equation.mixed and self.order > 1)
        self.root: Any = 1.0
        self.size = len(self.x)
        self._equation, self._signature, self._n_out = equation, signature, n_out
        self._unknowns = tuple(unknowns)
        self._fixed = {NORMAL: sampled.normal} if signature.normal else {}
        self._hard = hard_conditions(transform, self.x, self.order, self.pairs)

    # --- residuals ------------------------------------------------------------------------------------------------

    def residuals(self, jets: Jets, unknowns: FloatArray) -> FloatArray:
        """Return weighted residuals (n, m)."""
        weighted: FloatArray = self.root * self.plain(jets, unknowns)
        return weighted

    def plain(self, jets: Jets, unknowns: FloatArray) -> FloatArray:
        """Return residuals (n, m)."""
        found: FloatArray = self._call(self._arguments(self.solution(jets)), self._keywords(unknowns))
        return found

    def solution(self, jets: Jets) -> Jets:
        """Return the jets of u from those of the network."""
        return jets if self._hard is None else self._hard.apply(jets, self.pairs)

    def _keywords(self, unknowns: FloatArray) -> dict[str, Any]:
        given = dict(zip(self._unknowns, unknowns, strict=True))
        return {name: given[name] for name in self._signature.keywords}

    def _arguments(self, jets: Jets) -> list[Any]:
        """Return u, du, ... in the caller's shapes."""
        out: list[Any] = [jets.value, *jets[1 : self.order + 1]]
        if self._equation.mixed and self.order > 1:
            out[2] = self.pairs.matrices(jets.second)
        return [one[:, 0] for one in out] if self._n_out == 1 else out

    def _call(self, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        with np.errstate(all="ignore"):
            r = np.asarray(self._equation.residual(self.x, *arguments, **keywords, **self._fixed))
        if r.ndim not in (1, 2) or len(r) != len(self.x):
            raise ValueError(
                f"Argument `residual` must return shape ({len(self.x)},) or ({len(self.x)}, m), not {r.shape}."
            )
        self.size = r.size
        return r[:, None] if r.ndim == 1 else r

    # --- partials -------------------------------------------------------------------------------------------------

    def linearized(self, jets: Jets, unknowns: FloatArray) -> Linearized:
        """Return weighted residuals and their partials by the network's jets and the unknowns."""
        u, keywords = self.solution(jets), self._keywords(unknowns)
        arguments = self._arguments(u)
        r = self._call(arguments, keywords)
        partials, by_unknowns = self._given(r, arguments, keywords) or self._stepped(r, arguments, keywords)
        root = np.broadcast_to(np.asarray(self.root), (len(r), 1))
        weighted = []
        for by_u in partials:
            own = by_u if self._hard is None else self._hard.pull(by_u, self.pairs)
            weighted.append(Jets(*(part * (root if part.ndim == 2 else root[..., None]) for part in own)))
        return Linearized(root * r, weighted, root[..., None] * by_unknowns)

    def _columns(self, nu: int) -> list[tuple[Any, ...]]:
        """Return where the entries of a derivative lie in the caller's array, each one or two that are the same."""
        if nu == 0:
            return [()]
        if nu == 2 and self._equation.mixed:
            return [(int(a), int(b)) for a, b in zip(self.pairs.left, self.pairs.right, strict=True)]
        return [(a,) for a in range(self.pairs.n_in)]

    def _stepped(self, r: Any, arguments: list[Any], keywords: dict[str, Any]) -> tuple[list[Jets], FloatArray]:
        m = r.shape[1]
        partials = [Jets.zeros(len(r), self._n_out, self.pairs, self.order) for _ in range(m)]
        for nu, argument in enumerate(arguments):
            changed, complex_one = list(arguments), argument.astype(complex)
            changed[nu] = complex_one
            for o in range(self._n_out):
                for column, place in enumerate(self._columns(nu)):
                    spots = {place, place[::-1]}
                    own = [(slice(None), *(() if self._n_out == 1 else (o,)), *spot) for spot in spots]
                    for spot in own:
                        complex_one[spot] += 1j * _STEP
                    slope = self._imaginary(changed, keywords)
                    for spot in own:
                        complex_one[spot] = argument[spot]
                    for q in range(m):
                        target = partials[q][nu]
                        target[(slice(None), o) if nu == 0 else (slice(None), o, column)] = slope[:, q]
        by_unknowns = np.zeros((len(r), m, len(self._unknowns)))
        for name, value in keywords.items():
            slope = self._imaginary(arguments, {**keywords, name: value + 1j * _STEP})
            by_unknowns[:, :, self._unknowns.index(name)] = slope
        return partials, by_unknowns

    def _imaginary(self, arguments: list[Any], keywords: dict[str, Any]) -> FloatArray:
        found: FloatArray = np.imag(self._call(arguments, keywords)) / _STEP
        return found

    def _given(self, r: Any, arguments: list[Any], keywords: dict[str, Any]) -> tuple[list[Jets], FloatArray] | None:
        """Return the caller's partials, if there are any."""
        function = self._equation.partials
        if function is None:
            return None
        found = function(self.x, *arguments, **keywords, **self._fixed)
        m, by_unknowns = r.shape[1], np.zeros((*r.shape, len(self._unknowns)))
        partials = [Jets.zeros(len(r), self._n_out, self.pairs, self.order) for _ in range(m)]
        for nu, (part, argument) in enumerate(zip(found, arguments, strict=False)):
            shape = (*r.shape, *argument.shape[1:])
            full = np.broadcast_to(np.reshape(part, (len(r), *((m,) if np.ndim(part) == len(shape) else (1,)),
                                                     *argument.shape[1:])), shape)  # fmt: skip
            full = full.reshape(len(r), m, self._n_out, *argument.shape[1 if self._n_out == 1 else 2 :])
            for q in range(m):
                for column, place in enumerate(self._columns(nu)):
                    own = sum(full[(slice(None), q, slice(None), *spot)] for spot in {place, place[::-1]})
                    partials[q][nu][(slice(None), slice(None), *(() if nu == 0 else (column,)))] = own
        for name, part in (found[-1] if isinstance(found[-1], dict) else {}).items():
            by_unknowns[:, :, self._unknowns.index(name)] = np.reshape(part, (len(r), -1))
        return partials, by_unknowns

    def check_partials(self, jets: Jets, unknowns: FloatArray, number: int) -> None:
        """Hold the partials against a difference along one direction, or say what must be wrong."""
        rng = np.random.default_rng(0)
        u = Jets(*(np.clip(np.nan_to_num(jet), -_MODERATE, _MODERATE) for jet in self.solution(jets)))
        keywords = self._keywords(unknowns)
        step = [rng.standard_normal(jet.shape) * (1e-2 + np.abs(jet)) for jet in u]
        moved = rng.standard_normal(len(unknowns)) * (1e-2 + np.abs(unknowns))
        ends = []
        for sign in (1.0, -1.0):
            own = Jets(*(jet + sign * _DIFFERENCE * dot for jet, dot in zip(u, step, strict=True)))
            ends.append(self._call(self._arguments(own), self._keywords(unknowns + sign * _DIFFERENCE * moved)))
        difference = (ends[0] - ends[1]) / (2 * _DIFFERENCE)
        arguments = self._arguments(u)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                r = self._call(arguments, keywords)
                partials, by_unknowns = self._given(r, arguments, keywords) or self._stepped(r, arguments, keywords)
        except (TypeError, np.exceptions.ComplexWarning) as error:
            raise ValueError(_advice(number, f"not fail: {error}")) from error
        slope = by_unknowns @ moved
        for q, own in enumerate(partials):
            for part, dot in zip(own, step, strict=True):
                slope[:, q] += (part * dot).reshape(len(r), -1).sum(axis=1)
        size = 1e-8 + np.abs(r).max() + np.abs(difference).max()
        finite = np.isfinite(difference) & np.isfinite(slope)
        if (np.abs(difference - slope)[finite] > _TOLERANCE * size).any():
            if self._equation.partials is not None:
                raise ValueError(f"Argument `equations[{number}].partials` must be the derivatives of its residual.")
            raise ValueError(_advice(number, "not differ from a difference quotient"))


def _advice(number: int, what: str) -> str:
    return (
        f"Argument `equations[{number}].residual` must be made of analytic functions of NumPy, which take complex "
        f"numbers (no abs, no comparisons), or come with `partials`, {what}."
    )
