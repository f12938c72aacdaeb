"""A user's code is checked by mypy against the types that numkan ships: what fits passes, and a mistake is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import numkan

pytest.importorskip("mypy")

GOOD = """
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import numkan
from numkan import KAN, Huber, KANLayer
from numkan.spline import B_batch, extend_grid
from numkan.train import FitResult, FitState

rng = np.random.default_rng(0)
x, y = rng.uniform(-1, 1, (100, 2)), rng.uniform(-1, 1, 100)


def watch(state: FitState) -> None:
    assert_type(state.loss, float)


class Mine(KAN):
    history: list[float]


model = KAN([2, 5, 1], grid=[5, 3], k=3, seed=rng, dtype=np.float32)
result = model.fit(x, y, loss=Huber(0.1), callback=watch, validation=(x, y))
assert_type(result, FitResult)
assert_type(result.loss, float)
assert_type([stage.grid for stage in result.stages], list[int])
assert_type(model.act_fun, tuple[KANLayer, ...])
assert_type(model.score(x, y), float)
assert_type(model.refine(10), KAN)
assert_type(Mine([2, 1]).copy(), Mine)
assert_type(Mine.load(Path("model.npz")), Mine)
found, table = numkan.search(x, y, effort=2)
assert_type(found, KAN)
values: NDArray[np.floating[Any]] = found.frozen()(x)
basis: NDArray[np.floating[Any]] = B_batch(x, extend_grid([[0.0, 1.0], [0.0, 1.0]], k_extend=3), k=3)
"""

BAD = """
from numkan import KAN

model = KAN([2, 5, 1], gird=5)
model.fit([[0.0]], [0.0], steps=[1])
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Return what mypy says of both, outside of the project and with no settings."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "good.py").write_text(GOOD, encoding="utf-8")
    (folder / "bad.py").write_text(BAD, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--follow-imports", "silent"]
    environment, home = os.environ.copy(), Path(numkan.__file__).parents[1]
    if home.name != "site-packages":  # mypy does not see editable installs
        environment["MYPYPATH"] = str(home)
    done = subprocess.run([*command, "good.py", "bad.py"], cwd=folder, env=environment, capture_output=True, text=True)
    return done.stdout.splitlines()


def test_typed_code_of_a_user_passes(checked):
    assert [line for line in checked if line.startswith("good.py")] == []


def test_mistakes_of_a_user_are_found(checked):
    found = [line.split(":")[:2] for line in checked if ": error:" in line]
    assert found == [["bad.py", "4"], ["bad.py", "5"]], checked
