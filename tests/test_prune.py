"""Scores of edges are those of the formula; pruning keeps the function, or moves it least, and keeps what is needed."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import numkan
from numkan import KAN
from numkan.conformance.adapter import Array
from numkan.conformance.law import assert_identical, assert_within
from tests import naive_network
from tests.naive_network import KINDS, Layer, activations, edges
from tests.network_cases import BASES, TANH, model_of, numbers_of, random_layer, random_points
from tests.small_networks import points, small, state
from tests.test_bad_input import complaint, number

U = 2.0**-53
EXACT = ("continue", "linear", "clamp")  # policies under which a constant is the same everywhere
SETTINGS = ("k", "G", "dtype", "base_fun", "grid_eps", "extrapolate", "sp_trainable", "sb_trainable")


@st.composite
def masked(draw: st.DrawFn, policies: Any = (*EXACT, "fade")) -> tuple[list[Layer], Array]:
    """Layers, most of them with dead nodes, and points inside and outside the first grids."""
    depth = draw(st.integers(1, 3))
    widths = draw(st.lists(st.integers(1, 4), min_size=depth + 1, max_size=depth + 1))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    base_fun, policy = draw(st.sampled_from(BASES)), draw(st.sampled_from(policies))
    share = draw(st.sampled_from([0.3, 0.5, 0.7]))
    layers = []
    for n_in, n_out in itertools.pairwise(widths):
        G, k = int(rng.integers(1, 4)), int(rng.integers(0, 4))
        layer = random_layer(rng, n_in, n_out, G, k, base_fun, policy)
        mask = np.where(rng.random((n_in, n_out)) < share, rng.choice([1.0, 0.5], (n_in, n_out)), 0)
        scale_sp = np.where(rng.random((n_in, n_out)) < 0.2, 0, layer.scale_sp)
        layers.append(layer.replace(mask=mask, scale_sp=scale_sp))
    return layers, random_points(rng, layers[0], 8)


def live_paths(layers: list[Layer]) -> list[tuple[int, ...]]:
    """Every path of edges that are on, from an input to an output, as the nodes on it."""
    sizes = [len(layers[0].mask), *(layer.mask.shape[1] for layer in layers)]
    return [
        nodes
        for nodes in itertools.product(*map(range, sizes))
        if all(layer.mask[at] != 0 for layer, at in zip(layers, itertools.pairwise(nodes), strict=True))
    ]


def on_paths(layers: list[Layer]) -> list[int]:
    """How many nodes of every level are on a path, inputs and outputs in any case."""
    paths = live_paths(layers)
    hidden = [len({path[level] for path in paths}) for level in range(1, len(layers))]
    return [len(layers[0].mask), *hidden, layers[-1].mask.shape[1]]


def with_masks(layers: list[Layer], *masks: Any) -> list[Layer]:
    return [layer.replace(mask=np.array(mask, float)) for layer, mask in zip(layers, masks, strict=True)]


def a_network(seed: int = 0, widths: Any = (2, 4, 3, 2), **options: Any) -> list[Layer]:
    rng = np.random.default_rng(seed)
    return [
        random_layer(rng, *shape, 4, 3, **options).replace(mask=np.ones(shape)) for shape in itertools.pairwise(widths)
    ]


def rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


# --- the same function --------------------------------------------------------------------------------------------


@given(masked())
def test_without_a_threshold_the_function_is_the_same(case):
    layers, x = case
    model = model_of(layers)
    before = state(model)
    bound = 500 * U * naive_network.sizes(layers, x)[-1]
    for pruned in (model.prune(), model.prune(x, threshold=0)):
        assert type(pruned) is KAN
        assert_within(pruned(x), model(x), bound)
        assert pruned.prune().width == pruned.width
    assert state(model) == before
    for layer, old in zip(pruned.act_fun, model.act_fun, strict=True):
        assert [getattr(layer, name) for name in SETTINGS] == [getattr(old, name) for name in SETTINGS]


@given(masked(EXACT))
def test_the_nodes_that_stay_are_those_on_paths(case):
    layers, _ = case
    pruned = model_of(layers).prune()
    if live_paths(layers):
        assert pruned.width == on_paths(layers)
    else:
        assert pruned.width == [len(layers[0].mask), *(layer.mask.shape[1] for layer in layers)]


@given(masked())
def test_what_stays_has_the_numbers_that_it_had(case):
    """But for the edges that carry a constant: at most one for each node."""
    layers, _ = case
    old = {coef.tobytes() for layer in layers for coef in layer.coef.reshape(-1, layer.coef.shape[2])}
    for layer in numbers_of(model_of(layers).prune()):
        for o in range(layer.coef.shape[1]):
            moved = [i for i in range(len(layer.coef)) if layer.coef[i, o].tobytes() not in old]
            assert len(moved) <= 1


ONE_DEAD = ([[1, 0, 1], [1, 0, 1]], [[1], [1], [1]])  # nothing reaches node 1


def test_a_constant_node_goes_and_its_constant_stays():
    x = points(50, reach=5.0)
    for policy in EXACT:
        layers = with_masks(a_network(1, (2, 3, 1), extrapolate=policy), *ONE_DEAD)
        model = model_of(layers)
        constant = edges(layers[1], np.zeros((1, 3)))[0, 1, 0]
        assert abs(constant) > 0.1
        pruned = model.prune()
        assert pruned.width == [2, 2, 1]
        assert_within(pruned(x), model(x), 1e-13 * naive_network.sizes(layers, x)[-1])


def test_a_constant_that_fades_keeps_its_node_unless_it_is_zero():
    layers = with_masks(a_network(1, (2, 3, 1)), *ONE_DEAD)
    assert layers[1].extrapolate == "fade"
    assert model_of(layers).prune().width == [2, 3, 1]
    layers[1].coef[1] = 0
    assert model_of(layers).prune().width == [2, 2, 1]


@pytest.mark.parametrize("policy", ["nan", "raise"])
def test_a_constant_outside_a_grid_keeps_its_node(policy):
    layers = with_masks(a_network(1, (2, 3, 1), extrapolate=policy), *ONE_DEAD)
    assert model_of(layers).prune().width == [2, 2, 1]
    away = layers[1].grid.copy()
    away[1] += 10 - away[1, 0]
    layers[1] = layers[1].replace(grid=away)
    assert model_of(layers).prune().width == [2, 3, 1]


def test_constants_go_on_through_layers():
    layers = a_network(2, (1, 3, 3, 1), extrapolate="linear")
    layers = with_masks(layers, [[1, 0, 0]], [[1, 0, 0], [0, 1, 1], [0, 1, 0]], [[1], [1], [1]])
    model, x = model_of(layers), points(20, 1, reach=4.0)
    pruned = model.prune()
    assert pruned.width == [1, 1, 1, 1]
    assert_within(pruned(x), model(x), 1e-13 * naive_network.sizes(layers, x)[-1])


def test_a_constant_output_is_carried_by_an_edge_that_was_off():
    layers = with_masks(a_network(3, (2, 2, 2), extrapolate="continue"), [[1, 0], [1, 0]], [[1, 0], [0, 1]])
    model, x = model_of(layers), points(20, reach=4.0)
    constant = model(x)[0, 1]
    assert constant != 0
    pruned = model.prune()
    assert pruned.width == [2, 1, 2]
    assert_within(pruned(x), model(x), 1e-13)
    assert (pruned.act_fun[1].mask == 1).all()
    layers = with_masks(layers, [[1, 0], [1, 0]], [[1, 0], [0, 0]])
    pruned = model_of(layers).prune()
    assert pruned.width == [2, 1, 2]
    assert pruned.act_fun[1].mask.tolist() == [[1, 0]]


def test_an_edge_whose_spline_is_off_carries_a_constant_too():
    layers = with_masks(a_network(4, (2, 2, 1), extrapolate="clamp"), [[1, 0], [1, 0]], [[0.5], [1]])
    layers[1].scale_sp[0] = 0
    model, x = model_of(layers), points(20, reach=4.0)
    pruned = model.prune()
    assert pruned.width == [2, 1, 1]
    assert_within(pruned(x), model(x), 1e-13 * naive_network.sizes(layers, x)[-1])


def test_nodes_that_reach_no_output_go():
    layers = with_masks(a_network(5, (2, 3, 2)), np.ones((2, 3)), [[1, 1], [0, 0], [0, 1]])
    model, x = model_of(layers), points(20, reach=4.0)
    pruned = model.prune()
    assert pruned.width == [2, 2, 2]
    assert_within(pruned(x), model(x), 1e-13 * naive_network.sizes(layers, x)[-1])


def test_without_any_path_a_copy_is_returned():
    layers = with_masks(a_network(6, (2, 3, 1), extrapolate="continue"), np.zeros((2, 3)), np.ones((3, 1)))
    model, x = model_of(layers), points(20)
    for pruned in (model.prune(), model.prune(x), model.prune(x, threshold=10)):
        assert pruned.width == [2, 3, 1]
        assert_identical(pruned(x), model(x))
        assert pruned is not model
    pruned.act_fun[0].mask[...] = 1
    assert not model.act_fun[0].mask.any()


def test_one_layer_has_nothing_to_remove():
    layers = with_masks(a_network(7, (3, 2)), [[1, 0], [0, 0], [0, 0]])
    model, x = model_of(layers), points(20, 3)
    assert_identical(model.prune()(x), model(x))
    assert model.prune().width == [3, 2]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_settings_flags_and_dtype_stay(dtype):
    model = KAN(
        [2, 4, 3, 1],
        grid=[3, 4, 5],
        k=[1, 2, 3],
        base_fun=TANH,
        grid_eps=0.3,
        sp_trainable=False,
        extrapolate="linear",
        seed=2,
        dtype=dtype,
    )
    model.act_fun[1].grid_eps = 0.7
    model.act_fun[0].mask[:, 1:3] = 0
    x = points(30, dtype=dtype)
    pruned = model.prune()
    assert (pruned.width, pruned.grid, pruned.k) == ([2, 2, 3, 1], [3, 4, 5], [1, 2, 3])
    for layer, old in zip(pruned.act_fun, model.act_fun, strict=True):
        assert [getattr(layer, name) for name in SETTINGS] == [getattr(old, name) for name in SETTINGS]
    np.testing.assert_allclose(pruned(x), model(x), rtol=0, atol=100 * np.finfo(dtype).eps)
    assert pruned.params.size == pruned.n_params < model.n_params
    assert_identical(pruned.act_fun[0].grid, model.act_fun[0].grid)
    pruned.act_fun[0].coef[...] = 1
    assert not (model.act_fun[0].coef == 1).all()


def test_a_pruned_model_goes_on_living(tmp_path):
    model, x = small(), points(40)
    model.act_fun[0].mask[:, 1] = 0
    pruned = model.prune()
    pruned.save(tmp_path / "m.npz")
    assert KAN.load(tmp_path / "m.npz").params.tobytes() == pruned.params.tobytes()
    before = pruned.loss(x, x)
    pruned.fit(x, x, steps=5, grids=None, validation=None)
    assert pruned.loss(x, x) < before


# --- weak edges ---------------------------------------------------------------------------------------------------


def test_edges_below_the_threshold_go_and_the_others_stay():
    layers, x = a_network(8, (2, 4, 3, 1), extrapolate="continue"), points(200, reach=1.0)
    model = model_of(layers)
    before = state(model)
    scores = model.edge_scores(x)
    threshold = float(np.quantile(np.concatenate([score.ravel() for score in scores]), 0.6))
    strong = with_masks(layers, *(score >= threshold for score in scores))
    pruned = model.prune(x, threshold)
    assert state(model) == before
    stay = [sorted({path[level] for path in live_paths(strong)}) for level in range(4)]
    assert pruned.width == [len(nodes) for nodes in stay] != [2, 4, 3, 1]
    for layer, old, nodes in zip(pruned.act_fun, strong, itertools.pairwise(stay), strict=True):
        assert_identical(layer.mask, old.mask[np.ix_(*nodes)])
        assert_identical(layer.grid, old.grid[nodes[0]])
        moved = layer.coef - old.coef[np.ix_(*nodes)]
        assert np.ptp(moved, axis=2).max() < 1e-13  # by a constant, one edge into each node
        assert (np.count_nonzero(moved[:, :, 0], axis=0) <= 1).all()


@given(st.integers(0, 1000), st.floats(0.05, 0.5))
def test_into_a_node_the_mean_of_what_goes_moves_the_sum_least(seed, threshold):
    layers = a_network(seed, (4, 2), extrapolate="continue")
    model, x = model_of(layers), points(60, 4, reach=1.5)
    pruned = model.prune(x, threshold)
    bare = model_of([layers[0].replace(mask=pruned.act_fun[0].mask)])
    moved = pruned(x) - model(x)
    size = naive_network.sizes(layers, x)[-1].max()
    assert np.abs(moved.mean(axis=0)).max() <= 1e-13 * size
    for column, without in zip(moved.T, (bare(x) - model(x)).T, strict=True):
        assert rms(column) <= rms(without) + 1e-13 * size


@pytest.mark.jit
def test_through_layers_the_means_keep_the_fit():
    better = []
    for seed in range(12):
        layers, x = a_network(seed, (3, 5, 1), extrapolate="continue"), points(60, 3, reach=1.0)
        model = model_of(layers)
        y = model(x)
        scores = model.edge_scores(x)
        threshold = float(np.quantile(np.concatenate([score.ravel() for score in scores]), 0.5))
        bare = model_of(with_masks(layers, *(score >= threshold for score in scores)))
        better.append(rms(model.prune(x, threshold)(x) - y) / rms(bare(x) - y))
    assert np.median(better) < 0.7
    assert np.mean(np.array(better) < 1) >= 0.8


@given(masked(EXACT), st.floats(0.0, 2.0))
def test_outputs_that_depended_on_the_inputs_go_on_to_do_so(case, threshold):
    layers, x = case
    before = {path[-1] for path in live_paths(layers)}
    pruned = model_of(layers).prune(x, threshold)
    assert before <= {path[-1] for path in live_paths(numbers_of(pruned))}
    assert np.isfinite(pruned(x)).all()


@pytest.mark.parametrize("policy", ["continue", "fade"])
def test_a_node_whose_edges_are_all_weak_goes_with_the_strong_one_behind_it(policy):
    """y = h + 3 x_0 with h = (x_0 + x_1 + x_2 + x_3) / 2: each edge into h is weak, the one from h is not."""
    model = KAN([4, 2, 1], base_fun="identity", grid_range=(0, 5), extrapolate=policy)
    for layer in model.act_fun:
        layer.coef[...] = 0
        layer.scale_sp[...] = 1
    model.act_fun[0].scale_base[...] = [[0.5, 3.0], [0.5, 0.0], [0.5, 0.0], [0.5, 0.0]]
    model.act_fun[1].scale_base[...] = 1
    x = np.random.default_rng(0).uniform(0, 1, (200, 4))
    first, second = model.edge_scores(x)
    threshold = 0.2
    assert first[:, 0].max() < threshold < second.min()
    pruned, bare = model.prune(x, threshold), model.copy()
    assert pruned.width == [4, 1, 1]
    bare.act_fun[0].mask[:, 0] = 0
    assert rms(pruned(x) - model(x)) < 0.4 * rms(bare(x) - model(x))


def test_the_strongest_path_stays_where_no_edge_is_strong():
    for seed in range(5):
        layers, x = a_network(seed, (3, 4, 3, 1), extrapolate="continue"), points(100, 3, reach=1.0)
        model = model_of(layers)
        scores = model.edge_scores(x)

        def weakest(path: tuple[int, ...], scores: Any = scores) -> float:
            return min(score[at] for score, at in zip(scores, itertools.pairwise(path), strict=True))

        best = max(live_paths(layers), key=weakest)
        pruned = model.prune(x, 1e6)
        assert pruned.width == [3, 1, 1, 1]
        for layer, old, (i, o) in zip(pruned.act_fun, layers, itertools.pairwise(best), strict=True):
            (edge,) = layer.coef[layer.mask != 0]
            np.testing.assert_allclose(np.diff(edge), np.diff(old.coef[i, o]), rtol=0, atol=1e-12)


def test_a_surplus_of_nodes_is_found():
    x = points(300, reach=1.0)
    model = KAN([2, 5, 1], seed=0, extrapolate="continue")
    for layer in model.act_fun:  # y = x_0^2 + small, through node 3 alone
        layer.scale_base[...] = 0
        layer.scale_sp[...] = 1
        layer.coef[...] *= 1e-3
    model.act_fun[0].coef[0, 3] = np.linspace(-1.4, 1.4, 8) ** 2
    model.act_fun[1].coef[3, 0] = np.linspace(-1.4, 1.4, 8)
    pruned = model.prune(x)
    assert pruned.width == [2, 1, 1]
    assert pruned.act_fun[0].mask[:, 0].tolist() == [1, 0]
    assert rms(pruned(x) - model(x)) < 2e-3


# --- scores -------------------------------------------------------------------------------------------------------


def formula(layers: list[Layer], x: Array) -> list[Array]:
    """The scores, in plain NumPy."""
    acts = activations(layers, x)
    of_nodes, out = np.full(acts[-1].shape[1], 1 / acts[-1].shape[1]), []
    for layer, a, after in zip(layers[::-1], acts[-2::-1], acts[:0:-1], strict=True):
        std = edges(layer, a).std(axis=0, ddof=1)
        out.append(std * (of_nodes / after.std(axis=0, ddof=1)))
        of_nodes = out[-1].sum(axis=1)
    return out[::-1]


@pytest.mark.parametrize("n", [2, 7, 300])
@pytest.mark.parametrize("policy", EXACT)
def test_scores_are_those_of_the_formula(n, policy):
    layers, x = a_network(n, extrapolate=policy), points(n)
    layers[1].mask[0, :2] = 0
    model = model_of(layers)
    before = state(model)
    scores = model.edge_scores(x)
    assert state(model) == before
    for score, expected in zip(scores, formula(layers, x), strict=True):
        assert_within(score, expected, 1e-11 * expected.max())
        assert score.dtype == model.dtype
    assert (scores[1][0, :2] == 0).all()
    assert (scores[1][1:] > 0).all()


def test_scores_of_float32_are_near_those_of_float64():
    layers, x = a_network(1), points(500)
    single = model_of([layer.astype(np.float32) for layer in layers])
    for score, expected in zip(single.edge_scores(x), formula(layers, x), strict=True):
        assert score.dtype == np.float32
        np.testing.assert_allclose(score, expected, rtol=0, atol=1e-4 * expected.max())


@given(st.integers(0, 1000), st.sampled_from([2.0**-40, 1e-3, -7.0, 1e9]))
def test_scores_do_not_depend_on_the_units_of_y(seed, factor):
    layers, x = a_network(seed), points(30)
    scores = model_of(layers).edge_scores(x)
    last = layers[-1]
    scaled = last.replace(scale_base=factor * last.scale_base, scale_sp=factor * last.scale_sp)
    for score, same in zip(model_of([*layers[:-1], scaled]).edge_scores(x), scores, strict=True):
        np.testing.assert_allclose(score, same, rtol=1e-9, atol=1e-12)


@given(st.integers(0, 1000), st.permutations(range(4)))
def test_scores_go_with_their_nodes(seed, order):
    layers, x = a_network(seed, (2, 4, 2)), points(30)
    scores = model_of(layers).edge_scores(x)
    first, second = layers
    first = first.replace(**{name: getattr(first, name)[:, order] for name in (*KINDS, "mask")})
    second = second.replace(**{name: getattr(second, name)[order] for name in (*KINDS, "mask", "grid")})
    moved = model_of([first, second]).edge_scores(x)
    np.testing.assert_allclose(moved[0], scores[0][:, order], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(moved[1], scores[1][order], rtol=1e-9, atol=1e-12)


@given(masked())
def test_scores_of_what_is_dead_are_zero_and_those_into_a_node_are_its_score_or_more(case):
    layers, x = case
    scores = model_of(layers).edge_scores(x)
    paths = live_paths(layers)
    of_nodes = np.full(layers[-1].mask.shape[1], 1 / layers[-1].mask.shape[1])
    for depth, score in list(enumerate(scores))[::-1]:
        assert np.isfinite(score).all()
        assert (score >= 0).all()
        on_path = np.zeros(score.shape, bool)
        for path in paths:
            on_path[path[depth : depth + 2]] = True
        assert (score[~on_path] == 0).all()
        alive = score.any(axis=0)
        assert (score.sum(axis=0)[alive] >= of_nodes[alive] * (1 - 1e-9)).all()
        of_nodes = score.sum(axis=1)


def test_edges_that_cancel_share_the_score_of_their_output():
    model = KAN([2, 1], base_fun="identity")
    model.act_fun[0].scale_sp[...] = 0
    model.act_fun[0].scale_base[...] = [[1.0], [-1.0]]
    x = np.repeat(points(20, 1), 2, axis=1)
    np.testing.assert_allclose(model.edge_scores(x)[0], 0.5, rtol=1e-15)
    model.act_fun[0].scale_base[...] = 0
    assert model.edge_scores(x)[0].tolist() == [[0.0], [0.0]]


@pytest.mark.jit
def test_threads_change_no_bit_of_scores_and_pruned_models():
    model, x = KAN([3, 6, 2], seed=1), points(20_000, 3)
    threads, found = numkan.get_threads(), []
    try:
        for count in (1, 2, 3):
            numkan.set_threads(count)
            pruned = model.prune(x, 0.1)
            found.append([score.tobytes() for score in model.edge_scores(x)] + [pruned.params.tobytes()])
    finally:
        numkan.set_threads(threads)
    assert found[0] == found[1] == found[2]


# --- bad input ----------------------------------------------------------------------------------------------------


def test_bad_input_is_named_and_changes_nothing():
    model, x = small(extrapolate="continue"), points()
    before = state(model)
    for call in (model.edge_scores, model.prune):
        for value, part in (
            (np.ones((7, 3)), "(n, 2), not (7, 3)"),
            (np.ones(2), "not (2,)"),
            (np.full((3, 2), np.nan), "6 NaN or infinite entries"),
            (np.ones((1, 2)), "at least 2 rows to judge edges on, not 1"),
            (np.ones((0, 2)), "at least 2 rows to judge edges on, not 0"),
            ("abc", "<U3"),
        ):
            complaint("x", part, call, value)
    complaint("x", "object", model.edge_scores, None)
    for value, part in number(0.0):
        complaint("threshold", part, model.prune, x, value)
    complaint("x", "where a threshold is given, not None", model.prune, threshold=0.5)
    assert model.prune(threshold=0).width == model.width
    model.act_fun[0].coef[...] = 1e308
    model.act_fun[0].scale_sp[...] = 1
    with np.errstate(all="ignore"):
        complaint("activations[1]", "NaN or infinite", model.edge_scores, x)
    model = small(extrapolate="raise")
    complaint("x", "", model.prune, 100 + x)
    assert state(small(extrapolate="continue")) == before


# --- live pykan ---------------------------------------------------------------------------------------------------


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("width", [[2, 4, 1], [3, 4, 3, 2]], ids=str)
def test_scores_are_those_of_live_pykan_without_its_offset(width, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("kan", reason="pykan is not installed")
    from numkan.interop import to_pykan

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    layers = [
        random_layer(rng, *shape, 4, 3).replace(grid=np.linspace(-3, 3, 11) + np.zeros((shape[0], 1)))
        for shape in itertools.pairwise(width)
    ]
    model, x = model_of(layers), points(200, width[0])
    theirs = to_pykan(model)
    theirs(torch.tensor(x))
    theirs.attribute()
    scores = model.edge_scores(x)
    for score, other in zip(scores, theirs.edge_scores, strict=True):
        np.testing.assert_allclose(score, other.detach().numpy().T, rtol=0.01)
    theirs.subnode_actscale = [std - 1e-4 for std in theirs.subnode_actscale]
    theirs.attribute()
    for score, other in zip(scores, theirs.edge_scores, strict=True):
        expected = other.detach().numpy().T
        assert_within(score, expected, 1e-10 * expected.max())
