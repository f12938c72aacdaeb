"""Laws of grid updates and of least-squares fits.

An implementation has ``update_grid(x, grid, coef, k, G, grid_eps) -> (grid, coef)``,
``fit_curve(x, y, grid, k, sample_weight) -> (coef, rank)`` and ``evaluate(x, grid, coef, k) -> curves``; the shapes are
x (n, n_in), grid (n_in, G + 2k + 1), coef (n_in, n_out, G + k), curves (n, n_in, n_out).

Two corrections to the statements these laws come from: the least gap between knots is 4 spacings of the dtype at the
largest knot (``4 eps M`` is up to twice that); and scaling by a power of two is exact for inputs with some variance
only, since the width that a constant is given is an absolute number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from tests import naive
from tests.laws import Array, Law, assert_identical, assert_within, law

LAWS: list[Law] = []


class Grids(Protocol):
    """What the laws of grids ask of an implementation."""

    def update_grid(self, x: Array, grid: Array, coef: Array, k: int, G: int, grid_eps: float) -> tuple[Array, Array]:
        """Knots laid over the samples, and coefficients that keep the curves on them."""

    def fit_curve(
        self, x: Array, y: Array, grid: Array, k: int, sample_weight: Array | None = None
    ) -> tuple[Array, Array]:
        """Least-squares coefficients, of least norm where the rank is short, and the rank of each input."""

    def evaluate(self, x: Array, grid: Array, coef: Array, k: int) -> Array:
        """The curves, under the implementation's policy outside the grid."""


@dataclass(frozen=True)
class GridCase:
    """Samples, and the layer of one dtype that they come to."""

    x: Array  # (n, n_in)
    grid: Array  # (n_in, G_old + 2k + 1)
    coef: Array  # (n_in, n_out, G_old + k)
    k: int
    G: int
    grid_eps: float

    @property
    def eps(self) -> float:
        return float(np.finfo(self.x.dtype).eps)

    @property
    def ordered(self) -> Array:
        return np.sort(self.x, axis=0).T

    def update(self, impl: Grids) -> tuple[Array, Array]:
        return impl.update_grid(self.x, self.grid, self.coef, self.k, self.G, self.grid_eps)

    def interior(self, impl: Grids) -> Array:
        return self.update(impl)[0][:, self.k : self.k + self.G + 1].astype(float)


def _spacing(magnitude: Array, dtype: Any) -> Array:
    """The dtype's spacing; at least its smallest normal number, below which steps have no finite reciprocal."""
    return np.maximum(np.spacing(magnitude.astype(dtype)), np.finfo(dtype).tiny).astype(float)


def _gap(interior: Array, dtype: Any) -> Array:
    """The least gap that a grid must keep, for each input."""
    first, last = interior[:, 0], interior[:, -1]
    spacing = _spacing(np.maximum(abs(first), abs(last)), dtype)
    return np.maximum(1e-6 * (last - first) / (interior.shape[1] - 1), 4 * spacing)


def _blend(case: GridCase) -> tuple[Array, Array]:
    """The knots before any is moved, and which inputs need none moved (with room for rounding)."""
    x, n = case.ordered.astype(float), len(case.x)
    uniform = np.linspace(x[:, 0], x[:, -1], case.G + 1, axis=1)
    quantile = np.concatenate([x[:, [int(n / case.G * i) for i in range(case.G)]], x[:, -1:]], axis=1)
    knots = case.grid_eps * uniform + (1 - case.grid_eps) * quantile
    return knots, (np.diff(knots, axis=1) > 3 * _gap(knots, case.x.dtype)[:, None]).all(axis=1)


def _loose(impl: Grids, case: GridCase) -> Array:
    """Inputs whose knots are where the blend puts them."""
    return _blend(case)[1]


def dense(x: Array, grid: Array, k: int) -> Array:
    """Design matrices (n_in, n, G + k) of points inside the domain."""
    with np.errstate(all="ignore"):
        return naive.B_batch(x.astype(float), grid.astype(float), k).transpose(1, 0, 2)


@law("G-MONO", "max(1e-6 (last - first) / G, 4 spacings at the largest knot)", "numkan, grid update", LAWS)
def monotone(impl: Grids, case: GridCase) -> None:
    """Interior knots strictly increase, with the least gap between neighbours."""
    interior = case.interior(impl)
    assert (np.diff(interior, axis=1) >= _gap(interior, case.x.dtype)[:, None]).all(), f"{interior}"


