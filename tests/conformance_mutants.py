"""Faulty adapters, each with one defect that was seen in the wild or is easily made, and the law that must find it.

Those of the suite's own tests come first; here are the ones that a kit meets: adapters that misbehave as objects, and
the defects of live libraries, written as small as they can be.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import numkan
from numkan.conformance import Layer
from numkan.conformance.adapter import Array
from numkan.conformance.grids import interior_knots
from numkan.conformance.laws.grids import dense
from numkan.layer.grid import grid_from_samples
from tests import mutants, network_mutants, test_laws_grid
from tests.conformance_adapters import DeBoor
from tests.grid_cases import NumkanGrids
from tests.implementations import NumkanSplines
from tests.network_cases import NumkanNetworks

# --- adapters that misbehave --------------------------------------------------------------------------------------


class WritesIntoPoints(NumkanSplines):
    """Points are moved into the domain where they lie."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        np.clip(x, knots[k] + 0.1, None, out=x)
        return values


class ReturnsItsInput(NumkanSplines):
    """An insertion that changes nothing but the copy it should have made."""

    def insert_knot(self, knots: Array, coef: Array, k: int, t: float) -> tuple[Array, Array]:
        longer, finer = super().insert_knot(knots, coef, k, t)
        coef[:] = finer[:-1]
        return longer, finer


class OneBuffer(NumkanSplines):
    """The same array comes out every time."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        if getattr(self, "buffer", np.empty(0)).shape != values.shape or self.buffer.dtype != values.dtype:
            self.buffer = values
        self.buffer[...] = values
        return self.buffer


class Raises(NumkanSplines):
    """A repeated knot is an error of arithmetic."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        if (np.diff(knots) == 0).any():
            raise ZeroDivisionError("float division by zero")
        return super().basis(x, knots, k)


class MissingColumn(NumkanSplines):
    """At clamped ends one function is forgotten."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        return values[:, 1:] if k and knots[0] == knots[1] else values


class Undeclared(NumkanSplines):
    """Nothing is said of the right end."""

    right_end = None


class Remembers(NumkanNetworks):
    """A call leaves its trace: the next is scaled."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        self.calls = getattr(self, "calls", 0) + 1
        return super().network_forward(layers, x) * (
            1 + (self.calls > 3) * np.finfo(layers[0].coef.dtype).eps * 4
        ).astype(layers[0].coef.dtype)


# --- defects of live libraries ------------------------------------------------------------------------------------


class BothSidesClosed(DeBoor):
    """Spans that hold both their ends: a knot is counted twice."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        inner = np.isin(x, knots[k + 1 : len(knots) - 1 - k])
        return values * np.where(inner, 2, 1)[:, None].astype(x.dtype)


class GuardedOnTheLeftOnly(DeBoor):
    """torch-conv-kan: 0/0 is caught in the rising term, not in the falling one."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = ((knots[:-1] <= x[:, None]) & (x[:, None] < knots[1:])).astype(x.dtype)
        for d in range(1, k + 1):
            with np.errstate(all="ignore"):
                left = knots[d:-1] - knots[: -d - 1]
                rising = (x[:, None] - knots[: -d - 1]) / np.where(left == 0, 1, left) * values[:, :-1]
                falling = (knots[d + 1 :] - x[:, None]) / (knots[d + 1 :] - knots[1:-d]) * values[:, 1:]
            values = rising + falling
        return values


class TermsAdded(DeBoor):
    """FlashKAN's backward: the two terms of the derivative are added."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        if nu != 1 or k == 0:
            return super().dbasis(x, knots, k, nu)
        lower = self.lower(x, knots, k, k - 1)
        width = knots[k:] - knots[:-k]
        quotient = np.divide(lower, width, out=np.zeros_like(lower), where=width > 0)
        return (quotient[:, :-1] + quotient[:, 1:]) * knots.dtype.type(k)


class OtherClipInDerivatives(DeBoor):
    """kanboost: values are clamped at the domain's ends, derivatives one knot further out."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        last = len(knots) - 1 - k
        ends = (knots[k], knots[last]) if nu == 0 or k == 0 else (knots[k - 1], knots[last + 1])
        return super().dbasis(np.clip(x, *ends), knots, k, nu)


class SinglePrecisionConstant(DeBoor):
    """A float32 number among float64 ones."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return super().basis(x, knots, k) * x.dtype.type(1 + float(np.finfo(np.float32).eps) / 2)


class AbsoluteTolerance(DeBoor):
    """Knots nearer than 1e-3 are taken for one."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        merged = knots.copy()
        for i in range(1, len(merged)):
            if merged[i] - merged[i - 1] < 1e-3:
                merged[i] = merged[i - 1]
        same = merged[k] < merged[len(merged) - 1 - k]
        return super().basis(x, merged if same else knots, k)


