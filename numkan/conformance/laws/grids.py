"""Laws of grid updates: where the knots go, and that the curves stay on the samples.

The least gap that numkan keeps between knots is 4 spacings of the dtype at the largest knot (``4 eps M`` is up to twice
that); and scaling by a power of two is exact for inputs with some variance only, since the width that a constant is
given is an absolute number.
"""

# ruff: noqa: D401 - the docstring of a law is its statement

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from numkan.conformance import twin
from numkan.conformance.adapter import Array
from numkan.conformance.cases import GridCase
from numkan.conformance.grids import interior_knots, padding_steps
from numkan.conformance.law import assert_identical, assert_within, complaint, law, require

UPDATES: dict[str, Any] = {"about": "grids", "needs": ("update_grid",)}
PLACED: dict[str, Any] = {**UPDATES, "policies": ("grid_update",)}


def _spacing(magnitude: Array, dtype: Any) -> Array:
    """The dtype's spacing; at least its smallest normal number, below which steps have no finite reciprocal."""
    return np.asarray(np.maximum(np.spacing(magnitude.astype(dtype)), np.finfo(dtype).tiny), float)


def _gap(interior: Array, dtype: Any) -> Array:
    """The least gap that numkan's grids keep, for each input."""
    first, last = interior[:, 0], interior[:, -1]
    spacing = _spacing(np.maximum(abs(first), abs(last)), dtype)
    return np.asarray(np.maximum(1e-6 * (last - first) / (interior.shape[1] - 1), 4 * spacing))


def _blend(case: GridCase) -> tuple[Array, Array]:
    """The knots before any is moved, and which inputs need none moved (with room for rounding)."""
    knots = interior_knots(case.x, case.G, case.grid_eps, case.flavour)
    return knots, np.all(np.diff(knots, axis=1) > 3 * _gap(knots, case.dtype)[:, None], axis=1)


def _loose(case: GridCase) -> Array:
    """Inputs whose knots are where the blend puts them."""
    return _blend(case)[1]


def dense(x: Array, grid: Array, k: int) -> Array:
    """Return design matrices (n_in, n, G + k) of points inside the domain."""
    with np.errstate(all="ignore"):
        return twin.B_batch(x.astype(float), grid.astype(float), k).transpose(1, 0, 2)


def curves(case: GridCase, x: Array, grid: Array, coef: Array) -> tuple[Array, Array]:
    """Return the curves (n, n_in, n_out) under the case's policy, and the sums of their terms' magnitudes."""
    policy = "continue" if case.extrapolate in ("nan", "raise") else case.extrapolate
    x, grid, coef = (np.asarray(array, float) for array in (x, grid, coef))
    with np.errstate(all="ignore"):
        rows, sizes = (twin.basis(x, grid, case.k, policy, sizes=size) for size in (False, True))
    return np.einsum("nip,iop->nio", rows, coef), np.einsum("nip,iop->nio", sizes, abs(coef))


#: Singular values count if they are larger than this many eps of the largest.
CUTOFF = 500


def counted(A: Array, eps: float) -> tuple[Array, bool]:
    """Return the singular values that count, and whether it is plain how many they are.

    It is not, where one lies below eps^0.5 and is more than the rounding of float64, in which those of float32 may be
    fitted too: there each implementation has a cutoff of its own. Nor where one is zero and there are more than 500
    rows: a factorisation of n rows may be off by n eps, which is more than the cutoff of 500 eps.
    """
    singular = np.linalg.svd(A, compute_uv=False)
    used = singular[singular > CUTOFF * eps * singular[0]]
    zero = max(A.shape) * np.finfo(float).eps * singular[0]
    unsure = (singular > (zero if len(A) <= CUTOFF else -1)) & (singular <= eps**0.5 * singular[0])
    return used, bool(used.size and not unsure.any())


def slack(A: Array, y: Array, used: Array, eps: float) -> float:
    """Return a bound on the rounding errors of a fit's coefficients: like kappa, and its square times the residual."""
    truth = np.linalg.lstsq(A, y, rcond=500 * eps)[0]
    left = np.linalg.norm(A @ truth - y, axis=0).max()
    return float(64 * eps * used[0] / used[-1] * (abs(truth).max() + left / used[-1]))