@law("G-COV", "exact", "pykan, KANLayer.update_grid_from_samples", LAWS)
def cover(impl: Grids, case: GridCase) -> None:
    """The domain holds every sample, and ends at the least and the largest where G steps fit between them."""
    interior = case.interior(impl)
    first, last = case.ordered[:, 0].astype(float), case.ordered[:, -1].astype(float)
    assert (interior[:, 0] <= first).all()
    assert (interior[:, -1] >= last).all()
    spacing = _spacing(np.maximum(abs(first), abs(last)), case.x.dtype)
    fits = last - first >= 4 * case.G * spacing
    assert_identical(interior[fits][:, [0, -1]], np.stack([first, last], axis=1)[fits], "ends")


@law("G-BLEND", "4 eps M", "pykan, KANLayer.update_grid_from_samples", LAWS)
def blend(impl: Grids, case: GridCase) -> None:
    """Knots are grid_eps * uniform + (1 - grid_eps) * order statistics; grid_eps = 1 is uniform."""
    knots, loose = _blend(case)
    largest = abs(case.ordered.astype(float)).max(axis=1)
    assert_within(case.interior(impl)[loose], knots[loose], 4 * case.eps * largest[loose, None])


@law("G-QNT", "integer", "pykan's tutorial on grids", LAWS)
def equal_counts(impl: Grids, case: GridCase) -> None:
    """With grid_eps = 0, distinct samples and n >= G, each span holds n / G samples, give or take one."""
    case = replace(case, grid_eps=0.0)
    if len(case.x) < case.G:
        return
    interior = case.interior(impl)
    for i in np.flatnonzero(_loose(impl, case)):
        if len(np.unique(case.x[:, i])) == len(case.x):
            held = np.searchsorted(interior[i, 1:-1], case.x[:, i].astype(float), side="right")
            counts = np.bincount(held, minlength=case.G)
            assert (abs(counts - len(case.x) / case.G) <= 1).all(), f"{counts}"


@law("G-PERM", "exact", "sort first", LAWS)
def any_order(impl: Grids, case: GridCase) -> None:
    """The order of the samples changes no bit of knots and coefficients."""
    other = replace(case, x=case.x[np.random.default_rng(0).permutation(len(case.x))])
    for got, expected in zip(other.update(impl), case.update(impl), strict=True):
        assert_identical(got, expected)


@law("G-IDEM", "knots exact, coefficients 64 kappa eps C_max", "update twice", LAWS)
def idempotent(impl: Grids, case: GridCase) -> None:
    """A second update with the same samples changes nothing."""
    grid, coef = case.update(impl)
    again = replace(case, grid=grid, coef=coef)
    assert_identical(again.update(impl)[0], grid, "knots")
    assert_within(again.update(impl)[1], coef, 64 * case.eps * abs(coef).max(initial=0))


@law("G-AFF", "a = 2^p, b = 0: exact; else 16 eps (M' + |b|)", "equivariance", LAWS)
def equivariant(impl: Grids, case: GridCase) -> None:
    """Samples a x + b on a grid a t + b give the knots a t' + b, where no knot had to be moved."""
    loose = _loose(impl, case)
    grid, coef = case.update(impl)
    dtype = case.x.dtype.type
    scaled = replace(case, x=case.x * dtype(8), grid=case.grid * dtype(8)).update(impl)
    assert_identical(scaled[0][loose], grid[loose] * dtype(8), "knots of 8 x")
    assert_identical(scaled[1][loose], coef[loose], "coefficients of 8 x")
    a, b = dtype(0.7), dtype(0.3)
    moved = replace(case, x=a * case.x + b, grid=a * case.grid + b)
    largest = abs(case.ordered.astype(float)).max(axis=1)
    both = loose & _loose(impl, moved) & (np.ptp(case.ordered.astype(float), axis=1) > 1e-3 * largest)
    tolerance = 16 * case.eps * (largest[both, None] + abs(float(b))) * (1 + 2 * case.k / case.G)
    assert_within(moved.update(impl)[0][both], float(a) * grid[both] + float(b), tolerance, "knots of a x + b")


@law("G-TIES", "boolean", "numkan, grid update", LAWS)
def ties(impl: Grids, case: GridCase) -> None:
    """Samples of a few values give distinct knots, and everything is finite."""
    few = np.floor(2 * (case.x - case.x.min(axis=0)) / np.maximum(np.ptp(case.x, axis=0), 1e-30)).astype(case.x.dtype)
    tied = replace(case, x=few)
    for array in tied.update(impl):
        assert np.isfinite(array).all()
    monotone.check(impl, tied)
    cover.check(impl, tied)


