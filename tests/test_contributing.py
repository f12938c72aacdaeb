"""What CONTRIBUTING says: a base function and a loss are each added by changing one file (a policy: test_add_policy).

Each change is made to a copy of the package, and tried in a process of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import numkan

PACKAGE = Path(numkan.__file__).parent

#: Appended to numkan/base.py.
TANH = """

def _tanh(dtype):
    one = dtype.type(1)

    @kernel
    def tanh(x):
        value = np.tanh(x)
        return value, one - value * value

    return tanh


BASE_FUNCTIONS["tanh"] = NamedFunction(_tanh, numpy="np.tanh(x)", c="tanh{f}({x})")
"""

#: Appended to numkan/model/losses.py.
LOG_COSH = """

class _LogCosh(Loss):
    name, means = "log_cosh", "mean log-cosh losses"

    def value(self, prediction, target):
        return np.log(np.cosh(prediction - target))

    def derivative(self, prediction, target):
        return np.tanh(prediction - target)


LOSSES["log_cosh"] = _LogCosh()
"""

START = """
import runpy
import numpy as np
from numkan import KAN
rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, (30, 2))
y = np.tanh(2 * x[:, :1]) + x[:, 1:]

def saved_and_loaded(model, folder):
    model.save(folder + "/model.npz")
    return KAN.load(folder + "/model.npz")
"""

TRY_BASE = """
layer = KAN([1, 1], grid=2, base_fun="tanh", seed=0)
layer.act_fun[0].coef[...] = 0
layer.act_fun[0].scale_base[...] = 2
np.testing.assert_allclose(layer(x[:, :1]), 2 * np.tanh(x[:, :1]), rtol=1e-14)
wide = KAN([1, 200], grid=2, base_fun="tanh", seed=0)  # samples sorted by piece
wide.act_fun[0].coef[...] = 0
wide.act_fun[0].scale_base[...] = 2
np.testing.assert_allclose(wide(x[:5, :1])[:, 3], 2 * np.tanh(x[:5, 0]), rtol=1e-14)
np.testing.assert_allclose(layer.derivative(x[:, :1])[:, 0], 2 - 2 * np.tanh(x[:, :1]) ** 2, rtol=1e-13)
for method in ("lm", "lbfgs", "adam"):
    model = KAN([2, 2, 1], grid=2, base_fun="tanh", seed=0)
    result = model.fit(x, y, method=method, steps=5, grids=None, start="keep")
    assert result.success and result.history.train[-1] < result.history.train[0]
model.to_numpy(folder + "/exported.py")
np.testing.assert_allclose(runpy.run_path(folder + "/exported.py")["predict"](x), model(x), rtol=1e-12)
model.to_c(folder + "/model.h")
assert "tanh(x[i])" in open(folder + "/model.h").read()
again = saved_and_loaded(model, folder)
assert again.act_fun[1].base_fun == "tanh" and (again(x) == model(x)).all()
"""

TRY_BASE_COMPILED = """
layer = KAN([1, 1], grid=2, base_fun="tanh", seed=0)
layer.act_fun[0].coef[...] = 0
layer.act_fun[0].scale_base[...] = 2
np.testing.assert_allclose(layer(x[:, :1]), 2 * np.tanh(x[:, :1]), rtol=1e-14)
"""

TRY_LOSS = """
model = KAN([2, 2, 1], grid=2, seed=0)
want = np.log(np.cosh(model(x) - y)).mean()
loss, grad = model.loss_and_grad(x, y, "log_cosh")
step = 1e-6 * grad
moved = model.copy()
moved.params = model.params + step
np.testing.assert_allclose([loss, model.loss(x, y, "log_cosh")], want, rtol=1e-14)
np.testing.assert_allclose(moved.loss(x, y, "log_cosh") - loss, grad @ step, rtol=1e-3)
for method in ("lbfgs", "adam"):
    model = KAN([2, 2, 1], grid=2, seed=0)
    result = model.fit(x, y, loss="log_cosh", method=method, steps=5, grids=None)
    assert result.success and result.history.train[-1] < result.history.train[0]
    assert result.loss_name == "log_cosh" and "mean log-cosh losses" in str(result)
assert (saved_and_loaded(model, folder)(x) == model(x)).all()
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(PACKAGE, tmp_path / "numkan", ignore=shutil.ignore_patterns("__pycache__", "conformance"))
    return tmp_path / "numkan"


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def run(package: Path, code: str, *, jit: bool = False) -> None:
    """Run code on a copy; kernels are compiled into a folder of its own, or not at all."""
    folder = package.parent
    environment = {**os.environ, "PYTHONPATH": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    if not jit:
        environment["NUMBA_DISABLE_JIT"] = "1"
    check = f"import numkan\nassert numkan.__file__.startswith({str(folder)!r})\nfolder = {str(folder)!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", check + START + code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_base_function_is_added_in_one_file(copy: Path) -> None:
    append(copy / "base.py", TANH)
    run(copy, TRY_BASE)


@pytest.mark.jit
def test_the_kernel_of_an_added_base_function_compiles(copy: Path) -> None:
    append(copy / "base.py", TANH)
    run(copy, TRY_BASE_COMPILED, jit=True)


def test_a_loss_is_added_in_one_file(copy: Path) -> None:
    append(copy / "model" / "losses.py", LOG_COSH)
    run(copy, TRY_LOSS)