def _has_width(case: GridCase, grid: Array) -> Array:
    """Return which inputs have finite knots, and a domain of positive length."""
    return np.asarray(np.isfinite(grid).all(axis=1) & (grid[:, case.k] < grid[:, case.k + case.G]))


def _laid(case: GridCase, impl: Any) -> tuple[Array, Array]:
    """Return new knots and coefficients; without a domain of some width no law of curves can be looked at."""
    grid, coef = case.update(impl)
    require(_has_width(case, grid).all(), f"a domain of no width, or knots that are not finite: {grid}")
    return grid, coef


@law("G-MONO", "numkan: max(1e-6 (last - first) / G, 4 spacings at the largest knot); else > 0", "numkan", **PLACED)
def monotone(impl: Any, case: GridCase) -> None:
    """Interior knots strictly increase; numkan's with the least gap between neighbours."""
    interior = case.interior(impl)
    least = _gap(interior, case.dtype) if case.flavour == "numkan" else np.full(len(interior), 5e-324)
    require((np.diff(interior, axis=1) >= least[:, None]).all(), f"knots of the domain: {interior}")


@law("G-COV", "numkan: exact; else 4 eps M", "pykan, KANLayer.update_grid_from_samples", **PLACED)
def cover(impl: Any, case: GridCase) -> None:
    """The domain holds every sample; with numkan it ends at the least and the largest where G steps fit between."""
    interior = case.interior(impl)
    first, last = case.ordered[:, 0].astype(float), case.ordered[:, -1].astype(float)
    slack = 0.0 if case.flavour == "numkan" else 4 * case.eps * np.maximum(abs(first), abs(last))
    assert_within(interior[:, 0], np.minimum(interior[:, 0], first), slack, "first knot")
    assert_within(interior[:, -1], np.maximum(interior[:, -1], last), slack, "last knot")
    if case.flavour == "numkan":
        spacing = _spacing(np.maximum(abs(first), abs(last)), case.dtype)
        fits = last - first >= 4 * case.G * spacing
        assert_identical(interior[fits][:, [0, -1]], np.stack([first, last], axis=1)[fits], "ends")


@law("G-BLEND", "8 eps (M + margin)", "numkan.conformance.grids.interior_knots", **PLACED)
def blend(impl: Any, case: GridCase) -> None:
    """Knots are grid_eps * even + (1 - grid_eps) * order statistics, in the declared flavour, where none is moved."""
    knots, loose = _blend(case)
    largest = abs(case.ordered.astype(float)).max(axis=1) + (0.01 if case.flavour not in ("numkan", "pykan") else 0)
    tolerance = (4 if case.flavour == "numkan" else 8) * case.eps * largest[loose, None]
    assert_within(case.interior(impl)[loose], knots[loose], tolerance, "knots")


@law("G-PAD", "8(k+1) eps M", "numkan.conformance.grids.padding_steps", **PLACED)
def padding(impl: Any, case: GridCase) -> None:
    """K knots stand on each side of the domain, evenly, with the step of the declared flavour."""
    grid = case.update(impl)[0].astype(float)
    require(grid.shape[1] == case.G + 2 * case.k + 1, f"{grid.shape[1]} knots, where G + 2k + 1 are due")
    interior = grid[:, case.k : case.k + case.G + 1]
    steps = padding_steps(case.x, interior, case.flavour)[:, None]
    places = np.arange(1, case.k + 1)
    tolerance = 8 * (case.k + 1) * case.eps * abs(grid).max(axis=1, keepdims=True)
    assert_within(grid[:, : case.k], interior[:, :1] - steps * places[::-1], tolerance, "knots on the left")
    assert_within(grid[:, case.k + case.G + 1 :], interior[:, -1:] + steps * places, tolerance, "knots on the right")


