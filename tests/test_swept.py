"""Normal equations of residuals that hold derivatives, beside differences of the residuals themselves."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from numkan import KAN
from numkan.conformance.adapter import Array
from numkan.layer.jets import Jets, Pairs
from numkan.model.least_squares import spline_layer
from numkan.model.swept import Linearized, ResidualSquares, jets_at


class Waves:
    """A residual of all jets, not linear in them: sin(w . jets) + p u^2, and p p - u, with an unknown p."""

    def __init__(self, x: Array, order: int, n_out: int, *, mixed: bool = False) -> None:
        self.x, self.order, self.pairs = x, order, Pairs.of(x.shape[1], mixed=mixed)
        rng = np.random.default_rng(5)
        shapes = [(n_out,), *((n_out, n) for n in (x.shape[1], len(self.pairs.left), x.shape[1]))]
        self.weights = [rng.normal(size=shape) for shape in shapes]

    def _sum(self, jets: Jets) -> Array:
        used = zip(self.weights[: self.order + 1], jets, strict=False)
        return sum((weight * jet).reshape(len(self.x), -1).sum(axis=1) for weight, jet in used)

    def residuals(self, jets: Jets, unknowns: Array) -> Array:
        u, p = jets.value[:, 0], unknowns[0]
        return np.stack([np.sin(self._sum(jets)) + p * u**2, p * p - u], axis=1)

    def linearized(self, jets: Jets, unknowns: Array) -> Linearized:
        u, p, slope = jets.value[:, 0], unknowns[0], np.cos(self._sum(jets))
        one, other = (Jets(*(np.zeros_like(jet) for jet in jets)) for _ in range(2))
        for nu in range(self.order + 1):
            one[nu][...] = slope.reshape(-1, *[1] * (jets[nu].ndim - 1)) * self.weights[nu]
        one.value[:, 0] += 2 * p * u
        other.value[:, 0] = -1
        by_unknowns = np.stack([u**2, 2 * p + 0 * u], axis=1)[:, :, None]
        return Linearized(self.residuals(jets, unknowns), [one, other], by_unknowns)


def problem_of(width: list[int], order: int, *, mixed: bool = False, base: str = "zero", n: int = 9, G: int = 3):
    model = KAN(width, grid=G, k=5, seed=1, base_fun=base, sb_trainable=False)
    layers, coefs = zip(*(spline_layer(layer) for layer in model.act_fun), strict=True)
    rng = np.random.default_rng(0)
    terms = [Waves(rng.uniform(-1, 1, (n, width[0])), order, width[-1], mixed=mixed),
             Waves(rng.uniform(-1, 1, (n, width[0])), 0, width[-1])]  # fmt: skip
    problem = ResidualSquares(layers, terms, 1)
    z = problem.vector(coefs, np.array([0.7]))
    return problem, z + 0.1 * rng.normal(size=z.shape)


def residuals(problem: ResidualSquares, z: Array) -> Array:
    coefs, unknowns = problem.split(z)
    jets = [jets_at(problem.layers, coefs, term.x, term.order, term.pairs) for term in problem.terms]
    return np.concatenate([t.residuals(j, unknowns).ravel() for t, j in zip(problem.terms, jets, strict=True)])


def differences(problem: ResidualSquares, z: Array) -> Array:
    """The Jacobian by central differences of fourth order."""
    h = 1e-3 * np.eye(z.size)
    pairs = [(residuals(problem, z + row) - residuals(problem, z - row), residuals(problem, z + 2 * row)
              - residuals(problem, z - 2 * row)) for row in h]  # fmt: skip
    return np.stack([(8 * near - far) / 12e-3 for near, far in pairs], axis=1)


@pytest.mark.parametrize(
    ("width", "order", "mixed", "base"),
    [
        ([2, 2, 2, 1], 3, True, "silu"),
        ([2, 2, 2], 2, True, "zero"),
        ([2, 2, 1], 2, False, "silu"),
        ([2, 2, 2], 1, False, "zero"),
        ([2, 2, 1], 0, False, "silu"),
        ([1, 1], 3, False, "zero"),
    ],
)
def test_normal_equations_are_those_of_the_jacobian_by_differences(
    width: list[int], order: int, mixed: bool, base: str
) -> None:
    problem, z = problem_of(width, order, mixed=mixed, base=base)
    f, gradient, normal = problem.normal_equations(z)
    r, jac = residuals(problem, z), differences(problem, z)
    assert f == pytest.approx(r @ r, rel=1e-13)
    assert problem.loss(z) == f
    np.testing.assert_allclose(gradient, jac.T @ r, rtol=0, atol=1e-6 * np.abs(gradient).max())
    np.testing.assert_allclose(normal, jac.T @ jac, rtol=0, atol=1e-6 * np.abs(normal).max())


@pytest.mark.jit
def test_segments_and_dense_products_agree() -> None:
    problem, z = problem_of([2, 4, 1], 2, n=700, G=40)
    assert not problem._dense
    sparse = problem.normal_equations(z)
    problem._dense = True
    for one, other in zip(sparse, problem.normal_equations(z), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12 * np.abs(other).max())


def test_equal_coefficients_are_one_variable() -> None:
    """Their columns are added up: the chain rule of c[same]."""
    problem, _ = problem_of([2, 2, 1], 2)
    n_basis = problem.layers[0].shape[1]
    same = np.arange(problem.n_coefs)
    doubles = np.arange(3 * 2, n_basis * 2)  # of the first input, periodic with 3 intervals
    same[doubles] = doubles % (3 * 2)
    folded = ResidualSquares(problem.layers, problem.terms, 1, same)
    z = np.random.default_rng(3).normal(
        size=len(folded.vector([np.zeros(s.shape) for s in folded.layers], np.zeros(1)))
    )
    coefs, unknowns = folded.split(z)
    np.testing.assert_array_equal(coefs[0][0, 3:], coefs[0][0, :-3])
    np.testing.assert_array_equal(folded.vector(coefs, unknowns), z)
    _, gradient, normal = folded.normal_equations(z)
    r, jac = residuals(folded, z), differences(folded, z)
    np.testing.assert_allclose(gradient, jac.T @ r, rtol=0, atol=1e-6 * np.abs(gradient).max())
    np.testing.assert_allclose(normal, jac.T @ jac, rtol=0, atol=1e-6 * np.abs(normal).max())
    last = z.size - 1 - 2 * problem.layers[1].shape[1]
    assert folded.last_layer == slice(last, z.size - 1)


def test_coefficients_that_no_point_depends_on_are_no_variables() -> None:
    problem, z = problem_of([2, 2, 1], 2, n=2, G=12)
    diagonal = np.diagonal(problem.normal_equations(z)[2])
    assert (diagonal[: problem.last_layer.start] > 0).all()
    coefs, _ = problem.split(z)
    untouched = (coefs[0] == 0).all(axis=2)
    assert 0 < untouched.sum() < untouched.size


def test_matrices_are_as_large_as_what_points_depend_on() -> None:
    problem, z = problem_of([8, 2, 1], 1, n=2, G=200)
    assert 4 * z.size < problem.n_coefs
    tracemalloc.start()
    try:
        problem.normal_equations(z)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * problem.n_coefs**2 / 3


def test_equal_coefficients_are_added_up_where_no_point_depends_on_some() -> None:
    whole, _ = problem_of([2, 2, 1], 2, n=2, G=12)
    same = np.arange(whole.n_coefs)
    doubles = np.arange(12 * 2, 17 * 2)  # of the first input, periodic with 12 intervals
    same[doubles] -= 12 * 2
    folded = ResidualSquares(whole.layers, whole.terms, 1, same)
    shape = folded.vector([np.zeros(s.shape) for s in folded.layers], np.zeros(1)).shape
    z = 0.03 * np.random.default_rng(3).normal(size=shape)
    _, gradient, normal = folded.normal_equations(z)
    r, jac = residuals(folded, z), differences(folded, z)
    assert z.size < whole.n_coefs + 1 - doubles.size
    np.testing.assert_allclose(gradient, jac.T @ r, rtol=0, atol=1e-6 * np.abs(gradient).max())
    np.testing.assert_allclose(normal, jac.T @ jac, rtol=0, atol=1e-6 * np.abs(normal).max())


def test_some_terms_alone_add_up_to_all() -> None:
    problem, z = problem_of([2, 2, 1], 2)
    parts = [problem.normal_equations(z, [number]) for number in (0, 1)]
    for whole, one, other in zip(problem.normal_equations(z), *parts, strict=True):
        np.testing.assert_allclose(one + other, whole, rtol=0, atol=1e-12 * np.abs(whole).max())
    np.testing.assert_allclose(problem.squares(z), [part[0] for part in parts], rtol=1e-13)
