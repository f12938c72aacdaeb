"""Claim: formulas are recovered exactly from samples, told nothing but the samples, and none is claimed that is wrong.

Run ``python validation/symbolic.py [--set NAME ...] [--seeds 0 1 2] [--noise 0.01] [--only NAME ...] [--write]``; a
formula takes seconds. Sets: ``feynman27``, ``units``, ``strogatz``, ``sealed``, ``false``. Targets have n = 2000
samples, uniform in the box. Without noise a formula is recovered where it agrees with the truth to 1e-9 of the
targets' deviation at 1000 fresh points. With noise (on the training targets, relative to their deviation) it is
recovered by SRBench's rule: its numbers rounded to three decimals, it is the truth up to an added or a multiplied
constant.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import sympy
from _results import write
from _symbolic_coverage import covered
from _symbolic_false import false_claims
from _symbolic_peers import PEERS, best_of
from _symbolic_report import cause, keep, load_set
from _symbolic_sealed import sealed
from _symbolic_sets import dimensionless, strogatz, with_units

from numkan import symbolic

FILE = Path(__file__)
ROWS, FRESH, AGREES = 2000, 1000, 1e-9
LEAST = 20.0
PEER_AGREES = 1e-6  # peers answer with decimals, pyoperon in float32: the kindest reading
SETS = {"feynman27": dimensionless, "units": with_units, "strogatz": strogatz, "sealed": sealed, "false": false_claims}


def recovered_by_rule(formula: Any, case: Any, fresh: Any) -> bool:
    """Tell whether formula - truth or formula / truth is a constant, the formula's numbers rounded to 3 decimals."""
    if formula.status == "none":
        return False
    expression = formula.sympy()
    expression = expression.xreplace({f: sympy.Float(round(float(f), 3)) for f in expression.atoms(sympy.Float)})
    symbols = [next((s for s in expression.free_symbols if str(s) == n), sympy.Symbol(n)) for n in formula.names]
    y, f = case(fresh), sympy.lambdify(symbols, expression, ["numpy", "scipy"])(*fresh.T) + np.zeros(len(fresh))
    added = float(np.std(f - y)) / float(np.std(y))
    ratio = f / y
    times = float(np.std(ratio) / abs(np.mean(ratio))) if np.isfinite(ratio).all() else np.inf
    return min(added, times) < 1e-9


def run(case: Any, seed: int, noise: float, time_limit: float | None) -> dict[str, Any]:
    """Find one formula and judge it."""
    rng = np.random.default_rng(seed)
    x = case.draw(ROWS, rng)
    fresh = case.draw(FRESH, rng)
    y, truth = case(x), case(fresh)
    noisy = y + noise * y.std() * rng.normal(size=len(y))
    began, wall = time.process_time(), time.perf_counter()
    formula = symbolic.find(x, noisy, random_state=seed, time_limit=time_limit)
    seconds = time.process_time() - began
    error = float(np.sqrt(np.mean(np.square(formula(fresh) - truth)))) / (float(np.std(truth)) or 1.0)
    if noise:
        found = recovered_by_rule(formula, case, fresh)
    else:
        found = formula.status != "none" and error < AGREES
    return {
        "name": case.name, "seed": seed, "noise": noise, "truth": case.text, "found": bool(found), "error": error,
        "status": formula.status, "seconds": round(seconds, 2), "wall": round(time.perf_counter() - wall, 1),
        "formula": str(formula)[:300], "stopped": formula.stopped, "network": formula.error.network,
        "covered": covered(formula, x, y) if noise else None, "spread": float(np.std(truth)),
    }  # fmt: skip


def run_peer(peer: str, case: Any, seed: int, budget: float) -> dict[str, Any]:
    """Give a peer the same samples and so many CPU seconds."""
    rng = np.random.default_rng(seed)
    x = case.draw(ROWS, rng)
    fresh = case.draw(FRESH, rng)
    y, truth = case(x), case(fresh)
    predict, text, seconds, answers = best_of(peer, x, y, seed, budget)
    error = np.inf
    if predict is not None:
        with np.errstate(all="ignore"):
            error = float(np.sqrt(np.mean(np.square(np.asarray(predict(fresh)) - truth)))) / float(np.std(truth))
    return {
        "name": case.name, "seed": seed, "noise": 0.0, "truth": case.text, "found": bool(error < PEER_AGREES),
        "error": error, "status": f"{answers} answers", "seconds": round(seconds, 2), "budget": round(budget, 1),
        "formula": text[:300], "network": float("nan"),
    }  # fmt: skip