@law("G-QNT", "integer", "pykan's tutorial on grids", **PLACED)
def equal_counts(impl: Any, case: GridCase) -> None:
    """With grid_eps = 0, distinct samples and n >= G, each span holds n / G samples, give or take one."""
    case = replace(case, grid_eps=0.0)
    if len(case.x) < case.G:
        return
    interior = case.interior(impl)
    for i in np.flatnonzero(_loose(case)):
        if len(np.unique(case.x[:, i])) == len(case.x):
            held = np.searchsorted(interior[i, 1:-1], case.x[:, i].astype(float), side="right")
            counts = np.bincount(held, minlength=case.G)
            even = (abs(counts - len(case.x) / case.G) <= 1).all()
            require(even, f"spans of input {i} hold {counts} of {len(case.x)} samples")


@law(
    "G-PERM",
    "8 eps M, and 64 eps kappa (C_max + ||r|| / sigma_min) where samples determine them; with `exact_refits` exact",
    "sort first",
    **UPDATES,
)
def any_order(impl: Any, case: GridCase) -> None:
    """The order of the samples changes nothing but rounding in knots and coefficients; no bit, if that is declared."""
    other = replace(case, x=case.x[np.random.default_rng(0).permutation(len(case.x))])
    (got, moved), (grid, coef) = other.update(impl), case.update(impl)
    if getattr(impl, "exact_refits", False):
        assert_identical(got, grid, "knots")
        assert_identical(moved, coef, "coefficients")
        return
    assert_within(got, grid, 8 * case.eps * abs(grid).max(axis=1, keepdims=True), "knots")
    y, _ = curves(case, case.x, case.grid, case.coef)
    for i in np.flatnonzero((got == grid).all(axis=1) & _has_width(case, grid)):
        (A,) = dense(case.x[:, [i]], grid[[i]], case.k)
        used, plain = counted(A, case.eps)
        if plain and len(used) == A.shape[1]:
            assert_within(moved[i], coef[i], slack(A, y[:, i], used, case.eps), f"coefficients of input {i}")


@law("G-IDEM", "knots exact; coefficients 64 eps C_max, times kappa without least change", "update twice", **UPDATES)
def idempotent(impl: Any, case: GridCase) -> None:
    """A second update with the same samples changes nothing."""
    grid, coef = _laid(case, impl)
    again = replace(case, grid=grid, coef=coef).update(impl)
    assert_identical(again[0], grid, "knots")
    for i, A in enumerate(dense(case.x, grid, case.k)):
        used, plain = counted(A, case.eps)
        if getattr(impl, "least_change", False):
            used, plain = used[:1], True
        if plain:  # where it is not, a fit of least norm may count a singular value that another does not
            bound = 64 * case.eps * used[0] / used[-1] * abs(coef[i]).max(initial=0)
            assert_within(again[1][i], coef[i], bound, f"coefficients of input {i}")


@law("G-AFF", "a = 2^p, b = 0: exact; else 16 eps (M' + |b|)", "equivariance", **UPDATES)
def equivariant(impl: Any, case: GridCase) -> None:
    """Samples a x + b on a grid a t + b give the knots a t' + b, where no knot had to be moved."""
    loose = _loose(case)
    grid, coef = case.update(impl)
    dtype = case.dtype.type
    scaled = replace(case, x=case.x * dtype(8), grid=case.grid * dtype(8)).update(impl)
    assert_identical(scaled[0][loose], grid[loose] * dtype(8), "knots of 8 x")
    assert_identical(scaled[1][loose], coef[loose], "coefficients of 8 x")
    a, b = dtype(0.7), dtype(0.3)
    moved = replace(case, x=a * case.x + b, grid=a * case.grid + b)
    largest = abs(case.ordered.astype(float)).max(axis=1)
    both = loose & _loose(moved) & (np.ptp(case.ordered.astype(float), axis=1) > 1e-3 * largest)
    tolerance = 16 * case.eps * (largest[both, None] + abs(float(b))) * (1 + 2 * case.k / case.G)
    assert_within(moved.update(impl)[0][both], float(a) * grid[both] + float(b), tolerance, "knots of a x + b")


