"""Every script in examples/ runs as its first lines say, holds what it asserts, and draws what it promises."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from numba import config

PROJECT = Path(__file__).parents[1]
SCRIPTS = sorted((PROJECT / "examples").glob("*.py"))

#: Those that run in seconds where the JIT is off as well.
LIGHT = ("api_5_grid", "check_my_kan")

#: Those that draw if they are given a name, and those that never do; the others draw in any case.
IF_ASKED, NEVER = ("formula", "inverse", "noisy_data", "pde"), ("cluster", "many_rows", "records")

#: What an example needs that tests do without.
NEEDS = {"cluster": "distributed"}

#: What a script must have printed, beside ending well.
PRINTED = {
    "api_5_grid": [
        r"model - \(base \+ spline\), mean square: 0\.0$",
        r"^\[\[-22\. -18\. -14\. -10\.  -6\.  -2\.   2\.   6\.  10\.  14\.  18\.  22\.\]\]$",
        r"^\[\[-1\.1 -0\.9 -0\.7 -0\.5 -0\.3 -0\.1  0\.1  0\.3  0\.5  0\.7  0\.9  1\.1\]\]$",
    ],
    "cluster": [
        r"^5000\d of 100000 rows, drawn once, for start and grids; all of them in the last stage$",
        r"^noise: 0\.(19|20)\d\d found, 0\.2 added$",
        r"^one worker and two give the same bits$",
        r"^RMSE against the truth, on new points: 0\.00[0-6]\d$",
    ],
    "formula": [
        r"^w = \(u \+ v\)/\(1\.11\d+e-5\*u\*v \+ 1\)$",
        r"^status: within noise$",
        r"^speed of light: (299\.[5-9]\d|300\.0\d) \+- 0\.0\d$",
    ],
    "noisy_data": [
        r"^noise: 0\.(09|1[01])\d found, 0\.1 added$",
        r"^RMSE against the truth, on new points: 0\.0[0-5]\d$",
        r"^edges of x_3: 0\.0[01]\d, vanished$",
    ],
    "check_my_kan": [
        r"^FAIL +P-PoU ",
        r"^before: \d+ of \d+ claimed laws hold, \d\d fail",
        r"^after: +(\d+) of \1 claimed laws hold, 0 fail",
    ],
    "inverse": [
        r"^rate: 0\.2[3-6]\d\d \+- 0\.00\d\d \(truth 0\.25\)$",
        r"^noise: 0\.0[45]\d found, 0\.05 added$",
    ],
    "many_rows": [
        r"^300000 rows in 8 files$",
        r"^5000\d of 300000 rows, drawn once, for start and grids; all of them in the last stage$",
        r"^noise: 0\.(19|20)\d\d found, 0\.2 added$",
        r"^RMSE against the truth, on new points: 0\.00[0-3]\d$",
    ],
    "pde": [
        r"^finished: The equations are solved",
        r"^relative error on new points: \d\.\de-(0[789]|1\d)$",
        r"^Laplacian / u: -19\.73920\d, -2 pi\^2 = -19\.739209$",
    ],
    "quickstart": [
        r"^ *grid +steps +train RMSE +held out +seconds$",
        *(rf"^ +{G} +\d+ +\S+e-\d\d +\S+e-\d\d +\d+\.\d\d$" for G in (5, 14, 42)),
        r"^RMSE on 1000 new points: \S+$",
    ],
    "real_data": [
        r"^442 patients, 10 columns, one of them a category, \d\d gaps",
        r"^ +KANRegressor +0\.4\d\d ",
        r"^ +HistGradientBoostingRegressor +0\.\d+",
        r"^what matters most: ",
    ],
    "records": [
        r"^published +3\.27e-08 +165$",
        *(rf"^seed {seed} +\d\.\d\de-(0[89]|1\d) +\d+\.\d\d$" for seed in range(5)),
        r"^median: \d+ times closer, \d+ times sooner$",
    ],
}


def run(script, folder):
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    asked = [f"{script.stem}.png"] if script.stem in IF_ASKED else []
    command = [sys.executable, "-W", "error", script, *asked]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_there_are_examples_and_each_is_known_here():
    assert sorted(PRINTED) == [script.stem for script in SCRIPTS]


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_runs_prints_and_draws(script, tmp_path):
    if config.DISABLE_JIT and script.stem not in LIGHT:
        pytest.skip("fits in plain Python take minutes")
    if script.stem in NEEDS:
        pytest.importorskip(NEEDS[script.stem])
    done = run(script, tmp_path)
    assert done.returncode == 0, done.stderr
    for pattern in PRINTED[script.stem]:
        assert re.search(pattern, done.stdout, re.MULTILINE), (pattern, done.stdout)
    if script.stem in NEVER:
        assert not any(tmp_path.iterdir())
        return
    (figure,) = tmp_path.iterdir()
    assert figure.name == f"{script.stem}.png"
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert figure.stat().st_size > 10_000  # something is on it


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_reads_as_a_tutorial(script):
    text = script.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) < 100
    assert ast.get_docstring(tree)
    assert ('matplotlib.use("Agg")' in text) == (script.stem not in NEVER)
    assert 'if __name__ == "__main__":' in text
    assert any(isinstance(node, ast.Assert) for node in ast.walk(tree))
    assert re.search(r"default_rng\(\d+\)|seed=\d+", text)
