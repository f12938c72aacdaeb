"""Weights of penalties by evidence: the formulas beside dense ones, and what becomes of data that are known."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from numkan import KAN
from numkan.model.curved import Entries, Softmax
from numkan.model.least_squares import LeastSquares
from numkan.model.losses import LOSSES
from numkan.spline.knots import greville
from numkan.train.evidence import Evidence, Prior, Smoothness, _half_inverse
from numkan.train.roughness import measures
from numkan.train.splines import Splines

DEGREES = (1, 2, 3, 5)


def splines(width: list[int], *, uneven: bool = False, seed: int = 0, **options: Any) -> Splines:
    """Random curves; with `uneven`, on knots of their own for every input."""
    model = KAN(width, base_fun="zero", seed=seed, **options)
    rng = np.random.default_rng(seed)
    for layer in model.act_fun:
        layer.coef[...] = rng.standard_normal(layer.coef.shape)
        if uneven:
            knots = np.array(layer.grid)
            step = knots[0, 1] - knots[0, 0]
            layer.grid = knots + step * rng.uniform(-0.3, 0.3, knots.shape)
    return Splines.of(model)


def weighted(of: Splines, *, smooth: bool = False, reach: float = 2.0, seed: int = 1) -> Smoothness:
    """Weights within some orders of magnitude of one another's effect."""
    rng = np.random.default_rng(seed)
    shapes = [(measures(layer.k), *layer.live.shape) for layer in of.layers]
    penalty = Smoothness(of.layers, [10 ** rng.uniform(-reach, reach, shape) for shape in shapes], smooth=smooth)
    penalty.weights = [
        w / rough.largest[:, None, None] for w, rough in zip(penalty.weights, penalty._rough, strict=True)
    ]
    return penalty


def dense(penalty: Smoothness, size: int) -> Any:
    """The matrix R."""
    matrix = np.zeros((size, size))
    penalty.add(np.zeros(size), np.zeros(size), matrix)
    return matrix


def places(of: Splines) -> list[tuple[int, int, int, Any]]:
    """Layer, input, output and the places of its coefficients, for every edge."""
    found, at = [], 0
    for depth, coef in enumerate(of.coefs):
        index = at + np.arange(coef.size).reshape(coef.shape)
        found += [(depth, i, o, index[i, :, o]) for i in range(coef.shape[0]) for o in range(coef.shape[2])]
        at += coef.size
    return found


def with_weight(penalty: Smoothness, depth: int, place: tuple[int, int, int], value: float) -> Smoothness:
    weights = [weight.copy() for weight in penalty.weights]
    weights[depth][place] = value
    other = copy.copy(penalty)
    other.weights = weights
    return other


def line_data(n: int, n_in: int, noise: float, function: Any, seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, n_in))
    return x, (function(x) + noise * rng.standard_normal(n))[:, None]


def settled(of: Splines, x: Any, y: Any, updates: int = 60, first: float = 1e-6, **options: Any) -> Any:
    """One layer: a linear problem, solved after every update of the weights."""
    shapes = [(measures(layer.k), *layer.live.shape) for layer in of.layers]
    penalty = Smoothness(of.layers, [np.full(shape, first * len(y)) for shape in shapes], **options)
    problem, c = LeastSquares(of.layers, x, y, None, penalty), of.vector
    found = []
    for _ in range(updates):
        _, gradient, normal = problem.normal_equations(c)
        half = _half_inverse(normal)
        c = c - half.T @ (half @ gradient)
        found.append(penalty.update_weights(problem, c))
    return of.at(c), found, penalty