class SortedPoints(DeBoor):
    """Points are sorted for the lookup, and not put back."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return super().basis(np.sort(x), knots, k)


class FadesToNothing(DeBoor):
    """The padding is cut off: nothing outside the domain, where the padded functions are declared."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        values[(x < knots[k]) | (x > knots[len(knots) - 1 - k])] = 0
        return values


class OpenAndSaysClosed(DeBoor):
    """The right end of the domain belongs to the padding, which only shows where it is clamped or k = 0."""

    def span(self, x: Any, knots: Array, k: int) -> int:
        j = int(np.searchsorted(knots, x, side="right")) - 1
        return j if knots[0] <= x < knots[-1] else -1


class DegreeZeroSmoothed(DeBoor):
    """At degree 0 a knot belongs to both neighbours by halves."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values = super().basis(x, knots, k)
        if k == 0:
            for n in np.flatnonzero(np.isin(x, knots[1:-1])):
                j = int(np.searchsorted(knots, x[n]))
                values[n, j - 1 : j + 1] = 0.5
        return values


class OneLessEachTime(DeBoor):
    """Derivatives of higher order with the degree of the first in every factor."""

    def dbasis(self, x: Array, knots: Array, k: int, nu: int) -> Array:
        factor = np.prod([k / (k - i) for i in range(min(nu, k))])
        return super().dbasis(x, knots, k, nu) * x.dtype.type(factor)


class EfficientRanks(NumkanGrids):
    """efficient-kan's ranks of samples, declared as numkan's."""

    def knots(self, x: Any, layer: Layer, G: int, grid_eps: float) -> Array:
        knots = super().knots(x, layer, G, grid_eps)
        mixed = interior_knots(x, G, grid_eps, "efficient-kan").astype(knots.dtype)
        if (np.diff(mixed) > 0).all():
            knots[:, layer.k + 1 : layer.k + G] = mixed[:, 1:-1]
        return knots


class NothingFadesInHere(NumkanGrids):
    """pykan: a constant feature gets knots that all coincide, and its spline is lost."""

    def update_grid(self, layer: Layer, x: Any, grid_eps: float, G: int | None = None) -> Layer:
        new = super().update_grid(layer, x, grid_eps, G)
        still = np.ptp(x, axis=0) == 0
        grid, coef = new.grid.copy(), new.coef.copy()
        grid[still], coef[still] = x[0, still, None], 0
        return new.replace(grid=grid, coef=coef)


class WholeDtype(NumkanGrids):
    """efficient-kan: a grid in float32 whatever the model is."""

    def knots(self, x: Any, layer: Layer, G: int, grid_eps: float) -> Array:
        return grid_from_samples(x, G, layer.k, grid_eps, dtype=np.float32).astype(layer.grid.dtype)


class LastWriteWins(NumkanNetworks):
    """FlashKAN's backward: ``Dw[idx] += ...`` keeps one sample of those that share a span."""

    def layer_vjp(self, layer: Layer, x: Any, y_bar: Array) -> dict[str, Array]:
        grads = super().layer_vjp(layer, x, y_bar)
        alone = [
            super(LastWriteWins, self).layer_vjp(layer, x[n : n + 1], y_bar[n : n + 1])["coef"] for n in range(len(x))
        ]
        last = np.zeros_like(grads["coef"])
        for one in alone:
            last = np.where(one != 0, one, last)
        return {**grads, "coef": last}


class MaskAfterwards(NumkanNetworks):
    """Gradients of edges that are masked."""

    def layer_vjp(self, layer: Layer, x: Any, y_bar: Array) -> dict[str, Array]:
        grads = super().layer_vjp(layer, x, y_bar)
        whole = super().layer_vjp(layer.replace(mask=np.ones_like(layer.mask)), x, y_bar)
        return {**grads, "coef": whole["coef"]}


class ClampedBase(NumkanNetworks):
    """The base function sees the clamped point."""

    def layer_forward(self, layer: Layer, x: Any) -> Array:
        return super().layer_forward(layer, np.clip(x, layer.grid[:, layer.k], layer.grid[:, -1 - layer.k]))


class OtherRoot(NumkanNetworks):
    """A Jacobian by forward differences."""

    def layer_jacobian(self, layer: Layer, x: Any) -> dict[str, Array]:
        rows = super().layer_jacobian(layer, x)
        return {**rows, "x": rows["x"] * (1 + x.dtype.type(1e-6))}


