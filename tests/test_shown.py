"""numkan._shown: a message shows one line of a value, and no more than its beginning, whatever the value is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import numkan
from numkan import KAN, KANLayer, plot
from numkan._shown import shortened, shown
from numkan.optimize import adam, lbfgs, levenberg_marquardt
from numkan.spline import B_batch


class Many:
    """Its repr has many lines."""

    def __repr__(self) -> str:
        return "first\n  second\r\n" * 100_000


class Broken:
    """It has no repr."""

    def __repr__(self) -> str:
        raise RuntimeError("mine")


ITSELF: list[Any] = [1]
ITSELF += [ITSELF, ITSELF]
LONG: dict[str, Any] = {
    "list": [0.5] * 300_000,
    "nested list": [["entry" * 50] * 50] * 50,
    "text": "a" * 1_500_000,
    "bytes": b"\n" * 1_500_000,
    "dict": {str(place): place for place in range(100_000)},
    "set": set(range(100_000)),
    "integer": -(10**100_000),
    "array": np.ones((300, 1000)),
    "frame": pd.DataFrame(np.ones((300, 10))),
    "many lines": Many(),
    "broken": Broken(),
    "itself": ITSELF,
    "class": type("A" * 5000, (), {}),
}


@pytest.mark.parametrize("value", LONG.values(), ids=LONG)
def test_no_value_takes_more_than_100_characters_of_one_line(value: Any) -> None:
    said = shown(value)
    assert 0 < len(said) <= 100
    assert said.splitlines() == [said]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, "3"),
        (None, "None"),
        ("it's", '"it\'s"'),
        ((1, [2, "b"]), "(1, [2, 'b'])"),
        (np.float64(0.1), "np.float64(0.1)"),
        (np.array(3), "array(3)"),
        (-(2**70), "-1180591620717411303424"),
        (np.zeros((2, 3), np.float32), "an array of shape (2, 3) and dtype float32"),
        (np.ma.zeros(2), "a MaskedArray of shape (2,) and dtype float64"),
        (pd.DataFrame({"a": [1]}), "a DataFrame of shape (1, 1)"),
        (Broken(), "<Broken instance at 0x"),
        (10**5000, "an integer of 16610 bits"),
    ],
    ids=range(12),
)
def test_short_values_are_shown_whole_and_others_by_what_they_are(value: Any, said: str) -> None:
    assert shown(value).startswith(said)
    assert len(shown(value)) == len(said) or isinstance(value, Broken)


def test_texts_are_cut_to_a_length() -> None:
    assert shortened("a\nb") == "a b"
    assert shortened("a" * 300, 10) == "aaaaaaa..."


ENTRIES: dict[str, Callable[[Any], object]] = {
    **{
        name: lambda value, name=name: KAN([2, 1], **{name: value})  # type: ignore[misc]
        for name in ("grid", "k", "seed", "dtype", "base_fun", "grid_range", "extrapolate", "init", "noise_scale")
    },
    **{
        f"fit, {name}": lambda value, name=name: KAN([2, 1]).fit(np.zeros((9, 2)), np.zeros(9), **{name: value})  # type: ignore[misc]
        for name in ("method", "steps", "grids", "loss", "validation", "callback", "lamb", "progress", "random_state")
    },
    "width": KAN,
    "n_in": lambda value: KANLayer(value, 1),
    "x": KAN([2, 1]),
    "params": lambda value: setattr(KAN([2, 1]), "params", value),
    "policy": lambda value: setattr(KAN([2, 1]), "extrapolate", value),
    "refine": lambda value: KAN([2, 1]).refine(value),
    "load": lambda value: KAN.load(value) if not isinstance(value, str | bytes) else KAN.load(3),  # type: ignore[arg-type]
    "widths": lambda value: numkan.search(np.zeros((9, 2)), np.zeros(9), widths=value),
    "silu": lambda value: numkan.silu(value) if not isinstance(value, list | np.ndarray) else numkan.silu("a"),  # type: ignore[arg-type]
    "B_batch": lambda value: B_batch([[0.0]], [[0.0, 1.0]], value),
    "lbfgs": lambda value: lbfgs(lambda x: (value, x), [1.0]),
    "adam": lambda value: adam(lambda x: (0.0, x), [1.0], schedule=value),
    "levenberg_marquardt": lambda value: levenberg_marquardt(lambda x: (x, value), [1.0]),
    "inputs": lambda value: plot.plot_network(KAN([2, 1]), inputs=value),
    "history": plot.plot_history,
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_point_complains_in_one_short_line(entry: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for what, value in LONG.items():
        if what == "class" and entry in ("fit, callback", "adam"):  # may be called
            continue
        if (entry, what) in (("silu", "frame"), ("history", "dict")):  # are welcome
            continue
        with pytest.raises((ValueError, TypeError), match=r"^Argument `") as caught:
            ENTRIES[entry](value)
        said = str(caught.value)
        assert len(said) <= 400, (what, said[:500])
        assert len(said.splitlines()) == 1, (what, said)