@law("G-CONST", "16 eps (C_max + |y|)", "the tutorial's promise", LAWS)
def constant(impl: Grids, case: GridCase) -> None:
    """An input of zero variance gets 0.01 or more on both sides, and keeps its value where it is."""
    still = replace(case, x=np.repeat(case.x[:1], 3, axis=0))
    grid, coef = still.update(impl)
    interior = grid[:, case.k : case.k + case.G + 1].astype(float)
    at = still.x[0].astype(float)
    slack = case.eps * (abs(at) + 0.01)
    assert (interior[:, 0] <= at - 0.01 + slack).all()
    assert (interior[:, -1] >= at + 0.01 - slack).all()
    before = impl.evaluate(still.x[:1], case.grid, case.coef, case.k).astype(float)
    size = np.maximum(abs(case.coef).max(), abs(coef).max()) + abs(before)
    # the knots are so near each other that x itself, rounded to the dtype, is a good part of a span
    span = np.diff(interior, axis=1).min(axis=1)[None, :, None]
    near = 1 + case.eps * abs(at)[None, :, None] / span
    assert_within(impl.evaluate(still.x[:1], grid, coef, case.k), before, 16 * (case.k + 1) * case.eps * size * near)


@law("G-SAME", "exact", "numkan, refit, smallest change", LAWS)
def same_grid(impl: Grids, case: GridCase) -> None:
    """Where the new knots are the old ones, coefficients stay, however few the samples."""
    grid = replace(case, x=case.x[[0, -1]], grid_eps=1.0).update(impl)[0]
    ends = grid[:, [case.k, case.k + case.G]].T.copy()
    coef = np.resize(case.coef, (*case.coef.shape[:2], case.G + case.k))
    if (np.diff(ends, axis=0) < 1e-3 * abs(ends).max(axis=0)).any():
        return  # ends that had to be widened would be widened again
    again, kept = impl.update_grid(ends, grid, coef, case.k, case.G, 1.0)
    unchanged = (again == grid).all(axis=1)
    assert unchanged.all()
    assert_within(kept, coef, 64 * case.eps * abs(coef).max())


@law("G-PRES", "|A^T r| <= 64 eps ||A|| ||y||; ||r|| <= (1 + 1e-10) ||A c_w - y||", "least squares", LAWS)
def preserved(impl: Grids, case: GridCase) -> None:
    """The residual on the samples is optimal: orthogonal to the columns, and no larger than that of a witness."""
    grid, coef = case.update(impl)
    A = dense(case.x, grid, case.k)
    y = impl.evaluate(case.x, case.grid, case.coef, case.k).astype(float)
    knots = grid.astype(float)
    at = (
        np.stack([knots[:, p + 1 : p + case.k + 1].mean(axis=1) for p in range(case.G + case.k)])
        if case.k
        else ((knots[:, :-1] + knots[:, 1:]).T / 2)
    )
    at = np.clip(at, knots[:, case.k], knots[:, case.k + case.G]).astype(grid.dtype)
    witness = impl.evaluate(at, case.grid, case.coef, case.k).astype(float)
    for i in range(len(A)):
        left = A[i] @ coef[i].T.astype(float) - y[:, i]
        size = np.linalg.norm(A[i], 2)
        # rounding the coefficients to the dtype is an error of its own, as large as eps C
        rounding = size * np.sqrt(A[i].shape[1]) * abs(coef[i]).max()
        bound = 64 * case.eps * size * (np.linalg.norm(y[:, i]) + rounding)
        assert_within(A[i].T @ left, 0.0, bound, f"A^T r of input {i}")
        other = np.linalg.norm(A[i] @ witness[:, i] - y[:, i])
        assert np.linalg.norm(left) <= (1 + 1e-10) * other + 64 * case.eps * (np.linalg.norm(y[:, i]) + rounding)


@law("G-DUP", "1e-12 of the largest value", "scipy, TestLSQ", LAWS)
def duplicates(impl: Grids, case: GridCase) -> None:
    """Each sample given three times gives the same fit."""
    grid = case.update(impl)[0].astype(float)
    x, y = case.x.astype(float), np.sin(case.x.astype(float))[:, :, None]
    once = impl.fit_curve(x, y, grid, case.k, None)
    thrice = impl.fit_curve(np.repeat(x, 3, axis=0), np.repeat(y, 3, axis=0), grid, case.k, None)
    _same_fit(impl, case, grid, once, thrice)


@law("G-WT", "1e-12 of the largest value", "weights", LAWS)
def weights(impl: Grids, case: GridCase) -> None:
    """Integer weights are repeated samples, and weight zero is a row removed."""
    grid = case.update(impl)[0].astype(float)
    x, y = case.x.astype(float), np.sin(case.x.astype(float))[:, :, None]
    weight = np.arange(len(x)) % 3
    weight[-1] = 1
    weighted = impl.fit_curve(x, y, grid, case.k, weight.astype(float))
    repeated = impl.fit_curve(np.repeat(x, weight, axis=0), np.repeat(y, weight, axis=0), grid, case.k, None)
    _same_fit(impl, case, grid, weighted, repeated, np.repeat(x, weight, axis=0))


