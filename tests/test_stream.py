"""What is kept of earlier batches: sums that say of the coefficients what the rows would say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from numkan import KAN
from numkan.model.least_squares import LeastSquares
from numkan.train.data import Data, Units
from numkan.train.samples import check_samples
from numkan.train.splines import Splines
from numkan.train.stream import Memory, Remembered, Stream


def data_of(model, x, y, loss="mse"):
    samples = check_samples(model, x, y, loss, None)
    return replace(Data.of(samples, Units(np.zeros(model.n_out), 1.0)), root_weight=np.ones(len(x)))


def samples(n=40):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (n, 2))
    return x, np.sin(3 * x[:, :1]) + x[:, 1:] ** 2 + 0.1 * rng.standard_normal((n, 1))


def test_sums_of_earlier_rows_stand_for_them_where_squares_are_of_one_layer():
    x, y = samples()
    model = KAN([2, 1], grid=3, seed=0)
    splines = Splines.of(model)
    memory, rng = Memory.empty(splines.vector.size), np.random.default_rng(1)
    for rows in (slice(0, 15), slice(15, 30), slice(30, 40)):
        problem = Remembered(splines.layers, data_of(model, x[rows], y[rows]), memory)
        memory = problem.remember(rng.standard_normal(splines.vector.size))  # wherever it is taken
    c = rng.standard_normal(splines.vector.size)
    whole = LeastSquares(splines.layers, x, y)
    assert problem.n_targets == whole.n_targets
    assert problem.loss(c) == pytest.approx(whole.loss(c), rel=1e-10)
    for found, expected in zip(problem.normal_equations(c), whole.normal_equations(c), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("loss", ["logistic", "mse"])
def test_sums_of_earlier_rows_have_their_loss_slope_and_curvature_at_the_point_where_they_were_taken(loss):
    x, y = samples(20)
    y = (y > 0.3).astype(float)
    model = KAN([2, 2, 1], grid=3, seed=0)
    splines = Splines.of(model)
    c = splines.vector
    rows = data_of(model, x, y, loss)
    memory = Remembered(splines.layers, rows, Memory.empty(c.size)).remember(c)
    for found, expected in zip(
        (memory.at(c).value, memory.at(c).gradient, memory.normal),
        LeastSquares(splines.layers, rows.x, rows.y, curved=rows.curved).normal_equations(c),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected)


@pytest.mark.jit
def test_a_batch_that_is_not_finite_changes_nothing():
    x, y = samples()
    stream = Stream(KAN([2, 1], grid=3, seed=0), "mse")
    stream.learn(x, y, np.ones(len(x)))
    before, bits = stream.model, stream.model.params.tobytes()
    with pytest.raises(ValueError, match="finite"):
        stream.learn(x, np.where(y == y[3], np.nan, y), np.ones(len(x)))
    assert stream.model is before
    assert stream.model.params.tobytes() == bits