def budgets() -> dict[str, float]:
    """Return ten times the CPU seconds of each of the 27 formulas, as they have been written down, 20 at least."""
    runs = load_set("feynman27")["runs"].values()
    return {r["name"]: max(10.0 * r["seconds"], LEAST) for r in runs if r["seed"] == 0}


def file_name(name: str, noise: float) -> str:
    """Return what the file of a set is called."""
    return f"{name}_noise_{noise:g}" if noise else name


def report(name: str, runs: Iterable[dict[str, Any]]) -> str:
    """Return the line of a set and its table of misses."""
    runs = list(runs)
    found = sum(r["found"] for r in runs)
    seconds = [r["seconds"] for r in runs]
    wrong = [r for r in runs if r["status"] == "exact" and not r["found"]]
    noisy = [r for r in runs if r["status"] == "within noise" and not r["noise"]]
    lines = [
        f"{name}: {found} of {len(runs)} recovered; "
        f"CPU seconds median {np.median(seconds):.1f}, worst {max(seconds):.1f}; "
        f'false "exact": {len(wrong)}; "within noise" without noise: {len(noisy)}'
    ]
    for r in runs:
        if not r["found"] and not name.startswith("false"):
            lines.append(
                f"  missed {r['name']} (seed {r['seed']}): {r['truth']} -> {r['status']}, error {r['error']:.1e}; "
                f"{cause(r)}; {r['formula'][:90]}"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", nargs="*", default=["feynman27"], choices=list(SETS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--only", nargs="*", default=None, help="names of formulas")
    parser.add_argument("--count", type=int, default=None, help="only so many of a set, the first ones")
    parser.add_argument("--every", type=int, default=1, help="only each of so many of a set, from the first one on")
    parser.add_argument("--missing", action="store_true", help="run only what symbolic_<set>.json does not hold")
    parser.add_argument("--time-limit", type=float, default=None, help="seconds for a formula")
    parser.add_argument("--write", action="store_true", help="add the runs to symbolic_<set>.json")
    parser.add_argument("--peers", nargs="*", default=[], choices=list(PEERS), help="run these on the 27, seed 0")
    parser.add_argument(
        "--report",
        action="store_true",
        help="print what has been written, and run nothing; with --write, rewrite RESULTS.md and the README's table",
    )
    given = parser.parse_args()
    if given.report:
        for file in sorted(FILE.parent.glob("symbolic_*.json")):
            name = file.stem.removeprefix("symbolic_")
            print(report(name, load_set(name)["runs"].values()))
        if given.write:
            write()
        return
    np.seterr(all="ignore")
    for peer in given.peers:
        for case in dimensionless()[: given.count : given.every]:
            if given.only is None or case.name in given.only:
                r = run_peer(peer, case, 0, budgets()[case.name])
                print(f"{peer} {r['name']:12} {r['found']!s:5} {r['error']:.1e} {r['seconds']:6.1f} s  "
                      f"{r['formula'][:100]}", flush=True)  # fmt: skip
                if given.write:
                    keep(f"peer_{peer}", r)
    if given.peers:
        return
    for name in given.set:
        runs, held = [], load_set(file_name(name, given.noise))["runs"] if given.missing else {}
        for seed in given.seeds:
            for case in SETS[name]()[: given.count : given.every]:
                if (given.only is None or case.name in given.only) and f"{case.name}, {seed}" not in held:
                    runs.append(run(case, seed, given.noise, given.time_limit))
                    r = runs[-1]
                    print(f"{r['name']:12} {r['status']:12} {r['found']!s:5} {r['error']:.1e} {r['seconds']:6.1f} s  "
                          f"{r['formula'][:100]}", flush=True)  # fmt: skip
                    if given.write:
                        keep(file_name(name, given.noise), r)
        if runs:
            print(report(name, runs), flush=True)


if __name__ == "__main__":
    main()