def _same_fit(impl: Grids, case: GridCase, grid: Array, one: Any, other: Any, x: Array | None = None) -> None:
    x = case.x.astype(float) if x is None else x
    for i, A in enumerate(dense(x, grid, case.k)):
        singular = np.linalg.svd(A, compute_uv=False)
        used = singular[singular > 1e-13 * singular[0]]
        if used[-1] < 1e-8 * singular[0]:
            continue  # nearly short rank: the solutions may differ by any rounding error
        assert one[1][i] == other[1][i], "rank"
        tolerance = 1e-12 * (1 + singular[0] / used[-1] * 1e-2)
        assert_within(one[0][i], other[0][i], tolerance * max(1.0, abs(one[0][i]).max()), "coefficients")


@law("G-RANK", "1e-10 relative", "numpy.linalg.pinv", LAWS)
def least_norm(impl: Grids, case: GridCase) -> None:
    """Where samples do not determine a fit, its rank is reported and its solution is that of least norm."""
    grid = case.update(impl)[0].astype(float)
    x, y = case.x.astype(float), np.cos(case.x.astype(float))[:, :, None]
    coef, rank = impl.fit_curve(x, y, grid, case.k, None)
    for i, A in enumerate(dense(x, grid, case.k)):
        singular = np.linalg.svd(A, compute_uv=False)
        used = singular > 1e-13 * singular[0]
        if singular[used][-1] < 1e-6 * singular[0]:
            continue
        assert rank[i] == used.sum()
        assert_within(coef[i, 0], np.linalg.pinv(A, rcond=1e-13) @ y[:, i, 0], 1e-10 * max(1, abs(coef[i]).max()))


@law("G-LSQ", "1e-4 relative at kappa = 1e8", "Golub and Van Loan, 5.3.8", LAWS)
def condition(impl: Grids, case: GridCase) -> None:
    """The error of a consistent system grows like kappa, not like its square (normal equations lose every digit)."""
    k, G = max(1, case.k), 4
    grid = np.arange(-k, G + k + 1.0)[None]
    inside = np.concatenate([np.linspace(0, G - 1, 40 * k), np.zeros(1)])
    truth = np.cos(1.0 + np.arange(G + k))[None, None]
    for delta in 2.0 ** -np.arange(1.0, 40.0):  # the last function is seen by one sample only, ever less
        x = np.sort(np.append(inside, G - 1 + delta))[:, None]
        A = dense(x, grid, k)[0]
        if np.linalg.cond(A) > 1e8:
            break
    got, rank = impl.fit_curve(x, (A @ truth[0, 0])[:, None, None], grid, k, None)
    assert rank[0] == G + k
    assert_within(got, truth, 1e-4 * abs(truth).max())


@law("G-ERR", "an error; arguments unchanged", "pykan issues 346, 520, 522", LAWS)
def bad_input(impl: Grids, case: GridCase) -> None:
    """NaN, infinity, a wrong width, one dimension and an empty batch are errors that name the argument."""
    hole, infinite = case.x.copy(), case.x.copy()
    hole[-1, 0], infinite[0, -1] = np.nan, -np.inf
    before = case.grid.tobytes() + case.coef.tobytes() + case.x.tobytes()
    for bad in (hole, infinite, np.repeat(case.x, 2, axis=1), case.x[:, 0], case.x[:0]):
        assert "`x`" in _complaint(impl, replace(case, x=bad)), f"shape {bad.shape}"
    assert case.grid.tobytes() + case.coef.tobytes() + case.x.tobytes() == before


@law("G-MONOX", "text", "one error grammar", LAWS)
def bad_options(impl: Grids, case: GridCase) -> None:
    """grid_eps outside [0, 1] and G below 1 are errors that name argument and value."""
    for name, value in (("grid_eps", 1.5), ("grid_eps", -0.25), ("G", 0)):
        said = _complaint(impl, replace(case, **{name: value}))
        assert f"`{name}`" in said, f"{name} = {value}: {said!r}"
        assert str(value) in said, said


def _complaint(impl: Grids, case: GridCase) -> str:
    """The message of the ValueError that an update raises, empty where it raises none."""
    try:
        case.update(impl)
    except ValueError as error:
        return str(error)
    return ""


@law("G-DRV", "exact", "scipy.linalg.lstsq", LAWS)
def driver(impl: Grids, case: GridCase) -> None:
    """A fit is the same bits each time, and of two equal columns of targets both get the same coefficients."""
    grid = case.update(impl)[0].astype(float)
    x = case.x.astype(float)
    y = np.repeat(np.sin(x)[:, :, None], 2, axis=2)
    one, other = (impl.fit_curve(x, y, grid, case.k, None) for _ in range(2))
    assert_identical(one[0], other[0])
    assert_within(one[0][:, 0], one[0][:, 1], 1e-9 * max(1.0, abs(one[0]).max()))