# --- the penalty --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, *DEGREES])
@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("uneven", [False, True])
def test_value_gradient_and_matrix_are_one_quadratic_form(k, smooth, uneven):
    of = splines([2, 3, 1], grid=6, k=k, uneven=uneven)
    penalty, c = weighted(of, smooth=smooth), of.vector
    assert [len(rough.matrices) for rough in penalty._rough] == [measures(k)] * 2
    R = dense(penalty, c.size)
    gradient, normal = np.full(c.size, 7.0), np.full((c.size, c.size), 3.0)
    penalty.add(c, gradient, normal)
    scale = np.abs(R).max()
    np.testing.assert_allclose(gradient - 7.0, R @ c, atol=1e-10 * scale)
    np.testing.assert_allclose(normal - 3.0, R, atol=1e-12 * scale + 1e-12)
    assert penalty.value(c) == pytest.approx(c @ R @ c, rel=1e-10)
    np.testing.assert_allclose(R, R.T, atol=1e-14 * scale)
    apart = R.copy()
    for *_, index in places(of):
        block = apart[np.ix_(index, index)]
        assert np.linalg.eigvalsh(block).min() > -1e-12 * scale
        apart[np.ix_(index, index)] = 0
    assert not apart.any()  # every edge is on its own


@pytest.mark.parametrize("k", DEGREES)
@pytest.mark.parametrize("smooth", [False, True])
def test_what_is_measured_is_slope_curvature_and_jumps(k, smooth):
    """A constant has none, a straight line a mean slope, other polynomials no jumps."""
    of = splines([1, 1], grid=6, k=k, uneven=True)
    (rough,) = weighted(of, smooth=smooth)._rough
    t = of.layers[0].grid[0]
    place = greville(t[None, :], k)[0]
    low, high = t[k], t[-1 - k]
    constant, line = np.ones(6 + k), 5 * (place - low) / (high - low)
    squares = {name: rough.squares(c[None, :, None])[:, 0, 0] for name, c in {"1": constant, "x": line}.items()}
    np.testing.assert_allclose(squares["1"], 0, atol=1e-15)
    assert squares["x"][0] == pytest.approx(25.0)
    np.testing.assert_allclose(squares["x"][1:], 0, atol=1e-18 * rough.largest.max() + 1e-20)
    if k == 3 and not smooth:
        # by hand: f = u^2 has f'' = 2 everywhere, and no jumps
        square = (t[2:-2] * t[1:-3] + t[2:-2] * t[3:-1] + t[1:-3] * t[3:-1]) / 3
        u = (square - 2 * low * place + low**2) / (high - low) ** 2
        found = rough.squares(u[None, :, None])[:, 0, 0]
        assert found[0] == pytest.approx(1.0)
        assert 4 < found[1] < 4 * 1.4  # over the domain, and part of the padding
        assert found[2] < 1e-12 * rough.largest[2]