class ScaleNotSaved(NumkanNetworks):
    """pykan's files: something is not in them."""

    def load(self, path: Any) -> list[Layer]:
        return [layer.replace(scale_sp=np.ones_like(layer.scale_sp)) for layer in super().load(path)]


# --- faults that were planted for trial, and lived ----------------------------------------------------------------


class CubicTooLarge(DeBoor):
    """Every cubic value is 50 % too large."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        return super().basis(x, knots, k) * x.dtype.type(1.5 if k == 3 else 1)


class OneWrongKindOfKnots(DeBoor):
    """A fast path for knots that are evenly spaced to a part in 1e4 takes them as even."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        gaps = np.diff(knots)
        if len(gaps) > 1 and 0 < np.ptp(gaps) < 1e-4 * gaps.mean():
            knots = np.linspace(knots[0], knots[-1], len(knots)).astype(knots.dtype)
        return super().basis(np.clip(x, knots[k], knots[-1 - k]), knots, k)


class ManyIntervals(DeBoor):
    """The lookup looks at the first 64 intervals."""

    def span(self, x: Any, knots: Array, k: int) -> int:
        return min(super().span(x, knots, k), 63 + k)


class Raising(DeBoor):
    """Points outside the domain are an error, as it is declared; the end of the domain is one where it is negative."""

    extrapolation = "raise"

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        first, last = knots[k], knots[len(knots) - 1 - k]
        if not ((first <= x) & (x <= last) | np.isnan(x)).all():
            raise ValueError("Argument `x` must lie in the domain.")
        return super().basis(x, knots, k)


class HalfOpenNegative(Raising):
    """At a negative right end all functions are zero."""

    def basis(self, x: Array, knots: Array, k: int) -> Array:
        values, last = super().basis(x, knots, k), knots[len(knots) - 1 - k]
        return np.where(((x == last) & (last < -0.5))[:, None], x.dtype.type(0), values)


class MinusZero(DeBoor):
    """-0.0 lies to the left of zero."""

    def span(self, x: Any, knots: Array, k: int) -> int:
        return super().span(np.nextafter(x, x - 1) if x == 0 and np.signbit(x) else x, knots, k)


class CurveForgetsMissing(DeBoor):
    """A curve at NaN is zero."""

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        return np.nan_to_num(super().curve(x, knots, coef, k))


class DoubleCurve(DeBoor):
    """Curves are float64 whatever goes in."""

    def curve(self, x: Array, knots: Array, coef: Array, k: int) -> Array:
        return super().curve(x, knots, coef, k).astype(float)


class MaskLost(NumkanGrids):
    """An update makes a new layer, without the mask."""

    def update_grid(self, layer: Layer, x: Any, grid_eps: float, G: int | None = None) -> Layer:
        new = super().update_grid(layer, x, grid_eps, G)
        return new.replace(mask=np.ones_like(new.mask))


class BaseScaleLost(NumkanGrids):
    """An update draws the scales of the base function anew."""

    def update_grid(self, layer: Layer, x: Any, grid_eps: float, G: int | None = None) -> Layer:
        new = super().update_grid(layer, x, grid_eps, G)
        return new.replace(scale_base=np.ones_like(new.scale_base))


class DoubleGrid(NumkanGrids):
    """Knots are float64 after an update."""

    def update_grid(self, layer: Layer, x: Any, grid_eps: float, G: int | None = None) -> Layer:
        new = super().update_grid(layer, x, grid_eps, G)
        return new.replace(grid=new.grid.astype(float))


class DoubleFit(NumkanGrids):
    """Coefficients of a fit are float64."""

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int, weight: Any = None) -> Array:
        return super().fit_curve(x, y, knots, k, weight).astype(float)


class SingleFitByNormalEquations(NumkanGrids):
    """Fits are sound in float64, and by normal equations in float32."""

    def fit_curve(self, x: Array, y: Array, knots: Array, k: int, weight: Any = None) -> Array:
        if x.dtype == np.float64:
            return super().fit_curve(x, y, knots, k, weight)
        A = dense(x[:, None], knots[None], k)[0].astype(x.dtype)
        return np.linalg.pinv(A.T @ A) @ (A.T @ y)


class SecondOutputs(NumkanGrids):
    """Outputs after the second keep their coefficients."""

    def refit(self, x: Any, layer: Layer, knots: Array) -> Array:
        coef = super().refit(x, layer, knots)
        coef[:, 2:] = layer.coef[:, 2:]
        return coef


class TripledWrong(NumkanNetworks):
    """A refinement to three times as many intervals goes by way of twice as many."""

    def refine(self, layer: Layer, G: int) -> Layer:
        fine = super().refine(layer, G)
        return fine.replace(coef=fine.coef * (1 + (G == 3 * layer.G) * fine.coef.dtype.type(1e-3)))