@law("G-TIES", "boolean", "pykan's order statistics", **PLACED)
def ties(impl: Any, case: GridCase) -> None:
    """Samples of a few values give distinct knots, and everything is finite."""
    few = np.floor(2 * (case.x - case.x.min(axis=0)) / np.maximum(np.ptp(case.x, axis=0), 1e-30)).astype(case.dtype)
    tied = replace(case, x=few)
    for what, array in zip(("knots", "coefficients"), tied.update(impl), strict=True):
        require(np.isfinite(array).all(), f"{what} that are not finite")
    monotone.check(impl, tied)
    cover.check(impl, tied)


@law("G-CONST", "16(k+1) eps (C_max + |y|) (1 + eps |x| / span)", "pykan's tutorial on grids", **PLACED)
def constant(impl: Any, case: GridCase) -> None:
    """An input of zero variance gets a domain of some width (numkan: 0.01 on both sides), and keeps its value."""
    still = replace(case, x=np.repeat(case.x[:1], 3, axis=0))
    grid, coef = still.update(impl)
    interior = grid[:, case.k : case.k + case.G + 1].astype(float)
    at = still.x[0].astype(float)
    require((interior[:, 0] < interior[:, -1]).all(), f"a domain of no width: {interior}")
    if case.flavour == "numkan":
        slack = case.eps * (abs(at) + 0.01)
        require((interior[:, 0] <= at - 0.01 + slack).all(), f"the domain begins at {interior[:, 0]}")
        require((interior[:, -1] >= at + 0.01 - slack).all(), f"the domain ends at {interior[:, -1]}")
    before, terms = curves(case, still.x[:1], case.grid, case.coef)
    after, _ = curves(case, still.x[:1], grid, coef)
    size = np.maximum(abs(case.coef).max(), abs(coef).max()) + terms
    # the knots are so near each other that x itself, rounded to the dtype, is a good part of a span
    span = np.maximum(np.diff(interior, axis=1).min(axis=1), 5e-324)[None, :, None]
    near = 1 + case.eps * abs(at)[None, :, None] / span
    assert_within(after, before, 16 * (case.k + 1) * case.eps * size * near, "value")


@law("G-SAME", "64 eps C_max", "the smallest change", about="grids", needs=("update_grid", "least_change"))
def same_grid(impl: Any, case: GridCase) -> None:
    """Where the new knots are the old ones, coefficients stay, however few the samples."""
    grid = replace(case, x=case.x[[0, -1]], grid_eps=1.0).update(impl)[0]
    ends = grid[:, [case.k, case.k + case.G]].T.copy()
    coef = np.resize(case.coef, (*case.coef.shape[:2], case.G + case.k))
    if (np.diff(ends, axis=0) < 1e-3 * abs(ends).max(axis=0)).any():
        return  # ends that had to be widened would be widened again
    again, kept = replace(case, x=ends, grid=grid, coef=coef, grid_eps=1.0).update(impl)
    assert_identical(again, grid, "knots")
    assert_within(kept, coef, 64 * case.eps * abs(coef).max(), "coefficients")


@law("G-PRES", "|A^T r| <= 32(k+1) eps ||A|| ||y||; ||r|| <= (1 + 1e-10) ||A c_w - y||", "least squares", **UPDATES)
def preserved(impl: Any, case: GridCase) -> None:
    """The residual on the samples is optimal: orthogonal to the columns, and no larger than that of a witness."""
    grid, coef = _laid(case, impl)
    A = dense(case.x, grid, case.k)
    y, terms = curves(case, case.x, case.grid, case.coef)
    witness, _ = curves(case, _greville(case, grid), case.grid, case.coef)
    for i in range(len(A)):
        left = A[i] @ coef[i].T.astype(float) - y[:, i]
        size = np.linalg.norm(A[i], 2)
        # rounding the coefficients to the dtype is an error of its own, as large as eps C
        rounding = size * np.sqrt(A[i].shape[1]) * abs(coef[i]).max() + np.linalg.norm(terms[:, i])
        rounding += case.eps * abs(case.coef[i]).max()  # an old curve that is no larger is rounding itself
        bound = 32 * (case.k + 1) * case.eps * size * (np.linalg.norm(y[:, i]) + rounding)
        assert_within(A[i].T @ left, 0.0, bound, f"A^T r of input {i}")
        other = np.linalg.norm(A[i] @ witness[:, i] - y[:, i])
        largest = (1 + 1e-10) * other + 64 * case.eps * (np.linalg.norm(y[:, i]) + rounding)
        assert_within(max(np.linalg.norm(left), largest), largest, 0.0, f"||r|| of input {i}, beyond the witness")


