"""A page to explore a model: what it computes in a real browser, what can be done with it, and what it holds."""

from __future__ import annotations

import base64
import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from numkan import KAN
from numkan.compile import jit_is_off
from numkan.plot import edge_values
from numkan.spline.policies import EXTRAPOLATIONS

#: Points of each network.
MANY = 1000

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGES = sys.modules["numkan.export.explore"]
EVIL = "</script><script>window.evil = 1</script><img src=x onerror='window.evil = 1'>\u2028&\"'"

x = np.random.default_rng(0).uniform(-1, 1, (60, 2))
y = np.sin(3 * x[:, :1]) + x[:, 1:] ** 2


@pytest.fixture(scope="module")
def browser():
    """A browser that is installed; nothing is downloaded. What a page computes is tried once, beside kernels."""
    if jit_is_off():
        pytest.skip("no kernel computes a page")
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with sync_api.sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Return a function that writes the page of a model and opens it, watched for errors and requests."""
    pages = []

    def open_page(model, *data, size=(1200, 900), **options):
        path = tmp_path / "page.html"
        model.explore(path, *data, **options)
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        page.set_default_timeout(120_000)  # a busy machine is no fault
        faults, requests = [], []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: message.type == "error" and faults.append(message.text))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        pages.append((page, faults, requests))
        return page

    yield open_page
    for page, faults, requests in pages:
        page.close()
        assert faults == []
        assert len(requests) == 1


def read(path: Path) -> Any:
    """Return the data of a page."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8"), re.S)
    return json.loads(text)


def fitted(width=(2, 2, 1), extrapolate="continue", **options):
    """A network with a posterior, whose hidden nodes are never refused."""
    model = KAN(list(width), grid=3, seed=0, extrapolate=extrapolate)
    for layer in model.act_fun[1:]:
        layer.extrapolate = "clamp" if extrapolate == "clamp" else "continue"
    model.fit(x, y, **{"method": "lm", "grids": [3], "validation": None, "restarts": 1, "steps": 5} | options)
    return model


def networks():
    made = {policy: KAN([2, 3, 2], grid=5, extrapolate=policy, seed=1) for policy in EXTRAPOLATIONS}
    made |= {f"k={k}": KAN([2, 3, 1], grid=7, k=k, seed=k) for k in (0, 1, 5)}
    made |= {name: KAN([2, 3, 1], base_fun=name, seed=2) for name in ("identity", "zero")}
    made["deep"] = KAN([2, 3, 3, 1], grid=[3, 8, 20], k=[1, 2, 3], seed=4)
    uneven = KAN([2, 3, 1], grid=12, grid_eps=0.02, seed=6)
    uneven.update_grid_from_samples(np.random.default_rng(0).normal(size=(500, 2)) ** 3)
    made["uneven"] = uneven
    masked = KAN([2, 4, 2], seed=7)
    masked.act_fun[0].mask[0, 1] = 0
    masked.act_fun[1].mask[2, :] = 0
    made["masked"] = masked
    made["raise"].act_fun[1].grid = 20 * made["raise"].act_fun[1].grid  # so that no hidden node leaves it
    return made


NETWORKS = networks()


def predictions(model, points):
    """Return the model's own, NaN where a point is refused."""
    if "raise" not in model.extrapolate:
        return model(points)
    out = np.full((len(points), model.n_out), np.nan)
    domain = model.act_fun[0].grid[:, [model.act_fun[0].k, -1 - model.act_fun[0].k]]
    inside = ((points >= domain[:, 0]) & (points <= domain[:, 1])).all(axis=1)
    out[inside] = model(points[inside])
    return out


# --- what it computes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_the_page_computes_what_the_model_does_inside_the_grids_and_outside(opened, name):
    model = NETWORKS[name]
    layer = model.act_fun[0]
    low, high = layer.grid[:, layer.k], layer.grid[:, -1 - layer.k]
    rng = np.random.default_rng(1)
    samples = rng.uniform(low, high, (30, 2))
    points = rng.uniform(low - (high - low), high + (high - low), (MANY, 2))
    points[:40] = layer.grid[:, rng.integers(0, layer.grid.shape[1], 40)].T
    page = opened(model, samples, np.zeros((30, model.n_out)))
    found = page.evaluate(
        "points => points.map((x) => numkan.predict(x).map((v) => isNaN(v) ? null : v))", points.tolist()
    )
    expected = predictions(model, points)
    np.testing.assert_allclose(np.array(found, float), expected, rtol=1e-9, atol=1e-9)
    assert np.isfinite(expected).mean() > 0.1


