"""Interactions of two inputs: beside sums by hand, and beside functions whose interactions are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan import KAN, interactions

X = np.random.default_rng(0).uniform(-1, 1, (200, 3))


def product() -> KAN:
    """A network that computes sin(3 x0) + x1 * x2 nearly."""
    model = KAN([3, 3, 1], grid=4, seed=0)
    y = np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2]
    model.fit(X, y, method="lm", grids=[4], validation=None, restarts=1, steps=60)
    assert model.score(X, y) > 0.999
    return model


@pytest.mark.jit
def test_the_strongest_pair_is_that_of_the_product_with_its_share_of_the_variance_and_its_map():
    first, second, third = interactions(product(), X, ["angle", "mass", "speed"])
    assert first.names, first.inputs == (("mass", "speed"), (1, 2))
    (a, b), means = first.x, X[:, 1:].mean(axis=0)
    expected = (a - means[0])[:, None] * (b - means[1]) + np.cov(X[:, 1], X[:, 2], bias=True)[0, 1]
    np.testing.assert_allclose(first.values[..., 0], expected, atol=0.02)
    whole = 0.5 * (1 - np.sin(6) / 6) + 1 / 9
    assert float(first.share[0]) == pytest.approx(1 / 9 / whole, rel=0.25)
    assert float(max(second.share[0], third.share[0])) < 0.01


def test_a_map_and_a_share_are_those_of_sums_by_hand():
    model, x = KAN([3, 2, 2], seed=3), X[:20]
    (found,) = interactions(model, x, pairs=1)
    i, j = found.inputs
    mean = {(a, b): at(model, x, {i: found.x[0][a], j: found.x[1][b]}) for a in (0, 7) for b in (0, 20)}
    rows = {a: at(model, x, {i: found.x[0][a]}) for a in (0, 7)}
    columns = {b: at(model, x, {j: found.x[1][b]}) for b in (0, 20)}
    for (a, b), value in mean.items():
        expected = value - rows[a] - columns[b] + model(x).mean(axis=0)
        np.testing.assert_allclose(found.values[a, b], expected, rtol=1e-12, atol=1e-13)
    order = np.random.default_rng(0).permutation(20)
    squares = np.zeros(2)
    for s, t in zip(order, np.roll(order, 1), strict=True):
        mixed = [np.where(np.isin(np.arange(3), own), x[t], x[s]) for own in ((), (i,), (j,), (i, j))]
        said = model(np.array(mixed))
        squares += (said[0] - said[1] - said[2] + said[3]) ** 2
    np.testing.assert_allclose(found.share, squares / 20 / 4 / model(x).var(axis=0), rtol=1e-10)


def at(model: KAN, x: Any, values: dict[int, float]) -> Any:
    """Return the mean output over samples whose inputs have these values."""
    moved = x.copy()
    for place, value in values.items():
        moved[:, place] = value
    return model(moved).mean(axis=0)


def test_a_network_of_one_layer_has_none():
    found = interactions(KAN([4, 2], seed=0), np.random.default_rng(1).normal(size=(50, 4)), pairs=9)
    assert [each.inputs for each in found] == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert not any(each.values.any() or each.share.any() for each in found)


def test_inputs_that_meet_at_no_node_have_none():
    model = KAN([2, 2, 1], seed=0)
    model.act_fun[0].mask[0, 1] = model.act_fun[0].mask[1, 0] = 0
    (found,) = interactions(model, X[:20, :2])
    assert found.share.tolist() == [0.0]
    np.testing.assert_allclose(found.values, 0.0, atol=1e-14)


@pytest.mark.jit
def test_of_many_inputs_those_are_tried_that_matter():
    model = KAN([60, 2, 1], seed=0)
    model.act_fun[0].mask[:, :] = 0
    model.act_fun[0].mask[[17, 41], :] = 1
    x = np.random.default_rng(0).uniform(-1, 1, (40, 60))
    assert interactions(model, x, pairs=1)[0].inputs == (17, 41)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((X[:1],), r"Argument `x` must have at least two rows, not shape \(1, 3\)"),
        ((np.full((5, 3), np.nan),), "Argument `x` must"),
        ((X, ["a"]), "Argument `names` must have 3 entries"),
    ],
)
def test_what_has_no_interactions_is_refused(arguments, error):
    with pytest.raises(ValueError, match=f"^{error}"):
        interactions(KAN([3, 2, 1]), *arguments)


def test_numbers_near_the_largest_ones_give_no_warning():
    assert len(interactions(KAN([2, 2, 1], seed=0), np.array([[1e308, -1e308], [-1e308, 1e308], [0.0, 1.0]]))) == 1