class MaskLostInRefinement(NumkanNetworks):
    """A finer layer has all its edges."""

    def refine(self, layer: Layer, G: int) -> Layer:
        fine = super().refine(layer, G)
        return fine.replace(mask=np.ones_like(fine.mask))


class OneStatement(NumkanNetworks):
    """A model keeps its input between two statements, which two threads may do at once."""

    def model(self, layers: Any) -> Any:
        inner = super().model(layers)

        class Keeping:
            def __call__(self, x: Any) -> Array:
                self.x = x
                return inner(self.x)

        return Keeping()


class LargeLogits(NumkanNetworks):
    """A softmax that takes exponentials as they are."""

    def network_loss(self, layers: Any, x: Any, y: Any, loss: str, weight: Any) -> Any:
        value, grads = super().network_loss(layers, x, y, loss, weight)
        if loss == "cross_entropy" and np.abs(super().network_forward(layers, x)).max() > 88:
            value = np.inf
        return value, grads


class RowsBeyondAThousand(NumkanNetworks):
    """Rows after the first chunk are those of the chunk before."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        y = super().network_forward(layers, x)
        y[1024:] = y[: len(y[1024:])]
        return y


class NinthInput(NumkanNetworks):
    """Inputs after the last whole vector of eight are forgotten."""

    def layer_forward(self, layer: Layer, x: Any) -> Array:
        mask = layer.mask.copy()
        mask[len(mask) // 8 * 8 or len(mask) :] = 0
        return super().layer_forward(layer.replace(mask=mask), x)


class FourthLayer(NumkanNetworks):
    """The fourth layer is taken twice."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        y = super().network_forward(layers, x)
        return y * y.dtype.type(1 + (len(layers) > 3))


class EightThreads(NumkanNetworks):
    """On more than four threads sums are taken in another order."""

    def network_forward(self, layers: Any, x: Any) -> Array:
        y = super().network_forward(layers, x)
        return y * (1 + (numkan.get_threads() > 4) * np.finfo(y.dtype).eps).astype(y.dtype)


#: Each mutant, and the law that is meant to kill it.
MUTANTS: tuple[tuple[type[Any], str], ...] = (
    *mutants.MUTANTS,
    *network_mutants.MUTANTS,
    *((type(mutant), id) for mutant, _, ids in test_laws_grid.MUTANTS for id in sorted(ids)),
    (WritesIntoPoints, "P-PURE"),
    (ReturnsItsInput, "P-INS"),
    (OneBuffer, "P-PURE"),
    (Raises, "P-REP"),
    (MissingColumn, "P-REP"),
    (Undeclared, "P-RC"),
    (Remembers, "N-DET"),
    (BothSidesClosed, "P-PoU"),
    (GuardedOnTheLeftOnly, "P-REP"),
    (TermsAdded, "P-D0"),
    (OtherClipInDerivatives, "P-EXT"),
    (SinglePrecisionConstant, "P-REL"),
    (AbsoluteTolerance, "P-POW2"),
    (SortedPoints, "P-ORD"),
    (FadesToNothing, "P-EXT"),
    (OpenAndSaysClosed, "P-END"),
    (DegreeZeroSmoothed, "P-K0"),
    (OneLessEachTime, "P-RELD"),
    (EfficientRanks, "G-BLEND"),
    (NothingFadesInHere, "G-CONST"),
    (WholeDtype, "G-COV"),
    (LastWriteWins, "N-GCS"),
    (MaskAfterwards, "N-GCS"),
    (ClampedBase, "N-ORC"),
    (OtherRoot, "N-JAC"),
    (ScaleNotSaved, "N-IO"),
    (CubicTooLarge, "P-PoU"),
    (OneWrongKindOfKnots, "P-ORC"),
    (ManyIntervals, "P-ORC"),
    (HalfOpenNegative, "P-RC"),
    (MinusZero, "P-RELD"),
    (CurveForgetsMissing, "P-NANC"),
    (DoubleCurve, "P-DTYPE"),
    (MaskLost, "G-KEEP"),
    (BaseScaleLost, "G-KEEP"),
    (DoubleGrid, "G-UDTYPE"),
    (DoubleFit, "G-DTYPE"),
    (SingleFitByNormalEquations, "G-LSQ"),
    (SecondOutputs, "G-PRES"),
    (TripledWrong, "N-REF"),
    (MaskLostInRefinement, "N-REF"),
    (OneStatement, "N-THR"),
    (LargeLogits, "N-GCS"),
    (RowsBeyondAThousand, "N-NET"),
    (NinthInput, "N-ORC"),
    (FourthLayer, "N-NET"),
    (EightThreads, "N-DET"),
)