def test_a_node_that_is_pushed_far_outside_is_computed_too(opened):
    model = KAN([2, 3, 1], seed=0)
    points = np.array([[1e6, -1e6], [1e3, 0.0], [-700.0, 800.0]])
    found = opened(model, x, y).evaluate("points => points.map((x) => numkan.predict(x))", points.tolist())
    np.testing.assert_allclose(found, model(points), rtol=1e-9)


# --- how sure it is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extrapolate", EXTRAPOLATIONS)
def test_the_page_computes_the_deviations_of_predictions(opened, extrapolate):
    model = fitted(extrapolate=extrapolate)
    inside = extrapolate in ("nan", "raise")
    low, high = model.act_fun[0].grid[:, 3], model.act_fun[0].grid[:, -4]
    room = 0 if inside else high - low
    points = np.random.default_rng(1).uniform(low - room, high + room, (50, 2))
    found = opened(model, x, y).evaluate("points => points.map((x) => numkan.deviations(x))", points.tolist())
    for kind in ("mean", "observation"):
        expected = model.predict_std(points, kind)
        np.testing.assert_allclose([each[kind] for each in found], expected, rtol=1e-6)


def test_deviations_of_a_last_layer_alone_and_of_several_classes_are_computed_too(opened, monkeypatch):
    monkeypatch.setattr("numkan.train.posterior.MOST", 40)
    model = KAN([2, 2, 3], grid=3, seed=0)
    labels = (3 * np.random.default_rng(2).random(len(x))).astype(int)
    result = model.fit(x, labels, method="lm", loss="cross_entropy", grids=[3], validation=None, restarts=1, steps=5)
    assert "last layer" in result.message
    page = opened(model, x, labels)
    found = page.evaluate("points => points.map((x) => numkan.deviations(x))", x[:20].tolist())
    np.testing.assert_allclose([each["mean"] for each in found], model.predict_std(x[:20]), rtol=1e-6)
    assert {each["observation"] for each in found} == {None}
    assert page.locator("#interval").text_content().count("for the mean") == 3


def test_the_interval_of_the_prediction_follows_the_sliders(opened):
    model = fitted()
    page = opened(model, x, y)
    page.locator("#sliders input").first.focus()
    page.keyboard.press("Home")
    point = np.array([[x[:, 0].min() - 0.25 * np.ptp(x[:, 0]), x[0, 1]]])
    told = [float(text) for text in re.findall(r"± (\S+) for", page.locator("#interval").text_content())]
    expected = [1.959964 * model.predict_std(point, kind)[0, 0] for kind in ("mean", "observation")]
    np.testing.assert_allclose(told, expected, rtol=1e-2)


def test_a_model_without_a_posterior_says_why_there_is_no_interval(opened):
    changed = fitted()
    changed.act_fun[0].coef[...] *= 2
    for model, reason in ((KAN([2, 2, 1], seed=0), "method='lm'"), (changed, "have changed since the fit")):
        text = opened(model, x, y).locator("#interval").text_content()
        assert text.startswith("Predictions have no interval.")
        assert reason in text


# --- what can be done ---------------------------------------------------------------------------------------------


def test_names_are_escaped_wherever_they_stand(opened):
    page = opened(KAN([2, 2, 1], seed=0), x, y, [EVIL, "b"], outputs=[EVIL])
    assert page.evaluate("window.evil") is None
    assert EVIL in page.locator("#prediction").text_content()
    assert page.locator("#sliders span").first.text_content() == EVIL
    assert page.locator("img").count() == 0


def test_an_edge_is_chosen_by_a_click_and_with_the_keyboard(opened):
    page = opened(KAN([2, 3, 1], seed=0), x, y, ["mass", "speed"], outputs=["force"])
    page.locator(".edge .box").nth(1).click()
    assert page.locator("#edge-name").text_content() == "mass → node 1 of row 1"
    page.keyboard.press("ArrowRight")
    assert page.locator("#edge-name").text_content() == "mass → node 2 of row 1"
    page.keyboard.press("ArrowUp")
    assert page.locator("#edge-name").text_content().endswith("→ force")
    assert page.locator("#edge-plot .knot").count() == 6
    assert page.locator("#edge-plot .density").count() > 0


def test_only_one_edge_is_a_stop_of_the_tabulator(opened):
    page = opened(KAN([2, 3, 1], seed=0), x, y)
    assert page.locator('.edge[tabindex="0"]').count() == 1