def _greville(case: GridCase, grid: Array) -> Array:
    """The Greville points (G + k, n_in) of new knots, in the domain and in the dtype."""
    knots, k = grid.astype(float), case.k
    places = [knots[:, p + 1 : p + k + 1].mean(axis=1) for p in range(case.G + k)] if k else []
    at = np.stack(places) if k else (knots[:, :-1] + knots[:, 1:]).T / 2
    return np.asarray(np.clip(at, knots[:, k], knots[:, k + case.G]), grid.dtype)


@law("G-ERR", "a ValueError or TypeError; arguments unchanged", "pykan issues 346, 520, 522", **UPDATES)
def bad_samples(impl: Any, case: GridCase) -> None:
    """NaN, infinity, a wrong width, one dimension and an empty batch are errors, not crashes and not results."""
    hole, infinite = case.x.copy(), case.x.copy()
    hole[-1, 0], infinite[0, -1] = np.nan, -np.inf
    before = case.grid.tobytes() + case.coef.tobytes() + case.x.tobytes()
    bad = {
        "NaN": hole,
        "infinity": infinite,
        "twice as many columns": np.repeat(case.x, 2, axis=1),
        "one dimension": case.x[:, 0],
        "no sample": case.x[:0],
    }
    for what, x in bad.items():
        error = complaint(partial(replace(case, x=x).update, impl))
        require(isinstance(error, ValueError | TypeError), f"{what} in x: {error!r} where a ValueError is due")
    require(case.grid.tobytes() + case.coef.tobytes() + case.x.tobytes() == before, "an argument was written to")


@law("G-MONOX", "a ValueError or TypeError", "a blend is no blend outside [0, 1]", **UPDATES)
def bad_options(impl: Any, case: GridCase) -> None:
    """A grid_eps outside [0, 1] is an error."""
    for value in (1.5, -0.25):
        error = complaint(partial(replace(case, grid_eps=value).update, impl))
        require(isinstance(error, ValueError | TypeError), f"grid_eps = {value}: {error!r} where a ValueError is due")


@law("G-KEEP", "exact", "what the update is not about", **UPDATES)
def carried_over(impl: Any, case: GridCase) -> None:
    """Masks, scales of the base, base function, degree and policy are what they were; masked edges stay masked."""
    layer = case.layer
    mask = (np.indices(layer.mask.shape).sum(axis=0) % 3 != 1).astype(case.dtype)
    scale_base = (0.25 + np.arange(mask.size).reshape(mask.shape)).astype(case.dtype)
    bases = getattr(impl, "base_fun", None) or ("silu",)
    base_fun = bases if isinstance(bases, str) else tuple(bases)[case.G % len(tuple(bases))]
    layer = layer.replace(mask=mask, scale_base=scale_base, base_fun=base_fun)
    new = impl.update_grid(layer, case.x, case.grid_eps, **({} if layer.G == case.G else {"G": case.G}))
    for name in ("mask", "scale_base"):
        assert_identical(getattr(new, name), getattr(layer, name), name)
    for name in ("base_fun", "k", "extrapolate"):
        found, due = getattr(new, name), getattr(layer, name)
        require(found == due, f"{name}: {found!r} where {due!r} was")
    held = new.grid.shape == (layer.n_in, case.G + 2 * case.k + 1)
    require(held, f"knots of shape {new.grid.shape}, for {layer.n_in} inputs and G = {case.G}")
