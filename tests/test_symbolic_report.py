"""What validation/_symbolic_report.py says of records: several seeds, false claims, peers, misses and their causes."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "validation"))  # its scripts are no package

report = import_module("_symbolic_report")


def run(name, found=True, **more):
    own = {"name": name, "seed": 0, "noise": 0.0, "found": found, "status": "exact", "seconds": 2.0, "network": 1e-9}
    return {**own, "spread": 1.0, **more}


def record(*runs, packages="numkan 1"):
    about = {"date": "2026-12-01", "machine": "m", "system": "s", "packages": packages}
    return {"about": about, "runs": {f"{r['name']}, {r['seed']}": r for r in runs}}


def of_27(*seeds, missed=()):
    return record(*(run(f"f{k}", f"f{k}" not in missed, seed=seed) for seed in seeds for k in range(27)))


def test_formulas_of_several_seeds_are_counted_together():
    ((_, _, found, _),) = report.readme_rows({"feynman27": of_27(0, 1, 2, missed=("f3",))})
    assert found == "78 of 81"
    ((_, _, found, _),) = report.readme_rows({"feynman27": record(run("f0"), run("f0", seed=1))})
    assert found == "2 of 2 run of 54"
    noisy = of_27(0, missed=["f3"])
    ((_, _, found, _),) = report.readme_rows({"feynman27": of_27(0), "feynman27_noise_0.01": noisy})
    assert found == "27 of 27; 1 % noise 26 of 27"


def test_of_functions_that_no_formula_equals_none_is_exact_and_three_are_within_noise_at_most():
    kinds = ["exact", *["within noise"] * 4, "none"]
    runs = [run(f"g{k}", False, status=status) for k, status in enumerate(kinds)]
    exact, noisy = report.goals({"false": record(*runs)})
    assert (exact.value, exact.bound, exact.met) == (1, 0, False)
    assert (noisy.value, noisy.bound, noisy.met) == (4, 3, False)
    (exact,) = report.goals({"false_noise_0.01": record(*runs)})  # with noise, "within noise" is no claim
    assert exact.value == 1


def test_a_peer_is_counted_on_the_formulas_that_it_was_given():
    peer = record(run("f0"), run("f3"), run("f6", False), packages="pyoperon 9")
    data = {"feynman27": of_27(0, missed=("f3",)), "peer_pyoperon": peer}
    *_, goal = report.goals(data)
    assert (goal.what, goal.value, goal.bound) == ("3 of 27 formulas: more than pyoperon", 0, 1)
    assert "pyoperon 9 2 of 3 (numkan 2)" in report.section(data)
    assert report.claim(data).about["packages"] == "numkan 1"


def test_every_miss_is_named_under_its_cause():
    misses = [
        run("far", False, status="none", network=1e-2),
        run("odd", False, status="approximate"),
        run("long", False, status="approximate", stopped="the work was used up."),
    ]
    noisy = record(run("odd", False, status="within noise", noise=0.01))
    text = " ".join(report.section({"sealed": record(*misses), "feynman27_noise_0.01": noisy}).split())
    assert "the network is too far off for the tests: far." in text
    assert "no form passed: odd." in text
    assert "the work of `effort` was used up: long." in text
    assert "as close under the noise: odd, 0.01 noise." in text