def test_an_edge_whose_function_is_known_bears_its_name_and_shows_its_formula(opened):
    model = KAN([2, 1, 1], seed=0)
    functions = {"sin": (2.0, 0.5, 1.5, -1.0), "$u^{2}$": (1.0, 0.25, -1.0, 0.0), "linear": (2.0, 1.0, 3.0, 0.5)}
    made = [SimpleNamespace(label=label, **dict(zip("abcd", each, strict=True))) for label, each in functions.items()]
    formula = SimpleNamespace(edges=dict(zip([(0, 0, 0), (0, 1, 0), (1, 0, 0)], made, strict=True)))
    page = opened(model, x, y, ["mass", "speed"], formula=formula)
    assert page.locator(".symbol").all_text_contents() == ["sin", "u^2", "linear"]
    for place, text in enumerate(
        ["1.5 sin(2 u + 0.5) - 1 of u = mass", "-(u + 0.25)^2 of u = speed", "6 u + 3.5 of u = node 0 of row 1"]
    ):
        page.locator(".edge .box").nth(place).click()
        assert f"its function is {text};" in page.locator("#edge-facts").text_content()


def test_a_slider_changes_the_prediction(opened):
    model = KAN([2, 3, 1], seed=0)
    page = opened(model, x, y)
    page.locator("#sliders input").first.focus()
    page.keyboard.press("Home")
    low = x[:, 0].min() - 0.25 * np.ptp(x[:, 0])
    expected = model(np.array([[low, x[0, 1]]]))[0, 0]
    assert page.locator("#prediction").text_content() == f"y0 = {float(f'{expected:.4g}'):g}"


def test_a_sample_flows_through_the_network_when_it_is_pointed_at(opened):
    page = opened(KAN([2, 3, 1], seed=0), x, y)
    dot = page.locator(".sample").nth(7)
    dot.dispatch_event("mouseenter")
    number = int(re.search(r"sample (\d+):", page.locator("#sample-text").text_content())[1])
    assert number == int(np.argsort(y[:, 0], kind="stable")[7])
    assert page.evaluate("state.x") == x[number].tolist()
    visible = page.locator('#network .mark[visibility="visible"]')
    assert visible.count() == 2 * 3 + 3


def test_samples_can_be_gone_through_with_the_keyboard(opened):
    page = opened(KAN([2, 3, 1], seed=0), x, y)
    page.locator('.sample[tabindex="0"]').focus()
    page.keyboard.press("ArrowRight")
    number = int(re.search(r"sample (\d+):", page.locator("#sample-text").text_content())[1])
    assert number == int(np.argsort(y[:, 0], kind="stable")[1])


def test_axes_bear_round_numbers_in_the_units_of_the_table(opened):
    page = opened(KAN([2, 3, 1], seed=0), x, y)
    for low, high, expected in ((-1.95, 1.38, [-1, 0, 1]), (0.31, 0.352, [0.31, 0.32, 0.33, 0.34, 0.35]), (2, 2, [2])):
        assert page.evaluate(f"ticksOf({low}, {high})") == expected
    assert page.evaluate("ticksOf(-1e9, 2.5e9)") == [-1e9, 0, 1e9, 2e9]


@pytest.mark.parametrize("n_in", [2, 13])
def test_on_a_phone_nothing_is_wider_than_the_screen(opened, n_in):
    wide = np.random.default_rng(0).uniform(-1, 1, (50, n_in))
    names = [f"a rather long name of column {place}" for place in range(n_in)]
    page = opened(KAN([n_in, 5, 1], seed=0), wide, wide[:, 0], names, size=(390, 800))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_tables_hold_scores_coverage_and_stages(opened):
    model = KAN([2, 2, 1], seed=0)
    result = model.fit(x, y, steps=5, grids=[3, 5])
    page = opened(model, x, y, result=result)
    scores = np.sort(np.concatenate([each.ravel() for each in model.edge_scores(x)]))[::-1]
    shown = [float(cell) for cell in page.locator("#scores td:nth-child(3)").all_text_contents()]
    np.testing.assert_allclose(shown, scores, rtol=1e-3)
    assert page.locator("#coverage tbody tr").count() == 4
    assert page.locator("#stages tbody tr").count() == len(result.stages)
    assert not page.locator("#stages-none").is_visible()


def test_a_page_without_the_result_of_the_fit_says_that_there_are_no_stages(opened):
    assert opened(KAN([2, 2, 1], seed=0), x, y).locator("#stages-none").is_visible()


# --- what it holds ------------------------------------------------------------------------------------------------


