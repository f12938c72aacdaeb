"""An extrapolation policy is added by changing one production file: here a copy of the package learns a new one."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numkan

PACKAGE = Path(numkan.__file__).parent

#: The end polynomial goes on mirrored for a tenth of the domain, then the value that it has there.
MIRROR = """

def _mirror(end: End) -> list[Piece]:
    far = end.rounded(end.knot + 0.1 * end.sign * end.length)
    centre = 2 * end.knot - end.inside.centre
    mirrored = end.inside._replace(begin=end.begin, centre=centre, inverse=-end.inside.inverse)
    return [mirrored, end.constant(far, 2 * end.knot - far)]


POLICIES["mirror"] = Policy(_mirror, lambda k: 2)
EXTRAPOLATIONS = tuple(POLICIES)
"""

#: What the copy is asked: curves, both families of kernels, derivatives, grids, training, pruning and files.
USE = """
import numpy as np
from numkan import KAN, SplineBasis
from numkan.model.evaluate import all_activations
from numkan.spline import B_batch, coef2curve, extend_grid

rng = np.random.default_rng(0)
grid = extend_grid(np.linspace(-1, 1, 6)[None], 3)
basis, end = SplineBasis(grid, 3, "mirror"), np.array([[0.03], [0.15], [0.5]])
for side in (-1, 1):
    want = B_batch(side * (1 - np.minimum(end, 0.2)), grid, 3)
    np.testing.assert_allclose(basis.values(side * (1 + end)), want, atol=1e-13)

model = KAN([2, 3, 1], extrapolate="mirror", seed=0)
x = rng.uniform(-1.6, 1.6, (9, 2))
y = x
for layer in model.act_fun:
    curves = coef2curve(y, layer.grid, layer.coef, 3, extrapolate="mirror")
    base = y / (1 + np.exp(-y))
    y = (layer.scale_sp * curves + layer.scale_base * base[:, :, None]).sum(axis=1)
assert model._direct() is not None
for found in (model(x), all_activations(model._pack(), x)[-1], model.activations(x)[-1], model.frozen()(x)):
    np.testing.assert_allclose(found, y, atol=1e-13)

h = 1e-6 * np.eye(2)
want = np.stack([(model(x + step) - model(x - step)) / 2e-6 for step in h], axis=2)
np.testing.assert_allclose(model.derivative(x), want, atol=1e-7)
bar = rng.normal(size=(9, 1))
np.testing.assert_allclose(model.vjp(x, bar)[1], (want * bar[:, :, None])[:, 0], atol=1e-7)
change = rng.normal(size=model.n_params)
np.testing.assert_allclose(model.jvp(x, change)[:, 0], model.jacobian(x)[:, 0] @ change, atol=1e-12)
loss, grad = model.loss_and_grad(x, bar)
np.testing.assert_allclose(grad, model.vjp(x, 2 / 9 * (model(x) - bar))[0], atol=1e-13)

model.save("model.npz")
np.testing.assert_array_equal(KAN.load("model.npz")(x), model(x))
np.testing.assert_allclose(model.prune()(x), model(x), atol=1e-13)
np.testing.assert_allclose(model.refine(10)(x / 2), model(x / 2), atol=1e-12)
model.update_grid_from_samples(x)
model.fit(x, bar, method="lm", steps=2, grids=[3], start="keep")
model.fit(x, bar, method="adam", steps=2)
assert np.isfinite(model(x)).all() and model.extrapolate == "mirror"
print("done")
"""


def test_a_policy_is_added_in_one_file(tmp_path: Path) -> None:
    copy = tmp_path / "numkan"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / "spline" / "policies.py").open("a", encoding="utf-8") as file:
        file.write(MIRROR)
    changed = [path for path in copy.rglob("*.py") if not filecmp.cmp(path, PACKAGE / path.relative_to(copy), False)]
    assert changed == [copy / "spline" / "policies.py"]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", USE],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "done\n", done.stderr
