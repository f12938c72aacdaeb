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

#: What a script must have printed, beside ending well.
PRINTED = {
    "api_5_grid": [
        r"model - \(base \+ spline\), mean square: 0\.0$",
        r"^\[\[-22\. -18\. -14\. -10\.  -6\.  -2\.   2\.   6\.  10\.  14\.  18\.  22\.\]\]$",
        r"^\[\[-1\.1 -0\.9 -0\.7 -0\.5 -0\.3 -0\.1  0\.1  0\.3  0\.5  0\.7  0\.9  1\.1\]\]$",
    ],
    "check_my_kan": [
        r"^FAIL +P-PoU ",
        r"^before: \d+ of \d+ claimed laws hold, \d\d fail",
        r"^after: +(\d+) of \1 claimed laws hold, 0 fail",
    ],
    "quickstart": [
        r"^ *grid +steps +train RMSE +test RMSE +seconds$",
        *(rf"^ +{G} +\d+ +\S+e-\d\d +\S+e-\d\d +\d+\.\d\d$" for G in (3, 5, 10, 20)),
        r"^RMSE on 1000 new points: \S+$",
    ],
    "real_data": [
        r"accuracy on those held out +9[6-9]\.\d%$",
        r"^ +KAN +0\.\d+",
        r"^ +StandardScaler \+ RidgeCV +0\.\d+",
    ],
}


def run(script, folder):
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-W", "error", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_there_are_examples_and_each_is_known_here():
    assert sorted(PRINTED) == [script.stem for script in SCRIPTS]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_runs_prints_and_draws(script, tmp_path):
    if config.DISABLE_JIT and script.stem not in LIGHT:
        pytest.skip("fits in plain Python take minutes")
    done = run(script, tmp_path)
    assert done.returncode == 0, done.stderr
    for pattern in PRINTED[script.stem]:
        assert re.search(pattern, done.stdout, re.MULTILINE), (pattern, done.stdout)
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
    assert 'matplotlib.use("Agg")' in text
    assert 'if __name__ == "__main__":' in text
    assert any(isinstance(node, ast.Assert) for node in ast.walk(tree))
    assert re.search(r"default_rng\(\d+\)|seed=\d+", text)
