"""How sure a fitted network is: beside closed forms and naive twins, and what becomes of it when the model changes."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from scipy.interpolate import BSpline

import numkan
from numkan import KAN
from numkan.conformance.law import assert_identical
from numkan.model.output_jacobian import mean_jacobian, output_jacobian
from numkan.model.posterior import group_contrast_std
from numkan.train import posterior
from numkan.train.splines import Splines
from tests.small_networks import patchy

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (60, 2))
Y = np.sin(3 * X[:, 0]) + X[:, 1] ** 2 + 0.1 * RNG.standard_normal(60)
INSIDE = np.random.default_rng(1).uniform(-1, 1, (20, 2))


def fitted(width: Any = (2, 1), x: Any = X, y: Any = Y, dtype: type = np.float64, **options: Any) -> KAN:
    model = KAN(list(width), grid=3, seed=0, dtype=dtype, extrapolate=options.pop("extrapolate", "continue"))
    model.fit(x, y, **{"method": "lm", "grids": [3], "validation": None, "restarts": 1} | options)
    return model


def seeing(*ends: float, n: int = 150, noise: float = 0.1) -> tuple[Any, Any]:
    """Samples of a sine of one variable, from one interval or two."""
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.uniform(*pair, n) for pair in zip(ends[::2], ends[1::2], strict=True)])
    return x[:, None], np.sin(4 * x) + noise * rng.standard_normal(x.size)


# --- laws ---------------------------------------------------------------------------------------------------------


def difference_penalty(knots: Any, k: int) -> Any:
    """The square of the jumps of the k-th derivative on equally spaced knots, in the units of the domain."""
    n = len(knots) - k - 1
    h = 1.0 / (n - k)
    jumps = np.diff(np.eye(n), k + 1, axis=0) / h ** (k + 1) * np.sqrt(h)
    return jumps.T @ jumps


def test_one_layer_has_the_posterior_of_bayesian_linear_regression_in_closed_form():
    """Bishop, "Pattern Recognition and Machine Learning", equations 3.53 to 3.59, by NumPy and SciPy alone."""
    weight = np.random.default_rng(2).uniform(0.5, 2.0, len(X))
    penalty, k, n = 1e-5, 3, len(X)
    model = fitted(x=X, y=Y, penalty=penalty, sample_weight=weight)
    knots = model.act_fun[0].grid

    def design(x: Any) -> Any:
        return np.hstack([BSpline.design_matrix(x[:, i], knots[i], k, extrapolate=True).toarray() for i in range(2)])

    J, W = design(X), weight / weight.mean()
    R = np.kron(np.eye(2), difference_penalty(knots[0], k)) * penalty * n
    H = J.T @ (W[:, None] * J) + R
    inverse = np.linalg.pinv(H, rcond=1e-13, hermitian=True)
    c = inverse @ (J.T @ (W * Y))
    scatter = W @ (Y - J @ c) ** 2
    noise = np.sqrt(scatter / (n - np.trace(inverse @ (H - R))))
    at = design(INSIDE)
    np.testing.assert_allclose(model(INSIDE)[:, 0], at @ c, rtol=1e-9)
    std = np.sqrt(np.einsum("np,pq,nq->n", at, inverse, at)) * noise
    np.testing.assert_allclose(model.predict_std(INSIDE)[:, 0], std, rtol=1e-9)
    total = np.hypot(std, noise)
    np.testing.assert_allclose(model.predict_std(INSIDE, kind="observation")[:, 0], total, rtol=1e-9)


@pytest.mark.parametrize("width", [[2, 1], [2, 3, 2], [1, 2, 2, 1]], ids=str)
def test_the_jacobian_is_that_of_the_model_by_coefficients_times_scales(width):
    model = patchy(width, grid=4, k=2)
    x = np.random.default_rng(1).uniform(-1.3, 1.3, (7, width[0]))
    splines = Splines.of(model)
    jac, at = output_jacobian(splines.layers, splines.coefs, x), 0
    for layer, own in zip(model.act_fun, _by_layer(model, model.jacobian(x)), strict=True):
        scale = (layer.mask * layer.scale_sp)[:, None, :]
        size = own[0, 0].size
        mine = jac[:, :, at : at + size].reshape(own.shape)
        np.testing.assert_allclose(mine * scale, own, rtol=1e-10, atol=1e-12)
        at += size
    assert at == jac.shape[2]


@pytest.mark.parametrize("width", [[2, 1], [2, 3, 2], [1, 2, 2, 1]], ids=str)
def test_the_mean_jacobian_is_the_mean_of_the_jacobians(width):
    splines = Splines.of(patchy(width, grid=4, k=2))
    x = np.random.default_rng(1).uniform(-1.3, 1.3, (7, width[0]))
    want = output_jacobian(splines.layers, splines.coefs, x).mean(axis=0)
    np.testing.assert_allclose(mean_jacobian(splines.layers, splines.coefs, x), want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("most", [10_000, 60], ids=["all", "last"])
def test_the_deviation_of_a_mean_is_that_of_the_means_of_drawn_functions(most, monkeypatch):
    monkeypatch.setattr(posterior, "MOST", most)
    model = fitted((2, 3, 2), y=np.column_stack([Y, X[:, 0]]), extrapolate="clamp")
    groups = np.random.default_rng(4).uniform(-1.5, 1.5, (3, 8, 2))  # inside and outside
    weight = np.array([0.2, 0.5, 0.3])
    draws = model.sample(groups.reshape(-1, 2), 20_000, seed=1).reshape(20_000, 3, 8, 2).mean(axis=2)
    want = (draws - np.tensordot(draws, weight, axes=(1, 0))[:, None]).std(axis=0)
    np.testing.assert_allclose(group_contrast_std(model, groups, weight), want, rtol=0.04)


def _by_layer(model: KAN, jac: Any) -> list[Any]:
    """Derivatives by the coefficients of every layer, (n, n_out, n_in, G + k, n_out of the layer)."""
    rows = [[model.unravel(row) for row in sample] for sample in jac]
    return [
        np.array([[row[depth]["coef"].transpose(0, 2, 1) for row in sample] for sample in rows])
        for depth in range(model.depth)
    ]


@pytest.mark.parametrize("width", [(2, 1), (2, 2, 2)])
def test_draws_scatter_as_predict_std_says_and_about_the_prediction(width):
    model = fitted(width, y=np.column_stack([Y, X[:, 0]])[:, : width[-1]])
    draws, std = model.sample(INSIDE, 20_000, seed=1), model.predict_std(INSIDE)
    np.testing.assert_allclose(draws.std(axis=0), std, rtol=0.04)
    assert (np.abs(draws.mean(axis=0) - model(INSIDE)) < 0.05 * std).all()


def test_a_seed_draws_the_same_functions_at_any_points():
    model = fitted()
    whole = model.sample(INSIDE, 5, seed=3)
    np.testing.assert_allclose(model.sample(INSIDE[4:6], 5, seed=3), whole[:, 4:6], rtol=1e-12)
    assert (model.sample(INSIDE, 5, seed=4) != whole).all()


@pytest.mark.parametrize(("width", "shift"), [((2, 1), 1000.0), ((2, 2, 1), 0.0)])
def test_deviations_follow_the_units_of_the_targets(width, shift):
    unit = 2.0**12
    own, other = fitted(width), fitted(width, y=unit * (Y + shift))
    for kind in ("mean", "observation"):
        np.testing.assert_allclose(other.predict_std(INSIDE, kind), unit * own.predict_std(INSIDE, kind), rtol=1e-5)


@pytest.mark.jit
def test_deviations_and_draws_have_the_same_bits_for_any_number_of_threads():
    model, before, found = fitted((2, 2, 1)), numkan.get_threads(), []
    try:
        for threads in (1, 3):
            numkan.set_threads(threads)
            again = fitted((2, 2, 1))
            found.append((again.predict_std(INSIDE), again.sample(INSIDE, 3), model.predict_std(INSIDE)))
    finally:
        numkan.set_threads(before)
    for one, other in zip(*found, strict=True):
        assert_identical(one, other)


def test_the_band_of_a_class_is_that_of_its_logit():
    """A logit of one input, beside the inverse of the Fisher information and the penalty."""
    x = X[:, :1]
    label = (x[:, 0] + 0.5 * np.random.default_rng(4).standard_normal(60) > 0).astype(float)
    model = fitted((1, 1), x, label, loss="logistic", penalty=1e-3)
    knots, k, n = model.act_fun[0].grid[0], 3, len(x)
    J = BSpline.design_matrix(x[:, 0], knots, k, extrapolate=True).toarray()
    p = 1.0 / (1.0 + np.exp(-model(x)[:, 0]))
    H = J.T @ ((p * (1 - p))[:, None] * J) + difference_penalty(knots, k) * 1e-3 * n
    std = np.sqrt(np.einsum("np,pq,nq->n", J, np.linalg.inv(H), J))
    np.testing.assert_allclose(model.predict_std(x)[:, 0], std, rtol=1e-6)
    with pytest.raises(ValueError, match=r"^Argument `kind` must be 'mean' for a model fitted with loss 'logistic'"):
        model.predict_std(x, kind="observation")


@pytest.mark.parametrize("loss", ["huber", "poisson", "cross_entropy"])
def test_every_loss_of_second_order_leaves_a_posterior(loss):
    counts = np.random.default_rng(5).poisson(np.exp(X[:, 0]))
    y: dict[str, Any] = {"huber": Y, "poisson": counts.astype(float), "cross_entropy": np.minimum(counts, 2)}
    model = fitted((2, 3) if loss == "cross_entropy" else (2, 1), y=y[loss], loss=loss)
    std = model.predict_std(INSIDE)
    assert std.shape == (20, model.n_out)
    assert (std > 0.0).all()
    assert np.isfinite(std).all()


@pytest.mark.jit
def test_a_coefficient_before_a_flat_curve_deviates_by_no_more_than_about_the_range_of_its_node():
    model = fitted((2, 5, 1))
    first, then = model.act_fun
    deviation = np.linalg.norm(model._posterior.root, axis=0)[: first.coef.size].reshape(2, -1, 5)
    ranges = then.grid[:, -1 - then.k] - then.grid[:, then.k]
    assert (deviation < 1.5 * ranges).all()
    assert (model.predict_std(X) < 0.3 * Y.std()).all()


# --- where there are no samples -----------------------------------------------------------------------------------


@pytest.mark.jit
@pytest.mark.parametrize("policy", ["continue", "linear", "clamp", "fade"])
@pytest.mark.parametrize("width", [(1, 1), (1, 2, 1)])
def test_outside_the_data_the_band_is_twice_that_inside(policy, width):
    x, y = seeing(-1, 1)
    model = fitted(width, x, y, extrapolate=policy, grids=[5])
    inside = np.median(model.predict_std(np.linspace(-0.9, 0.9, 50)[:, None]))
    outside = model.predict_std([[-1.5], [-1.2], [1.2], [1.5]])[:, 0]
    assert (outside > 2.0 * inside).all()
    assert outside[0] > outside[1]
    assert outside[3] > outside[2]


@pytest.mark.jit
@pytest.mark.parametrize("width", [(1, 1), (1, 2, 1)])
def test_in_a_gap_the_band_is_twice_that_beside_it(width):
    x, y = seeing(-1, -0.3, 0.4, 1)
    model = fitted(width, x, y, grids=[8])
    beside = np.concatenate([np.linspace(-0.9, -0.4, 25), np.linspace(0.5, 0.9, 25)])[:, None]
    assert model.predict_std([[0.05]])[0, 0] > 2.0 * np.median(model.predict_std(beside))


def test_policies_that_refuse_points_refuse_them_here_too():
    model = fitted(extrapolate="nan")
    assert np.isnan(model.predict_std([[5.0, 0.0]])).all()
    assert np.isnan(model.sample([[5.0, 0.0]], 2)).all()
    model.extrapolate = "raise"
    for ask in (model.predict_std, model.sample):
        with pytest.raises(ValueError, match=r"^Argument `x` must"):
            ask([[5.0, 0.0]])


# --- whose posterior it is ----------------------------------------------------------------------------------------


def _write_a_coefficient(model: KAN) -> None:
    model.act_fun[0].coef[0, 0, 0] += 1e-9


def _write_a_mask(model: KAN) -> None:
    model.act_fun[0].mask[0, 0] = 0


def _set_params(model: KAN) -> None:
    model.params = model.params + 1.0


def _move_a_grid(model: KAN) -> None:
    model.act_fun[0].grid = model.act_fun[0].grid * 1.01


def _lay_grids(model: KAN) -> None:
    model.update_grid_from_samples(0.5 * X)


def _fit_otherwise(model: KAN) -> None:
    model.fit(X, Y, method="lbfgs", steps=2, grids=None)


@pytest.mark.parametrize(
    "change", [_write_a_coefficient, _write_a_mask, _set_params, _move_a_grid, _lay_grids, _fit_otherwise]
)
def test_any_change_of_the_model_drops_it(change):
    model = fitted()
    kept, std = model.copy(), model.predict_std(INSIDE)
    change(model)
    for ask in (model.predict_std, model.sample, model.predict_std):
        with pytest.raises(RuntimeError, match=r"^The model has no posterior"):
            ask(INSIDE)
    assert_identical(kept.predict_std(INSIDE), std)


def test_a_change_that_is_taken_back_before_it_is_asked_for_changes_nothing():
    model = fitted()
    params, std = model.params, model.predict_std(INSIDE)
    model.params = 0.0 * params
    model.params = params
    assert_identical(model.predict_std(INSIDE), std)


@pytest.mark.parametrize("make", [lambda m: m.refine(6), lambda m: m.prune(X), lambda m: KAN([2, 1])])
def test_networks_of_other_layers_have_none(make):
    with pytest.raises(RuntimeError, match=r"^The model has no posterior: fit it with method='lm'"):
        make(fitted()).predict_std(INSIDE)


@pytest.mark.jit
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, KAN.copy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_and_pickles_have_it(again):
    model = fitted((2, 2, 1))
    assert_identical(again(model).predict_std(INSIDE), model.predict_std(INSIDE))


def test_a_float32_model_has_the_posterior_of_its_float64_twin():
    one, other = fitted(dtype=np.float32), fitted()
    assert one.predict_std(INSIDE).dtype == one.sample(INSIDE, 2).dtype == np.float32
    np.testing.assert_allclose(one.predict_std(INSIDE), other.predict_std(INSIDE), rtol=1e-3)


def test_a_resumed_fit_that_had_ended_leaves_the_same_posterior(tmp_path):
    path = tmp_path / "fit.npz"
    options = {"grids": [3, 6], "width": (2, 2, 1)}
    model, again = fitted(checkpoint=path, **options), fitted(resume=path, **options)
    assert_identical(again.predict_std(INSIDE), model.predict_std(INSIDE))


def test_above_its_limit_it_is_that_of_the_last_layer_and_the_result_says_so(monkeypatch):
    whole = fitted((2, 2, 1))
    last = whole.act_fun[-1].coef.size
    monkeypatch.setattr(posterior, "MOST", whole.act_fun[0].coef.size)
    model = KAN([2, 2, 1], grid=3, seed=0)
    result = model.fit(X, Y, method="lm", grids=[3], validation=None, restarts=1)
    assert "The posterior is that of the last layer alone" in result.message
    assert len(model._posterior.root) == last < len(whole._posterior.root)
    # the covariance if the other coefficients are known is the inverse of a block of the inverse
    splines = Splines.of(model)
    jac = output_jacobian(splines.layers, splines.coefs, INSIDE)[:, 0]
    half = np.linalg.inv(whole._posterior.root)
    given = np.linalg.inv((half @ half.T)[-last:, -last:])
    std = np.sqrt(np.einsum("np,pq,nq->n", jac[:, -last:], given, jac[:, -last:]))
    noise = model._posterior.noise / whole._posterior.noise  # that of the evidence, and that of all coefficients
    assert 0.8 < noise < 1.2
    np.testing.assert_allclose(model.predict_std(INSIDE)[:, 0], noise * std, rtol=1e-4)
    assert (model.predict_std(INSIDE) <= noise * whole.predict_std(INSIDE)).all()


def test_a_last_layer_above_the_limit_has_none_and_the_result_says_so(monkeypatch):
    monkeypatch.setattr(posterior, "MOST", 5)
    model = KAN([2, 1], grid=3, seed=0)
    assert (
        "There is no posterior: the last layer has 12 coefficients" in model.fit(X, Y, method="lm", grids=[3]).message
    )
    with pytest.raises(RuntimeError, match="no posterior"):
        model.predict_std(INSIDE)


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"loss": "logistic", "y": (Y > 0.5).astype(float)}], ids=["mse", "logistic"])
def test_it_is_saved_if_asked_for_with_every_bit(tmp_path, options):
    model = fitted(**options)
    model.save(tmp_path / "with.npz", posterior=True)
    model.save(tmp_path / "without.npz")
    again = KAN.load(tmp_path / "with.npz")
    assert_identical(again.predict_std(INSIDE), model.predict_std(INSIDE))
    assert_identical(np.array(again._posterior.noise), np.array(model._posterior.noise))
    again.save(tmp_path / "again.npz", posterior=True)
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "with.npz").read_bytes()
    with pytest.raises(RuntimeError, match="no posterior"):
        KAN.load(tmp_path / "without.npz").predict_std(INSIDE)


def test_a_stale_posterior_is_not_saved(tmp_path):
    model = fitted()
    _write_a_coefficient(model)
    with pytest.raises(RuntimeError, match="no posterior any more"):
        model.save(tmp_path / "m.npz", posterior=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["root", "size", "missing", "noise"])
def test_a_file_with_a_wrong_posterior_is_refused(tmp_path, name):
    model = fitted()
    model.save(tmp_path / "m.npz", posterior=True)
    with np.load(tmp_path / "m.npz") as file:
        members = dict(file)
    text = members["posterior"].tobytes()
    if name == "root":
        members["posterior.root"] = np.full_like(members["posterior.root"], np.nan)
    elif name == "size":
        members["posterior"] = np.frombuffer(text.replace(b'"size": 12', b'"size": 11'), np.uint8)
    elif name == "noise":
        members["posterior"] = np.frombuffer(text.replace(b'"noise": 0', b'"noise": -1'), np.uint8)
    else:
        del members["posterior.root"]
    np.savez(tmp_path / "bad.npz", **members)
    with pytest.raises(ValueError, match=r"^Argument `path` must name a model that numkan saved"):
        KAN.load(tmp_path / "bad.npz")
