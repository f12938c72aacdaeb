"""Bad input is one sentence that names argument, rule and value, and changes nothing; odd but good input is no matter.

Every public callable meets every kind of bad input that it can be given. What each of them says in full, and the rules
of grids, curves and losses in detail, is in the test file of its module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import numkan
from numkan import KAN, KANLayer, plot
from numkan.conformance.adapter import Array
from numkan.conformance.law import assert_identical
from numkan.conformance.laws.bits import containers
from numkan.spline import (
    B_batch,
    coef2curve,
    curve2coef,
    design_matrix,
    extend_grid,
    greville,
    insert_knots,
    refinement_matrix,
    to_ppoly,
    to_scipy,
)
from tests.small_networks import points, results, state, targets

#: One sentence, and at most a hint.
SENTENCE = re.compile(r"^Argument `(?P<name>[^`]+)` must [^\n]+?[.)\]'}a-z0-9]\.( (Use|Did you mean) [^\n]+)?$")

N, N_IN, N_OUT = 6, 2, 2
X, Y, LABELS = points(N), targets(N), np.arange(N) % N_OUT
GRID = extend_grid(np.linspace(-1, 1, 5)[None, :], 2)
TWO_GRIDS = np.repeat(GRID, 2, axis=0)
COEF = np.ones((2, 3, 6))


def a_model() -> KAN:
    return KAN([N_IN, 3, N_OUT], grid=4, k=2, seed=3)


def complaint(name: str, part: str, call: Callable[..., object], *args: Any, **options: Any) -> str:
    """The one sentence that a call ends with; it names the argument, and the value as `part` says."""
    try:
        call(*args, **options)
    except (ValueError, TypeError) as error:
        said = str(error)
    else:
        raise AssertionError(f"`{name}` passed, which is {part}")
    match = SENTENCE.match(said)
    assert match, said
    assert match["name"] == name, said
    assert part in said, said
    return said


# --- samples and other arrays -------------------------------------------------------------------------------------


class Bad(NamedTuple):
    """Something that is no array of real numbers, and what the sentence says of it."""

    value: Any
    part: str


NO_NUMBERS = {
    "object": Bad(np.array([[1.0, None]] * N), "object"),
    "string": Bad(np.array([["1", "2"]] * N), "<U1"),
    "bytes": Bad(b"abc", "S3"),
    "complex": Bad(np.ones((N, 2)) * 1j, "complex128"),
    "date": Bad(np.zeros((N, 2), "M8[D]"), "datetime64[D]"),
    "masked": Bad(np.ma.masked_array(np.ones((N, 2)), np.eye(N, 2)), "masked"),
    "masked rows": Bad([np.ma.masked_array([1.0, 2.0], [True, False])] * N, "masked"),
    "masked entry": Bad([[1.0, np.ma.masked]] * N, "masked"),
    "None": Bad(None, "object"),
    "dict": Bad({"a": 1}, "object"),
    "unequal rows": Bad([[1.0, 2.0], [1.0]], "rows of equal length"),
    "large integers": Bad(np.full((N, 2), 2**53 + 1), "not 9007199254740993"),
    "large integers beside floats": Bad([[2**53 + 1, 0.5]] * N, "not 9007199254740993"),
}

WRONG_SAMPLES = {
    **NO_NUMBERS,
    "a number": Bad(1.0, "not ()"),
    "1-D, n_in numbers": Bad(np.ones(N_IN), "not (2,)"),
    "1-D, n numbers": Bad(np.ones(N), "not (6,)"),
    "3-D": Bad(np.ones((N, N_IN, 1)), "not (6, 2, 1)"),
    "too wide": Bad(np.ones((N, 3)), "not (6, 3)"),
    "too narrow": Bad(np.ones((N, 1)), "not (6, 1)"),
    "no columns": Bad(np.ones((N, 0)), "not (6, 0)"),
    "empty list": Bad([], "not (0,)"),
}


def with_place(shape: tuple[int, ...], value: float) -> Array:
    out = np.ones(shape)
    out[2, 1] = out[4, 0] = value
    return out


NOT_FINITE = {
    "NaN": Bad(with_place((N, 2), np.nan), "2 NaN or infinite entries, the first (nan) at (2, 1)"),
    "infinity": Bad(with_place((N, 2), np.inf), "2 NaN or infinite entries, the first (inf) at (2, 1)"),
    "negative infinity": Bad(with_place((N, 2), -np.inf), "the first (-inf) at (2, 1)"),
}
NO_ROWS = {"no rows": Bad(np.ones((0, 2)), "at least one")}

TAKES_SAMPLES: dict[str, Callable[[KAN, Any], object]] = {
    "model": lambda m, x: m(x),
    "frozen": lambda m, x: m.frozen()(x),
    "activations": lambda m, x: m.activations(x),
    "loss": lambda m, x: m.loss(x, Y),
    "loss_and_grad": lambda m, x: m.loss_and_grad(x, Y),
    "vjp": lambda m, x: m.vjp(x, Y),
    "jvp": lambda m, x: m.jvp(x),
    "derivative": lambda m, x: m.derivative(x),
    "jacobian": lambda m, x: m.jacobian(x),
    "residuals_and_jacobian": lambda m, x: m.residuals_and_jacobian(x, Y),
    "coverage": lambda m, x: m.coverage(x),
    "plot_network": lambda m, x: plot.plot_network(m, x if x is not None else {}),
    "layer": lambda m, x: m.act_fun[0](x),
    "layer.coverage": lambda m, x: m.act_fun[0].coverage(x),
}
TAKES_FINITE_SAMPLES: dict[str, Callable[[KAN, Any], object]] = {
    "fit": lambda m, x: m.fit(x, Y),
    "update_grid_from_samples": lambda m, x: m.update_grid_from_samples(x),
    "initialize_grid_from_parent": lambda m, x: m.initialize_grid_from_parent(a_model(), x),
    "layer.update_grid_from_samples": lambda m, x: m.act_fun[0].update_grid_from_samples(x),
    "layer.initialize_grid_from_parent": lambda m, x: m.act_fun[0].initialize_grid_from_parent(KANLayer(2, 3), x),
}


@pytest.mark.parametrize("function", [*TAKES_SAMPLES, *TAKES_FINITE_SAMPLES])
def test_wrong_samples_are_named_and_change_nothing(function: str) -> None:
    model = a_model()
    before = state(model)
    strict = function in TAKES_FINITE_SAMPLES
    call = (TAKES_FINITE_SAMPLES if strict else TAKES_SAMPLES)[function]
    for bad in {**WRONG_SAMPLES, **(NOT_FINITE | NO_ROWS if strict else {})}.values():
        complaint("x", bad.part, call, model, bad.value)
        assert state(model) == before


def test_one_sample_without_its_axis_is_one_clear_error() -> None:
    said = complaint("x", "", a_model(), [0.1, 0.2])
    assert said == "Argument `x` must have shape (n, 2), not (2,). Use x[None, :] for one sample."
    said = complaint("x", "", KAN([1, 1]), [0.1, 0.2, 0.3])
    assert said == "Argument `x` must have shape (n, 1), not (3,). Use x[:, None] for n samples of one number."


TAKES_TARGETS: dict[str, Callable[[KAN, Any], object]] = {
    "loss": lambda m, y: m.loss(X, y),
    "loss_and_grad": lambda m, y: m.loss_and_grad(X, y),
    "residuals_and_jacobian": lambda m, y: m.residuals_and_jacobian(X, y),
    "fit": lambda m, y: m.fit(X, y),
}
OTHER_ARRAYS: dict[str, tuple[str, Callable[[KAN, Any], object]]] = {
    **{f"{name}, y": ("y", call) for name, call in TAKES_TARGETS.items()},
    "fit, validation x": ("validation[0]", lambda m, x: m.fit(X, Y, validation=(x, Y))),
    "fit, validation y": ("validation[1]", lambda m, y: m.fit(X, Y, validation=(X, y))),
    "vjp, y_bar": ("y_bar", lambda m, y_bar: m.vjp(X, y_bar)),
    "jvp, x_dot": ("x_dot", lambda m, x_dot: m.jvp(X, None, {} if x_dot is None else x_dot)),
}


@pytest.mark.parametrize("which", OTHER_ARRAYS)
def test_wrong_targets_and_tangents_are_named_and_change_nothing(which: str) -> None:
    model = a_model()
    before = state(model)
    name, call = OTHER_ARRAYS[which]
    more = {"too few rows": Bad(np.ones((N - 1, 2)), "5"), "too many rows": Bad(np.ones((N + 1, 2)), "7")}
    if name not in ("y_bar", "x_dot"):
        more |= NOT_FINITE
    if name == "validation[0]":
        more = {**NOT_FINITE, **NO_ROWS}
    for bad in {**WRONG_SAMPLES, **more}.values():
        complaint(name, bad.part, call, model, bad.value)
        assert state(model) == before


VECTORS: dict[str, tuple[str, Callable[[KAN, Any], object]]] = {
    "params": ("params", lambda m, v: setattr(m, "params", v)),
    "unravel": ("vector", lambda m, v: m.unravel(v)),
    "jvp": ("params_dot", lambda m, v: m.jvp(X, {} if v is None else v)),
}


@pytest.mark.parametrize("which", VECTORS)
def test_vectors_of_the_wrong_form_are_named_and_change_nothing(which: str) -> None:
    model = a_model()
    before, n = state(model), model.n_params
    name, call = VECTORS[which]
    wrong = {length: Bad(np.ones(length), f"must have shape ({n},), not ({length},)") for length in (0, n - 1, n + 1)}
    forms = {"a row": Bad(np.ones((1, n)), f"not (1, {n})"), "a number": Bad(1.0, "not ()")}
    for bad in {**NO_NUMBERS, **wrong, **forms}.values():
        complaint(name, bad.part, call, model, bad.value)
        assert state(model) == before


WEIGHTS = {
    **NO_NUMBERS,
    "too few": Bad(np.ones(N - 1), "(5,)"),
    "2-D": Bad(np.ones((N, 1)), "(6, 1)"),
    "NaN": Bad([1, 1, np.nan, 1, 1, np.nan], "2 NaN or infinite entries, the first (nan) at 2"),
    "negative": Bad([1, 1, -2, 1, 1, 1], "-2"),
    "zero": Bad(np.zeros(N), "positive"),
}
TAKES_WEIGHTS: dict[str, tuple[str, Callable[[KAN, Any], object]]] = {
    "loss": ("sample_weight", lambda m, w: m.loss(X, Y, sample_weight=w)),
    "loss_and_grad": ("sample_weight", lambda m, w: m.loss_and_grad(X, Y, sample_weight=w)),
    "residuals_and_jacobian": ("sample_weight", lambda m, w: m.residuals_and_jacobian(X, Y, w)),
    "fit": ("sample_weight", lambda m, w: m.fit(X, Y, sample_weight=w)),
    "fit, validation": ("validation[2]", lambda m, w: m.fit(X, Y, validation=(X, Y, w))),
    "curve2coef": ("sample_weight", lambda m, w: curve2coef(X, np.ones((N, 2, 1)), GRID, 2, sample_weight=w)),
}


@pytest.mark.parametrize("which", TAKES_WEIGHTS)
def test_wrong_weights_are_named_and_change_nothing(which: str) -> None:
    model = a_model()
    before = state(model)
    name, call = TAKES_WEIGHTS[which]
    for bad in WEIGHTS.values():
        if bad.value is not None:
            complaint(name, bad.part, call, model, bad.value)
            assert state(model) == before


@pytest.mark.parametrize("which", ["loss", "loss_and_grad", "fit"])
def test_wrong_labels_are_named_and_change_nothing(which: str) -> None:
    model = a_model()
    before = state(model)
    wrong = {
        "too large": Bad([0, 1, 2, 0, 1, 0], "labels in [0, 2), not 2"),
        "negative": Bad([0, 1, -1, 0, 1, 0], "labels in [0, 2), not -1"),
        "fraction": Bad([0, 1, 0.5, 0, 1, 0], "integer labels, not 0.5"),
        "one-hot": Bad(np.eye(2)[LABELS], "(6, 2)"),
        "too few": Bad(LABELS[:-1], "(5,)"),
        "NaN": Bad([0, 1, np.nan, 0, 1, 0], "1 NaN or infinite entry, the first (nan) at 2"),
    }
    for bad in {**NO_NUMBERS, **wrong}.values():
        complaint("y", bad.part, getattr(model, which), X, bad.value, loss="cross_entropy")
        assert state(model) == before


# --- what a layer is assigned -------------------------------------------------------------------------------------

ASSIGNED = {
    "coef": [Bad(np.ones((2, 6, 3)), "(2, 3, 6), not (2, 6, 3)"), Bad(1.0, "not ()")],
    "scale_base": [Bad(np.ones((3, 2)), "(2, 3), not (3, 2)")],
    "scale_sp": [Bad(np.ones(3), "(2, 3), not (3,)")],
    "mask": [Bad(np.ones((2, 4)), "(2, 3), not (2, 4)")],
    "grid": [
        Bad(TWO_GRIDS[:, ::-1], "non-decreasing"),
        Bad(GRID, "(2, 9), not (1, 9)"),
        Bad(TWO_GRIDS[:, 1:], "not (2, 8)"),
        Bad(0 * TWO_GRIDS, "positive length"),
        Bad(np.where(TWO_GRIDS > 0.9, np.nan, TWO_GRIDS), "6 NaN or infinite entries, the first (nan) at (0, 6)"),
        Bad(GRID[0], "not (9,)"),
    ],
}


@pytest.mark.parametrize("name", ASSIGNED)
def test_what_a_layer_cannot_be_assigned_is_named_and_changes_nothing(name: str) -> None:
    model = a_model()
    before = state(model)
    for bad in (*ASSIGNED[name], *NO_NUMBERS.values()):
        complaint(name, bad.part, setattr, model.act_fun[0], name, bad.value)
        assert state(model) == before


# --- numbers, options and flags -----------------------------------------------------------------------------------

NO_INTEGER = [(2.0, "not 2.0"), (True, "not True"), ("3", "not '3'"), (1j, "not 1j"), (np.array(3), "not array(3)")]
NO_REAL = [("1", "not '1'"), (True, "not True"), (1j, "not 1j"), (np.array(0.5), "not array(0.5)"), ([1], "not [1]")]


def integer(least: int, *, none: bool = True) -> list[tuple[Any, str]]:
    """What is no integer, and what is too small."""
    wrong = [*NO_INTEGER, (least - 1, f"at least {least}, not {least - 1}"), (-(2**70), f"not {-(2**70)}")]
    return [*wrong, (None, "not None")] if none else wrong


def number(least: float | None = None, *, none: bool = True) -> list[tuple[Any, str]]:
    """What is no finite number, and what is too small."""
    wrong = [*NO_REAL, (np.nan, "not nan"), (np.inf, "not inf"), (10**400, "not 1000")]
    if least is not None:
        wrong += [(least - 0.5, f"not {least - 0.5}")]
    return [*wrong, (None, "not None")] if none else wrong


def option(nearly: str, meant: str) -> list[tuple[Any, str]]:
    return [(nearly, f"Did you mean '{meant}'?"), ("zzz", "not 'zzz'."), (3, "not 3."), (b"x", "not b'x'.")]


FLAG = [("no", "not 'no'"), (1, "not 1"), (None, "not None")]
SHARE = [*number(), (1.5, "[0, 1], not 1.5"), (-0.1, "[0, 1], not -0.1")]

OF_BOTH = {
    "noise_scale": number(),
    "scale_base_mu": number(),
    "scale_base_sigma": number(),
    "base_fun": [*option("Silu", "silu")[:2], (None, "not None"), ((np.sin,), "sin"), ((1, 2), "not (1, 2)")],
    "grid_eps": SHARE,
    "grid_range": [
        (5, "not 5"),
        (None, "not None"),
        ((0, 1, 2), "not (0, 1, 2)"),
        (("a", "b"), "not 'a'"),
        ((1, -1), "increasing, not (1, -1)"),
        ((1, 1), "increasing, not (1, 1)"),
        ((0, np.nan), "not nan"),
        (np.array(5), "not array(5)"),
        ((-1e308, 1e308), "1e+308"),
    ],
    "sp_trainable": FLAG,
    "sb_trainable": FLAG,
    "extrapolate": [*option("linaer", "linear"), (None, "not None.")],
    "init": [*option("powr", "power"), (None, "not None.")],
    "seed": [(-1, "not -1"), (1.5, "not 1.5"), ("a", "not 'a'"), (True, "not True"), ([1], "not [1]")],
    "dtype": [
        ("f2", "float16"),
        (int, "int64"),
        ("x", "not 'x'"),
        ("f4,,", "not 'f4,,'"),
        (3, "not 3"),
        ({"a": 1}, "not {'a': 1}"),
    ],
}
ONLY_KAN = {
    "grid": [*integer(1), ("44", "not '44'"), (b"ab", "not b'ab'"), ([4], "2 entries, one for each layer, not 1")],
    "k": [*integer(0), ([2, 2, 2], "2 entries, one for each layer, not 3"), ({1: 2}, "not {1: 2}")],
}


@pytest.mark.parametrize("name", [*OF_BOTH, *ONLY_KAN])
def test_a_constructor_names_what_it_cannot_take(name: str) -> None:
    for value, part in OF_BOTH.get(name, []) + ONLY_KAN.get(name, []):
        complaint(name, part, KAN, [2, 3, 1], **{name: value})
    layers = {**OF_BOTH, "grid": integer(1), "k": integer(0)}
    for value, part in layers[name]:
        complaint(name, part, KANLayer, 2, 3, **{name: value})


@pytest.mark.parametrize(
    ("width", "name", "part"),
    [
        (None, "width", "not None"),
        (3, "width", "not 3"),
        ("21", "width", "not '21'"),
        (b"\x02\x01", "width", "not b'"),
        ({2, 1}, "width", "not {"),
        (np.array(3), "width", "not array(3)"),
        ([], "width", "at least 2 entries, inputs and outputs, not []"),
        ([2], "width", "not [2]"),
        ([2, 0, 1], "width[1]", "at least 1, not 0"),
        ([2, -1], "width[1]", "at least 1, not -1"),
        ([2, 3.0, 1], "width[1]", "not 3.0"),
        ([2, True], "width[1]", "not True"),
        ([[2], [1]], "width[0]", "not [2]"),
        ([2, "1"], "width[1]", "not '1'"),
    ],
)
def test_a_width_is_a_list_of_positive_integers(width: Any, name: str, part: str) -> None:
    complaint(name, part, KAN, width)


def test_lists_for_layers_are_checked_entry_by_entry() -> None:
    complaint("grid[1]", "at least 1, not 0", KAN, [2, 3, 1], grid=[4, 0])
    complaint("k[0]", "not 2.0", KAN, [2, 3, 1], k=[2.0, 3])
    for value in (0, -1):
        complaint("n_in", f"at least 1, not {value}", KANLayer, value, 3)
        complaint("n_out", f"at least 1, not {value}", KANLayer, 2, value)
    for value, part in NO_INTEGER:
        complaint("n_in", part, KANLayer, value, 3)
        complaint("n_out", part, KANLayer, 2, value)


Setting = Callable[[KAN, Any], object]
SETTINGS: dict[str, tuple[str, Setting, list[tuple[Any, str]]]] = {
    "loss, loss": ("loss", lambda m, v: m.loss(X, Y, v), [*option("MSE", "mse"), (None, "not None.")]),
    "loss_and_grad, loss": (
        "loss",
        lambda m, v: m.loss_and_grad(X, LABELS, v),
        option("crossentropy", "cross_entropy"),
    ),
    "refine": ("grid", lambda m, v: m.refine(v), [*integer(1), ([4], "not 1"), ("44", "not '44'")]),
    "layer.refine": ("grid", lambda m, v: m.act_fun[0].refine(v), integer(1)),
    "update, margin": ("margin", lambda m, v: m.update_grid_from_samples(X, v), number(0)),
    "update, cond": ("cond", lambda m, v: m.update_grid_from_samples(X, cond=v), number(0)),
    "layer.update, cond": ("cond", lambda m, v: m.act_fun[0].update_grid_from_samples(X, cond=v), number(0)),
    "parent": (
        "parent",
        lambda m, v: m.initialize_grid_from_parent(v, X),
        [(KANLayer(2, 3), "not KANLayer"), (3, "int")],
    ),
    "parent, width": (
        "parent",
        lambda m, v: m.initialize_grid_from_parent(KAN(v), X),
        [([2, 3, 1], "width [2, 3, 2], not [2, 3, 1]"), ([2, 2], "not [2, 2]")],
    ),
    "extrapolate": (
        "extrapolate",
        lambda m, v: setattr(m, "extrapolate", v),
        [*option("fad", "fade"), (None, "not None."), (["nan"], "2 entries, one for each layer, not 1")],
    ),
    "layer, grid_eps": ("grid_eps", lambda m, v: setattr(m.act_fun[0], "grid_eps", v), SHARE),
    "layer, extrapolate": (
        "extrapolate",
        lambda m, v: setattr(m.act_fun[0], "extrapolate", v),
        [*option("fad", "fade"), (None, "not None.")],
    ),
    "fit, method": ("method", lambda m, v: m.fit(X, Y, method=v), [*option("lbfg", "lbfgs"), (None, "not None.")]),
    "fit, loss": ("loss", lambda m, v: m.fit(X, Y, loss=v), [*option("Mse", "mse"), (None, "not None.")]),
    "fit, steps": (
        "steps",
        lambda m, v: m.fit(X, Y, steps=v),
        [(-1, "at least 0, not -1"), (2.0, "not 2.0"), ("many", "not 'many'")],
    ),
    "fit, grids": (
        "grids",
        lambda m, v: m.fit(X, Y, grids=v),
        [("atuo", "Did you mean 'auto'?"), ([], "not 0"), (2.0, "not 2.0"), (np.array(5), "array(5)"), (b"a", "b'a'")],
    ),
    "fit, an entry of grids": (
        "grids[0]",
        lambda m, v: m.fit(X, Y, grids=[v, 4]),
        [*NO_INTEGER, (0, "at least 1, not 0"), (None, "not None")],
    ),
    "fit, validation": (
        "validation",
        lambda m, v: m.fit(X, Y, validation=v),
        [("some", "not 'some'"), (1.5, "not 1.5"), (0, "not 0"), (-0.5, "not -0.5"), (X, "ndarray"), ((X,), "tuple")],
    ),
    "fit, batch_size": ("batch_size", lambda m, v: m.fit(X, Y, batch_size=v), integer(1, none=False)),
    "fit, learning_rate": (
        "learning_rate",
        lambda m, v: m.fit(X, Y, method="adam", learning_rate=v),
        [*number(0.0, none=False), (0.0, "greater than 0, not 0.0")],
    ),
    "fit, patience": ("patience", lambda m, v: m.fit(X, Y, patience=v), integer(1, none=False)),
    "fit, lamb": ("lamb", lambda m, v: m.fit(X, Y, lamb=v), number(0.0)),
    "fit, lamb_l1": ("lamb_l1", lambda m, v: m.fit(X, Y, lamb_l1=v), number(0.0)),
    "fit, lamb_entropy": ("lamb_entropy", lambda m, v: m.fit(X, Y, lamb_entropy=v), number(0.0)),
    "fit, lamb_coef": ("lamb_coef", lambda m, v: m.fit(X, Y, lamb_coef=v), number(0.0)),
    "fit, lamb_coefdiff": ("lamb_coefdiff", lambda m, v: m.fit(X, Y, lamb_coefdiff=v), number(0.0)),
    "fit, update_grid": ("update_grid", lambda m, v: m.fit(X, Y, update_grid=v), FLAG),
    "fit, grid_update_num": ("grid_update_num", lambda m, v: m.fit(X, Y, grid_update_num=v), integer(0)),
    "fit, callback": ("callback", lambda m, v: m.fit(X, Y, callback=v), [(3, "not 3"), ("f", "not 'f'")]),
    "fit, progress": ("progress", lambda m, v: m.fit(X, Y, progress=v), FLAG),
    "fit, time_limit": ("time_limit", lambda m, v: m.fit(X, Y, time_limit=v), number(0.0, none=False)),
    "fit, random_state": (
        "random_state",
        lambda m, v: m.fit(X, Y, random_state=v),
        [(-1, "not -1"), (1.5, "not 1.5"), ("a", "not 'a'")],
    ),
    "save": ("path", lambda m, v: m.save(v), [(None, "None"), (3, "3"), (True, "True"), (["m.npz"], "m.npz")]),
    "load": ("path", lambda m, v: KAN.load(v), [(None, "None"), (-1, "-1"), (["m.npz"], "m.npz")]),
    "set_threads": ("n", lambda m, v: numkan.set_threads(v), integer(1)),
    "plot_network, model": ("model", lambda m, v: plot.plot_network(v), [(3, "int"), (None, "NoneType")]),
    "plot_network, inputs": (
        "inputs",
        lambda m, v: plot.plot_network(m, inputs=v),
        [(["a"], "2 entries, one for each node, not 1"), (3, "3")],
    ),
    "plot_network, outputs": (
        "outputs",
        lambda m, v: plot.plot_network(m, outputs=v),
        [(["a", "b", "c"], "2 entries, one for each node, not 3")],
    ),
    "plot_basis, k": ("k", lambda m, v: plot.plot_basis(GRID, v), integer(0)),
    "plot_basis, grid": (
        "grid",
        lambda m, v: plot.plot_basis(v, 2),
        [
            (3, "not ()"),
            (TWO_GRIDS, "not (2, 9)"),
            (GRID[0, ::-1], "non-decreasing"),
            ("a", "<U1"),
            (GRID[0] * 1j, "complex"),
        ],
    ),
    "plot_history": (
        "history",
        lambda m, v: plot.plot_history(v),
        [(3, "int"), (None, "NoneType"), (range(3), "range"), ({"step": 3}, "not 3"), ({"train": "a"}, "not 'a'")],
    ),
}


@pytest.mark.parametrize("which", SETTINGS)
def test_a_wrong_setting_is_named_and_changes_nothing(which: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    model, threads = a_model(), numkan.get_threads()
    before = state(model)
    name, call, wrong = SETTINGS[which]
    for value, part in wrong:
        complaint(name, part, call, model, value)
        assert state(model) == before
        assert numkan.get_threads() == threads
        assert not list(tmp_path.iterdir())


def test_a_loss_and_a_grid_need_samples() -> None:
    model, none = a_model(), np.zeros((0, 2))
    for call in (
        lambda: model.loss(none, none),
        lambda: model.loss_and_grad(none, none),
        lambda: model.residuals_and_jacobian(none, none),
        lambda: model.fit(none, none),
        lambda: model.update_grid_from_samples(none),
        lambda: model.act_fun[0].update_grid_from_samples(none),
    ):
        complaint("x", "at least one row", call)


@pytest.mark.parametrize(
    ("pair", "part"),
    [
        ((lambda x: x + 1j, np.cos), "a value"),
        ((lambda x: x[:, 0], np.cos), "not to shape (6,)"),
        ((np.sin, lambda x: np.ones(3)), "a derivative"),
        ((np.sin, lambda x: x.astype(str)), "a derivative"),
        ((lambda x: [[1.0], [1.0, 2.0]], np.cos), "a value"),
        ((lambda x: None, np.cos), "a value"),
    ],
)
def test_a_base_function_that_returns_something_else_is_named(pair: Any, part: str) -> None:
    model = KAN([2, 3, 2], grid=4, k=2, base_fun=pair)
    before = model.params.tobytes()
    for call in (lambda: model(X), lambda: model.loss_and_grad(X, Y), lambda: model.frozen()(X)):
        complaint("base_fun", part, call)
    complaint("base_fun", part, model.fit, X, Y)
    assert model.params.tobytes() == before


# --- numkan.spline ------------------------------------------------------------------------------------------------

ROW = GRID[0]
FINER = extend_grid(np.linspace(-1, 1, 9)[None, :], 2)[0]
SPLINE_ARRAYS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "B_batch, x": ("x", lambda v: B_batch(v, TWO_GRIDS, 2)),
    "B_batch, grid": ("grid", lambda v: B_batch(X, v, 2)),
    "extend_grid": ("grid", lambda v: extend_grid(v, 2)),
    "greville": ("grid", lambda v: greville(v, 2)),
    "coef2curve, x_eval": ("x_eval", lambda v: coef2curve(v, GRID, COEF, 2)),
    "coef2curve, grid": ("grid", lambda v: coef2curve(X, v, COEF, 2)),
    "coef2curve, coef": ("coef", lambda v: coef2curve(X, GRID, v, 2)),
    "curve2coef, x_eval": ("x_eval", lambda v: curve2coef(v, np.ones((N, 2, 1)), GRID, 2)),
    "curve2coef, y_eval": ("y_eval", lambda v: curve2coef(X, v, GRID, 2)),
    "curve2coef, grid": ("grid", lambda v: curve2coef(X, np.ones((N, 2, 1)), v, 2)),
    "design_matrix, x": ("x", lambda v: design_matrix(v, ROW, 2)),
    "design_matrix, grid_row": ("grid_row", lambda v: design_matrix([0.5], v, 2)),
    "insert_knots, grid": ("grid", lambda v: insert_knots(v, COEF, 2, [0.3])),
    "insert_knots, coef": ("coef", lambda v: insert_knots(TWO_GRIDS, v, 2, [0.3])),
    "refinement_matrix, grid_row": ("grid_row", lambda v: refinement_matrix(v, FINER, 2)),
    "refinement_matrix, finer_row": ("finer_row", lambda v: refinement_matrix(ROW, v, 2)),
    "to_scipy, grid_row": ("grid_row", lambda v: to_scipy(v, np.ones(6), 2)),
    "to_scipy, coef_row": ("coef_row", lambda v: to_scipy(ROW, v, 2)),
    "to_ppoly, coef_row": ("coef_row", lambda v: to_ppoly(ROW, v, 2)),
    "silu": ("x", numkan.silu),
}


@pytest.mark.parametrize("which", SPLINE_ARRAYS)
def test_arrays_of_splines_that_are_no_numbers_are_named(which: str) -> None:
    name, call = SPLINE_ARRAYS[which]
    wrong = dict(NO_NUMBERS)
    if which != "silu":
        wrong["a number"] = Bad(1.0, "()")
        wrong["4-D"] = Bad(np.ones((2, 2, 2, 2)), "(2, 2, 2, 2)")
    for bad in wrong.values():
        complaint(name, bad.part, call, bad.value)


SPLINE_SETTINGS: dict[str, tuple[str, Callable[[Any], object], list[tuple[Any, str]]]] = {
    "B_batch, k": ("k", lambda v: B_batch(X, GRID, v), integer(0)),
    "B_batch, nu": ("nu", lambda v: B_batch(X, GRID, 2, v), integer(0)),
    "B_batch, k too large": ("grid", lambda v: B_batch(X, GRID, v), [(4, "at least 2k + 2 = 10 knots")]),
    "B_batch, decreasing": ("grid", lambda v: B_batch(X, GRID[:, ::-1], v), [(2, "non-decreasing")]),
    "extend_grid, k_extend": ("k_extend", lambda v: extend_grid(GRID, v), integer(0)),
    "extend_grid, decreasing": ("grid", lambda v: extend_grid(v, 2), [([[0.0, -1.0]], "non-decreasing")]),
    "greville, k": ("k", lambda v: greville(GRID, v), integer(0)),
    "coef2curve, k": ("k", lambda v: coef2curve(X, GRID, COEF, v), integer(0)),
    "coef2curve, nu": ("nu", lambda v: coef2curve(X, GRID, COEF, 2, v), integer(0)),
    "coef2curve, extrapolate": (
        "extrapolate",
        lambda v: coef2curve(X, GRID, COEF, 2, extrapolate=v),
        [*option("linaer", "linear"), (None, "not None.")],
    ),
    "curve2coef, k": ("k", lambda v: curve2coef(X, np.ones((N, 2, 1)), GRID, v), integer(0)),
    "curve2coef, x_eval": (
        "x_eval",
        lambda v: curve2coef(v, np.ones((N, 2, 1)), GRID, 2),
        [(bad.value, bad.part) for bad in NOT_FINITE.values()],
    ),
    "curve2coef, extrapolate": (
        "extrapolate",
        lambda v: curve2coef(X, np.ones((N, 2, 1)), GRID, 2, extrapolate=v),
        [*option("clmap", "clamp"), (None, "not None.")],
    ),
    "design_matrix, k": ("k", lambda v: design_matrix([0.5], ROW, v), integer(0)),
    "insert_knots, k": ("k", lambda v: insert_knots(TWO_GRIDS, COEF, v, [0.3]), integer(0)),
    "refinement_matrix, k": ("k", lambda v: refinement_matrix(ROW, FINER, v), integer(0)),
    "to_scipy, k": ("k", lambda v: to_scipy(ROW, np.ones(6), v), integer(0)),
}


@pytest.mark.parametrize("which", SPLINE_SETTINGS)
def test_wrong_settings_of_splines_are_named(which: str) -> None:
    name, call, wrong = SPLINE_SETTINGS[which]
    for value, part in wrong:
        complaint(name, part, call, value)


# --- odd, but good ------------------------------------------------------------------------------------------------


def frames(x: Array) -> dict[str, Any]:
    """Data frames of one block, of one block a column, and of columns of different dtypes."""
    columns = [f"c{place}" for place in range(x.shape[1])]
    frame = pd.DataFrame(x, columns=columns, index=range(5, 5 + len(x)))
    apart = pd.DataFrame({name: x[:, place].copy() for place, name in enumerate(columns)})
    return {"frame": frame, "frame, column by column": apart, "frame, turned over": frame[::-1][::-1]}


def odd(x: Array, folder: Path) -> Iterator[tuple[str, Any]]:
    mapped = np.memmap(folder / "x", x.dtype, "w+", shape=x.shape)
    mapped[...] = x
    mapped.flush()
    yield from {**containers(x), **frames(x)}.items()
    yield "memory-mapped", mapped
    yield "memory-mapped, read-only", np.memmap(folder / "x", x.dtype, "r", shape=x.shape)
    yield "matrix", x.view(type("Own", (np.ndarray,), {}))


def trained(x: Any, y: Any) -> tuple[KAN, list[Array]]:
    model = a_model()
    result = model.fit(x, y, steps=2, grids=None, validation=None)
    return model, [np.array(result.loss), model.params, *(layer.grid for layer in model.act_fun)]


def updated(x: Any) -> list[Array]:
    model = a_model()
    model.update_grid_from_samples(x)
    return [model.params, *(layer.grid for layer in model.act_fun)]


@pytest.mark.jit
def test_any_container_of_samples_and_targets_gives_the_bits_of_a_plain_array(tmp_path: Path) -> None:
    model = a_model()
    weight = np.arange(N) + 0.5
    want = results(model, X, Y)
    loss = model.loss_and_grad(X, Y, sample_weight=weight)
    fitted, grids = trained(X, Y)[1], updated(X)
    (tmp_path / "y").mkdir()
    for (what, x), (_, y) in zip(odd(X, tmp_path), odd(Y, tmp_path / "y"), strict=True):
        for name, got in results(model, x, y).items():
            assert_identical(got, want[name], f"{name}, {what}")
        for mixed in (
            model.loss_and_grad(x, Y, sample_weight=weight.tolist()),
            model.loss_and_grad(X, y, "mse", weight),
        ):
            assert mixed[0] == loss[0], what
            assert_identical(mixed[1], loss[1], what)
        for got, wanted in ((trained(x, y)[1], fitted), (updated(x), grids)):
            for one, other in zip(got, wanted, strict=True):
                assert_identical(one, other, what)


def test_weights_labels_and_targets_of_one_output_come_in_any_container() -> None:
    model, weight, y = KAN([2, 1], grid=4, k=2), np.arange(N) + 0.5, targets(N, 1)
    want = model.loss_and_grad(X, y, sample_weight=weight)
    series = pd.Series(weight, index=range(3, 3 + N))
    for same in (weight.tolist(), tuple(weight), weight[::-1].copy()[::-1], weight.astype(">f8"), series):
        got = model.loss_and_grad(X, pd.Series(y[:, 0]), sample_weight=same)
        assert got[0] == want[0]
        assert_identical(got[1], want[1])
    both = a_model()
    want = both.loss_and_grad(X, LABELS, "cross_entropy")
    for labels in (LABELS.tolist(), LABELS.astype(">i2"), np.repeat(LABELS, 2)[::2], pd.Series(LABELS)):
        assert_identical(both.loss_and_grad(X, labels, "cross_entropy")[1], want[1])


def test_integers_of_any_width_are_the_numbers_that_they_are() -> None:
    whole = np.array([[1, 0], [2, 3], [0, 1], [3, 3], [1, 2], [0, 2]])
    model = a_model()
    want = results(model, whole.astype(float), whole.astype(float))
    fitted, grids = trained(whole.astype(float), Y)[1], updated(whole.astype(float))
    for same in (whole, whole.tolist(), whole.astype(np.uint8), whole.astype(">i4"), whole.astype(np.float16)):
        for name, got in results(model, same, same).items():
            assert_identical(got, want[name], name)
        for got, wanted in ((trained(same, Y)[1], fitted), (updated(same), grids)):
            for one, other in zip(got, wanted, strict=True):
                assert_identical(one, other)
    most = [[2**53, -(2**53)]]
    assert_identical(model(most), model(np.array(most, float)))


def test_params_and_views_take_any_container() -> None:
    model = a_model()
    vector = np.random.default_rng(0).normal(size=model.n_params)
    for same in (vector.tolist(), tuple(vector), np.repeat(vector, 2)[::2], vector.astype(">f8"), pd.Series(vector)):
        model.params = 0 * vector
        model.params = same
        assert_identical(model.params, vector)
    layer = model.act_fun[0]
    coef = np.random.default_rng(1).normal(size=layer.coef.shape)
    for same in (coef.tolist(), np.asfortranarray(coef), coef[::-1].copy()[::-1], coef.astype(">f8")):
        layer.coef = same
        assert_identical(layer.coef, coef)
    for same in (TWO_GRIDS.tolist(), np.asfortranarray(TWO_GRIDS), TWO_GRIDS.astype(">f8"), pd.DataFrame(TWO_GRIDS)):
        layer.grid = same
        assert_identical(layer.grid, TWO_GRIDS)