def test_a_page_has_at_most_500_samples_and_says_so(tmp_path):
    many = np.random.default_rng(0).uniform(-1, 1, (600, 2))
    KAN([2, 2, 1], seed=0).explore(tmp_path / "page.html", many, many[:, 0])
    data = read(tmp_path / "page.html")
    assert data["samples"]["count"] == 500
    assert any("500 of 600 samples" in note for note in data["notes"])


def test_weak_edges_are_left_out_of_a_page_that_would_be_too_large(opened, tmp_path, monkeypatch):
    model = KAN([2, 40, 1], grid=20, seed=0)
    model.explore(tmp_path / "whole.html", x, y)
    limit = (tmp_path / "whole.html").stat().st_size - 10_000
    monkeypatch.setattr(PAGES, "LIMIT", limit)
    page = opened(model, x, y)
    assert (tmp_path / "page.html").stat().st_size <= limit
    data = read(tmp_path / "page.html")
    assert 0 < data["dropped"] < 120
    notes = page.locator("#notes li").all_text_contents()
    assert any(note.startswith(f"{data['dropped']} weak edges are left out") for note in notes)
    found = np.array(page.evaluate("points => points.map((x) => numkan.predict(x))", x.tolist()))
    np.testing.assert_allclose(found, with_means(model, data), rtol=1e-9, atol=1e-12)
    missed = np.abs(found - model(x)).max()
    told = re.search(r"differ from the network's by up to (\S+)\.", notes[-1])[1]
    assert float(told) == pytest.approx(missed, rel=1e-3)


def test_above_the_limit_the_numbers_of_the_interval_go_first_and_the_page_says_so(opened, tmp_path, monkeypatch):
    model = fitted((2, 8, 1), steps=2)
    model.explore(tmp_path / "whole.html", x, y)
    whole = (tmp_path / "whole.html").stat().st_size
    root = len(read(tmp_path / "whole.html")["interval"]["root"])
    monkeypatch.setattr(PAGES, "LIMIT", whole - 1)
    page = opened(model, x, y)
    assert page.locator("#interval").text_content().startswith("The interval of the prediction is left out")
    assert (tmp_path / "page.html").stat().st_size < whole - root
    assert read(tmp_path / "page.html")["dropped"] == 0
    monkeypatch.setattr(PAGES, "LIMIT", whole - root - 500)
    model.explore(tmp_path / "page.html", x, y)
    assert read(tmp_path / "page.html")["dropped"] > 0
    assert (tmp_path / "page.html").stat().st_size <= whole - root - 500


def with_means(model, data):
    """Return predictions at x of the edges in a page, the others replaced by their means over x."""
    out = x
    for layer, inputs, own in zip(model.act_fun, model.activations(x), data["layers"], strict=False):
        gone = np.ones(layer.mask.size, bool)
        gone[np.frombuffer(base64.b64decode(own["edges"]), "<i4")] = False
        means = edge_values(layer, inputs).mean(axis=0)
        out = np.where(gone.reshape(layer.mask.shape), means, edge_values(layer, out)).sum(axis=1)
    return out


def test_a_page_is_one_file_that_asks_for_nothing(tmp_path):
    KAN([2, 2, 1], seed=0).explore(tmp_path / "page.html", x, y)
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"""(?:src|href)\s*=|@import|url\(|fetch\(|XMLHttp""", text)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((x, y[:5]), r"Argument `y` must have shape \(60, 1\), not \(5, 1\)"),
        ((x, y, ["one"]), "Argument `names` must have 2 entries"),
        ((x, y, "ab"), "Argument `names` must be a list of names"),
        ((x[:1], y[:1]), "Argument `x` must have at least 2 rows"),
        ((np.full((60, 2), np.nan), y), "Argument `x` must"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(tmp_path, arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        KAN([2, 2, 1]).explore(tmp_path / "page.html", *arguments)
    assert not list(tmp_path.iterdir())


def test_labels_are_told_from_targets(tmp_path):
    labels = (x[:, 0] > 0).astype(int)
    KAN([2, 2, 3], seed=0).explore(tmp_path / "page.html", x, labels)
    assert read(tmp_path / "page.html")["labels"]
    with pytest.raises(ValueError, match="Argument `y` must hold labels from 0 to 2"):
        KAN([2, 2, 3], seed=0).explore(tmp_path / "page.html", x, labels + 7)


def test_a_base_function_of_the_user_cannot_be_explored(tmp_path):
    with pytest.raises(ValueError, match="base function"):
        KAN([2, 2, 1], base_fun=(np.sin, np.cos)).explore(tmp_path / "page.html", x, y)