@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("k", DEGREES)
def test_slopes_of_the_log_determinant_are_those_of_finite_differences(k, smooth, uneven):
    G = 6
    of = splines([2, 2], grid=G, k=k, uneven=uneven)
    penalty = weighted(of, smooth=smooth, reach=1.0)
    size = of.vector.size
    told = penalty._rough[0].slopes_of_determinant(penalty.weights[0])
    orders = (k + 1, k + 3) if smooth and k >= 2 else (min(2, k + 1), k + 1)
    # what no measure sees: constants, and with the higher orders all other polynomials but for a slope
    rank = G + k - orders[0] + 1

    def log_determinant(of_penalty: Smoothness, index: Any) -> float:
        values = np.linalg.eigvalsh(dense(of_penalty, size)[np.ix_(index, index)])[::-1]
        assert values[rank - 1] > 1e3 * abs(values[rank:]).max(initial=0.0)
        return float(np.log(values[:rank]).sum())

    for _, i, o, index in places(of):
        for m in range(measures(k)):
            value, step = penalty.weights[0][m, i, o], 1e-4
            up, down = (
                log_determinant(with_weight(penalty, 0, (m, i, o), value * np.exp(side * step)), index)
                for side in (1, -1)
            )
            assert told[m, i, o] * value == pytest.approx((up - down) / (2 * step), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("k", DEGREES)
def test_the_log_determinant_is_that_of_the_eigenvalues_that_are_not_0(k, smooth, uneven):
    of = splines([2, 2], grid=6, k=k, uneven=uneven)
    penalty = weighted(of, smooth=smooth, reach=1.0)
    R, rank = dense(penalty, of.vector.size), 6 + k - (k + 1 if smooth and k >= 2 else min(2, k + 1)) + 1
    want = sum(np.log(np.linalg.eigvalsh(R[np.ix_(index, index)])[::-1][:rank]).sum() for *_, index in places(of))
    assert penalty._rough[0].log_determinant(penalty.weights[0]) == pytest.approx(want, rel=1e-4, abs=1e-3)


def test_splines_of_degree_zero_have_one_measure():
    of = splines([1, 2], grid=5, k=0)
    penalty = weighted(of)
    told = penalty._rough[0].slopes_of_determinant(penalty.weights[0])
    np.testing.assert_allclose(told, 4 / penalty.weights[0])  # four jumps


# --- one update ---------------------------------------------------------------------------------------------------


def problem_of(of: Splines, penalty: Smoothness, n: int = 90) -> LeastSquares:
    rng = np.random.default_rng(2)
    n_in, n_out = of.layers[0].shape[0], of.layers[-1].shape[2]
    return LeastSquares(of.layers, rng.uniform(-1, 1, (n, n_in)), rng.standard_normal((n, n_out)), None, penalty)


def pseudo_inverse(H: Any) -> Any:
    """Without the directions that nothing determines: constants that edges of a node exchange."""
    scale = 1 / np.sqrt(np.diag(H))
    values, vectors = np.linalg.eigh(H * scale * scale[:, None])
    kept = values > 1e-11
    return (vectors[:, kept] / values[kept]) @ vectors[:, kept].T * scale * scale[:, None]


CASES = [
    ([1, 1], {"grid": 7, "k": 3}),
    ([2, 2], {"grid": 5, "k": 1}),
    ([2, 2, 1], {"grid": 5, "k": 3, "uneven": True}),
    ([2, 2, 2], {"grid": [5, 4], "k": [2, 3]}),
    ([2, 2, 1], {"grid": 6, "k": 5}),
]


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize(("width", "options"), CASES)
def test_an_update_is_the_formula_with_dense_matrices(width, options, smooth):
    of = splines(width, **options)
    penalty = weighted(of, smooth=smooth, reach=1.0)
    problem, c = problem_of(of, penalty), of.vector
    old = [weight.copy() for weight in penalty.weights]
    slopes = [rough.slopes_of_determinant(w) for rough, w in zip(penalty._rough, old, strict=True)]
    squares, _, A = problem.data_equations(c)
    R = dense(penalty, c.size)
    inverse = pseudo_inverse(A + R)
    n = problem.y.size
    freedom = np.trace(inverse @ A)
    left = n - (1.0 if len(width) == 2 else 1.5) * freedom  # hidden layers are chosen by the data, too
    variance = squares / left
    found = penalty.update_weights(problem, c)
    # rounding: what nothing determines is held by a tiny share of the diagonal
    assert found.freedom == pytest.approx(freedom, rel=2e-3)
    assert found.noise == pytest.approx(np.sqrt(variance), rel=2e-3)
    assert found.score == pytest.approx(np.sqrt(n * squares) / left, rel=2e-3)
    for depth, i, o, index in places(of):
        rough = penalty._rough[depth]
        block, coef = inverse[np.ix_(index, index)], c[index]
        for m, products in enumerate(rough.products):
            Q = products[min(i, len(products) - 1)]
            weight = old[depth][m, i, o]
            gain = slopes[depth][m, i, o] - np.trace(block @ Q)
            unit = variance * weight / (coef @ Q @ coef)
            new = np.clip(unit * gain, weight / 1e3, weight * 1e3)
            assert penalty.weights[depth][m, i, o] == pytest.approx(
                new, rel=1e-2, abs=5e-3 * unit * slopes[depth][m, i, o]
            )
    # and the penalty is at once that of the new weights
    assert penalty.value(c) == pytest.approx(c @ dense(penalty, c.size) @ c)
    assert penalty.value(c) != pytest.approx(c @ R @ c, rel=1e-3)


@pytest.mark.parametrize("width", [[1, 1], [3, 1], [3, 2, 1]])
def test_a_constant_that_is_all_there_is_has_one_degree_of_freedom_for_each_node(width):
    """Strong weights leave constants; those that the edges of a node exchange are no freedom, nor are dead edges."""
    model = KAN(width, base_fun="zero", seed=0)
    if len(width) > 2:
        model.act_fun[0].mask[0, 0] = 0
    of = Splines.of(model)
    penalty = Smoothness(of.layers, [np.full((3, *layer.live.shape), 1e5) for layer in of.layers])
    rng = np.random.default_rng(0)
    problem = LeastSquares(of.layers, rng.uniform(-1, 1, (60, width[0])), rng.standard_normal((60, 1)), None, penalty)
    freedom = penalty.update_weights(problem, of.vector).freedom
    assert freedom == pytest.approx(sum(width[1:]), abs=0.1)


def test_samples_that_are_weighted_count_as_they_weigh():
    of = splines([1, 1], grid=4)
    x, y = line_data(60, 1, 0.1, lambda x: np.sin(3 * x[:, 0]), 0)
    twice = [weighted(of), weighted(of)]
    c = of.vector
    one = twice[0].update_weights(LeastSquares(of.layers, x, y, np.full(60, np.sqrt(2.0))), c)
    other = twice[1].update_weights(LeastSquares(of.layers, np.tile(x, (2, 1)), np.tile(y, (2, 1))), c)
    assert one.freedom == pytest.approx(other.freedom, rel=1e-10)


@pytest.mark.parametrize("condition", [1e2, 1e12])
def test_half_an_inverse_is_one(condition):
    rng = np.random.default_rng(0)
    u, _ = np.linalg.qr(rng.normal(size=(7, 7)))
    matrix = (u * np.geomspace(1, condition, 7)) @ u.T
    unit = 10.0 ** rng.uniform(-8, 8, 7)
    half = _half_inverse((matrix + matrix.T) / 2 * unit * unit[:, None])
    found = half.T @ half * unit * unit[:, None]
    np.testing.assert_allclose(found @ matrix, np.eye(7), atol=2e-14 * condition)
    assert not np.triu(half, 1).any()


def test_a_matrix_that_is_singular_or_not_quite_positive_is_held():
    matrix = np.diag([1.0, 1e-3, 0.0])
    matrix[0, 1] = matrix[1, 0] = np.sqrt(1e-3) * (1 + 1e-12)  # indefinite
    half = _half_inverse(matrix)
    assert np.isfinite(half).all()


def classes_of(of: Splines, penalty: Smoothness | None = None, n: int = 90) -> LeastSquares:
    """A problem of softmax, whose dispersion is 1."""
    rng = np.random.default_rng(2)
    n_in, n_out = of.layers[0].shape[0], of.layers[-1].shape[2]
    y = np.eye(n_out)[rng.integers(0, n_out, n)]
    return LeastSquares(of.layers, rng.uniform(-1, 1, (n, n_in)), y, None, penalty, curved=Softmax(np.zeros(n_out)))


def shared(of: Splines, tie: float = 0.3) -> Prior:
    return Prior(tie, 0.0, 0.0, True, tuple(np.linspace(0.2, 0.4, layer.shape[0]) for layer in of.layers))


@pytest.mark.parametrize("width", [[2, 3], [2, 2, 3]])
def test_the_evidence_rises_with_a_weight_as_finite_differences_say(width):
    """Also where the numbers that hold exchanged constants contain that weight."""
    of = splines(width, grid=5)
    problem, c, step = classes_of(of), of.vector, 1e-4
    old = weighted(of, reach=1.0)
    inverse_of = {}
    for depth, i, o, index in places(of)[::3]:
        for m in range(3):
            value, found = old.weights[depth][m, i, o], []
            for side in (1, 0, -1):
                penalty = with_weight(old, depth, (m, i, o), value * np.exp(side * step))
                penalty._prior = shared(of)
                if not side and not inverse_of:
                    inverse_of[0] = pseudo_inverse(problem.data_equations(c)[2] + dense(penalty, c.size))
                found.append(penalty.update_weights(problem, c).log)
            rough = old._rough[depth]
            Q = rough.products[m][min(i, len(rough.products[m]) - 1)]
            slope = rough.slopes_of_determinant(old.weights[depth])[m, i, o]
            trace = np.trace(inverse_of[0][np.ix_(index, index)] @ Q)
            want = 0.5 * value * (slope - trace - c[index] @ Q @ c[index])
            assert (found[0] - found[2]) / (2 * step) == pytest.approx(want, rel=1e-3, abs=1e-4)


def test_the_evidence_of_a_straight_line_does_not_depend_on_the_grid():
    """Strong weights leave constants and lines, which are the same functions on every grid."""
    x, y = line_data(80, 1, 0.1, lambda x: x[:, 0], 0)
    logs = []
    for G in (4, 9, 20):
        of = splines([1, 1], grid=G)
        of = of.at(np.zeros(of.vector.size))
        penalty = Smoothness(of.layers, [np.array([1e-3, 1e5, 1e-8])[:, None, None] * np.ones((3, 1, 1))])
        problem = LeastSquares(of.layers, x, y, None, penalty, curved=Entries(LOSSES["poisson"], np.zeros(1)))
        logs.append(penalty.update_weights(problem, of.vector).log)
    np.testing.assert_allclose(logs, logs[0], atol=0.05)


def test_classes_share_their_weights_and_their_numbering_does_not_matter():
    of = splines([3, 3], grid=5)
    order = [2, 0, 1]
    turned = Splines(of.layers, (np.ascontiguousarray(of.coefs[0][:, :, order]),))
    found = []
    for each, classes in ((of, [0, 1, 2]), (turned, order)):
        rng = np.random.default_rng(2)
        label = np.eye(3)[rng.integers(0, 3, 90)][:, classes]
        penalty = Smoothness(each.layers, [np.full((3, 3, 3), 0.1)], prior=shared(each))
        problem = LeastSquares(
            each.layers, rng.uniform(-1, 1, (90, 3)), label, None, penalty, curved=Softmax(np.zeros(3))
        )
        found.append((penalty.update_weights(problem, each.vector), penalty.weights[0]))
    (one, weights), (other, weights2) = found
    np.testing.assert_allclose(one, other, rtol=1e-8)
    np.testing.assert_allclose(weights, weights2, rtol=1e-6)
    assert (weights == weights[:, :, :1]).all()
    assert np.ptp(weights[0, :, 0]) > 0


def test_a_constant_that_all_logits_share_is_no_freedom():
    """Strong weights leave a constant for each class, but for one."""
    of = splines([2, 3], grid=5)
    penalty = Smoothness(of.layers, [np.full((3, 2, 3), 1e5)], prior=shared(of))
    assert penalty.update_weights(classes_of(of), of.vector).freedom == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("tie", [1e-6, 0.3, 1e6])
def test_weights_are_tied_to_what_all_inputs_share(tie):
    """By the formula; without a tie each edge has its own, with an infinite one all have the same a deviation."""
    of = splines([3, 1], grid=5)
    rng, c = np.random.default_rng(0), of.vector
    problem = LeastSquares(of.layers, rng.uniform(-1, 1, (90, 3)), rng.standard_normal((90, 1)))
    prior = Prior(tie, 0.0, 0.0, False, (np.array([0.1, 0.3, 0.5]),))
    tied = weighted(of, reach=0.5)
    tied._prior, old, rough = prior, tied.weights[0], tied._rough[0]
    slopes = rough.slopes_of_determinant(old)
    inverse = pseudo_inverse(problem.data_equations(c)[2] + dense(tied, c.size))
    known = np.empty(old.shape)
    for _, i, o, index in places(of):
        for m in range(3):
            trace = np.trace(inverse[np.ix_(index, index)] @ rough.products[m][0])
            known[m, i, o] = old[m, i, o] * (slopes[m, i, o] - trace)
    evidence = tied.update_weights(problem, c)
    unit = np.ones((3, 3, 1))
    unit[0, :, 0] = prior.spread[0] ** 2
    squares = rough.squares(of.coefs[0]) / evidence.noise**2
    common = known.sum(axis=1, keepdims=True) / (unit * squares).sum(axis=1, keepdims=True)
    want = (known + tie) / (squares + tie / (common * unit))
    kept = (want > old / 999) & (want < old * 999)
    assert kept.sum() >= 6
    if tie == 0.3:  # where there is less noise than the tie is for, each edge has its own weight
        alone, own = weighted(of, reach=0.5), weighted(of, reach=0.5)
        alone._prior = prior._replace(least_noise=1.01 * evidence.noise)
        alone.update_weights(problem, c)
        own.update_weights(problem, c)
        assert alone.weights[0].tobytes() == own.weights[0].tobytes() != tied.weights[0].tobytes()
    np.testing.assert_allclose(tied.weights[0][kept], want[kept], rtol=1e-2)
    alike = known / squares if tie == 1e-6 else common / unit * unit**2 if tie == 1e6 else want
    np.testing.assert_allclose(want, alike, rtol=1e-3)


# --- what becomes of known data -----------------------------------------------------------------------------------


@pytest.mark.jit
@pytest.mark.parametrize("noise", [0.01, 0.3])
def test_a_noise_level_that_is_known_is_found_within_its_standard_error(noise):
    """Twelve data sets: each within four standard errors, their mean within three of its own."""
    scores = []
    for seed in range(12):
        x, y = line_data(400, 1, noise, lambda x: np.sin(3 * x[:, 0]), seed)
        _, found, _ = settled(splines([1, 1], grid=20), x, y)
        end = found[-1]
        scores.append((end.noise / noise - 1) * np.sqrt(2 * (400 - end.freedom)))
        assert 2.5 < end.freedom < 15
        assert end.noise < end.score < 1.1 * end.noise
    assert np.abs(scores).max() < 4
    assert abs(np.mean(scores)) < 3 / np.sqrt(12)


@pytest.mark.jit
@pytest.mark.parametrize("k", DEGREES)
def test_a_straight_line_stays_straight_and_a_constant_constant(k):
    grid = np.linspace(-1, 1, 50)[:, None]
    for seed in range(3):
        x, y = line_data(300, 1, 0.2, lambda x: 2 * x[:, 0] + 1, seed)
        fitted, found, _ = settled(splines([1, 1], grid=15, k=k), x, y)
        error = fitted.activations(grid)[-1] - 2 * grid - 1
        assert found[-1].freedom < 3.5
        assert np.abs(error).max() < 0.13  # five standard errors of a line's end
        flat, found, _ = settled(splines([1, 1], grid=15, k=k), x, y - 2 * x)
        assert found[-1].freedom < 3.5
        assert np.ptp(flat.activations(grid)[-1]) < 0.15


def test_an_edge_that_has_only_noise_to_follow_vanishes():
    x, y = line_data(300, 2, 0.2, lambda x: np.sin(3 * x[:, 0]), 3)
    fitted, found, penalty = settled(splines([2, 1], grid=12), x, y)
    grid = np.linspace(-0.95, 0.95, 50)
    straight = np.stack([np.zeros(50), grid], axis=1)
    assert np.ptp(fitted.activations(straight)[-1]) < 0.06
    assert np.ptp(fitted.activations(straight[:, ::-1])[-1]) > 1.8
    assert found[-1].freedom < 12
    slope = penalty.weights[0][0, :, 0]
    assert slope[1] > 100 * slope[0]


@pytest.mark.parametrize("smooth", [False, True])
def test_empty_cells_go_on_with_their_neighbours_polynomial(smooth):
    x = np.concatenate([np.linspace(-1, -0.3, 80), np.linspace(0.4, 1, 80)])[:, None]

    def cubic(x):
        return 1 - 2 * x + x**2 - 3 * x**3

    fitted, found, _ = settled(splines([1, 1], grid=20), x, cubic(x), smooth=smooth)
    gap = np.linspace(-0.3, 0.4, 50)[:, None]
    np.testing.assert_allclose(fitted.activations(gap)[-1], cubic(gap), atol=1e-4)
    assert found[-1].noise < 1e-5


@pytest.mark.parametrize("y", ["free of noise", "noise", "zero", "constant"])
def test_weights_stay_bounded_whatever_comes(y):
    x = np.linspace(-1, 1, 100)[:, None]
    targets = {
        "free of noise": np.exp(x),
        "noise": np.random.default_rng(0).standard_normal((100, 1)),
        "zero": 0 * x,
        "constant": 0 * x + 5,
    }[y]
    of = splines([1, 1], grid=10)
    fitted, found, penalty = settled(of, x, targets, updates=120)
    _, _, data = LeastSquares(of.layers, x, targets).data_equations(of.vector)
    most = 1e9 * np.trace(data) / len(data) / penalty._rough[0].largest
    (weights,) = penalty.weights
    assert (weights[:, 0, 0] <= most * (1 + 1e-12)).all()
    assert (weights >= 1e-60 * 100 * (1 - 1e-12)).all()
    assert np.isfinite(found).all()
    assert np.isfinite(fitted.vector).all()
    assert all(0 <= each.freedom <= 13 + 1e-6 for each in found)


def test_no_update_moves_a_weight_by_more_than_a_thousand():
    x, y = line_data(100, 1, 0.0, lambda x: np.exp(x[:, 0]), 0)
    of = splines([1, 1], grid=6)
    penalty = Smoothness(of.layers, [np.full((3, 1, 1), 1e5)])
    problem = LeastSquares(of.layers, x, y, None, penalty)
    for _ in range(6):
        before = penalty.weights[0]
        penalty.update_weights(problem, of.vector)
        factor = penalty.weights[0] / before
        assert (factor <= 1e3 * (1 + 1e-12)).all()
        assert (factor >= 1e-3 * (1 - 1e-12)).all()


def test_more_coefficients_than_targets_leave_a_noise_level():
    x, y = line_data(20, 1, 0.5, lambda x: x[:, 0], 1)
    _, found, _ = settled(splines([1, 1], grid=60), x, y, first=1e-9)
    assert all(isinstance(each, Evidence) and 0 < each.noise < np.inf for each in found)
    assert 0.25 < found[-1].noise < 0.8


def test_some_of_the_targets_are_always_left_to_tell_the_noise():
    x, y = line_data(20, 1, 0.5, lambda x: x[:, 0], 1)
    of = splines([1, 1], grid=60)
    penalty = weighted(of, reach=0.0)
    penalty.weights = [1e-9 * weight for weight in penalty.weights]
    problem = LeastSquares(of.layers, x, y, None, penalty)
    found, squares = penalty.update_weights(problem, of.vector), problem.data_equations(of.vector)[0]
    assert found.freedom == pytest.approx(20, abs=0.1)
    assert found.noise == pytest.approx(np.sqrt(squares / (0.02 * 20)), rel=1e-6)


def test_an_edge_without_coefficients_is_no_trouble():
    """Its penalty is 0 whatever its weight."""
    of = splines([2, 1], grid=5)
    of.coefs[0][1] = 0.0
    x, y = line_data(50, 2, 1e3, lambda x: 1e6 * x[:, 0], 0)
    penalty = weighted(of)
    penalty.update_weights(LeastSquares(of.layers, x, y), of.vector)
    assert np.isfinite(penalty.weights[0]).all()
