"""What the files symbolic_*.json say: goals of recovery, false claims, and the section of RESULTS.md."""

from __future__ import annotations

import json
import math
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from _goals import Claim, Goal
from _report import facts, table

FOLDER = Path(__file__).parent

Run = dict[str, Any]

#: Of each set: how it is called, how many formulas it has, and how many should be recovered of all of them.
RECOVERED = {
    "feynman27": ("dimensionless Feynman formulas", 27, 26),
    "feynman27_noise_0.001": ("the same, 0.1 % noise", 27, 24),
    "feynman27_noise_0.01": ("the same, 1 % noise", 27, 20),
    "units": ("Feynman formulas with their units", 100, 60),
    "strogatz": ("Strogatz right-hand sides", 14, 12),
    "sealed": ("sealed expressions", 50, 40),
}
#: The best rate of exact recovery that is published, on ranges of its own (SRBench), for the README.
PUBLISHED = {
    "feynman27": "none for KANs",
    "units": "AI Feynman 55.8 % (SRBench)",
    "strogatz": "GP-GOMEA 29.5 % (SRBench)",
    "sealed": "-",
}
_NOISY = "feynman27_noise_0.01"
FALSE = {"false": "no noise", "false_noise_0.01": "1 % noise"}
#: Of 300 functions without noise that no formula equals, how many may be said to be a formula within noise.
_SAID_NOISY = 3
#: Peers on the first set, each with ten times numkan's CPU time; how many more than the first one numkan recovers.
PEERS, _MORE = ("pyoperon", "gplearn", "pykan"), 8

#: CPU seconds of a formula of the first set, the fit included: median and worst.
_MEDIAN, _WORST = 8.0, 25.0
#: Of the constants of noisy formulas, how many per cent are within 3 of their standard errors.
_COVERED = 95.0
#: Error of a network, as a share of the deviation, above which tests of structure tell little.
_BLURRED = 1e-4

IS = (
    "`symbolic.py`: n = 2000 samples of each formula. Without noise a formula is recovered where it agrees with the "
    "truth to 1e-9 of the targets' deviation at 1000 fresh points; with noise, by SRBench's rule."
)


def load_set(name: str) -> dict[str, Any]:
    """Return the record of a set: "about", who measured, and "runs"; empty where it has not been run."""
    file = FOLDER / f"symbolic_{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"about": {}, "runs": {}}


def keep(name: str, run: Run) -> None:
    """Add a run to the file of its set; several processes may work on several sets."""
    data = load_set(name)
    peer = name.removeprefix("peer_")
    data["about"] = facts([peer] if peer in PEERS else ["numkan", "numpy", "numba", "scipy", "sympy"])
    data["runs"][f"{run['name']}, {run['seed']}"] = run
    text = json.dumps(data, indent=1) + "\n"
    (FOLDER / f"symbolic_{name}.json").write_text(text, encoding="utf-8")


def sets() -> dict[str, dict[str, Any]]:
    """Return the records of all sets and peers that have been run."""
    names = (*RECOVERED, *FALSE, *(f"peer_{peer}" for peer in PEERS))
    return {name: data for name in names if (data := load_set(name))["runs"]}


def _runs(data: dict[str, dict[str, Any]], name: str) -> list[Run]:
    return list(data.get(name, {"runs": {}})["runs"].values())


def _by_seed(runs: list[Run]) -> dict[int, list[Run]]:
    return {seed: [run for run in runs if run["seed"] == seed] for seed in sorted({run["seed"] for run in runs})}


def goals(data: dict[str, dict[str, Any]]) -> list[Goal]:
    """Hold every set against its goals, seed by seed."""
    found = []
    for name, (title, size, least) in RECOVERED.items():
        runs = _runs(data, name)
        for own in _by_seed(runs).values():
            found.append(_recovered(title, size, least, own))
        found += _coverage(title, runs)
        if runs and name == "feynman27":
            seconds = [run["seconds"] for run in runs]
            found.append(Goal(f"{title}: median", float(np.median(seconds)), _MEDIAN, True, "s"))
            found.append(Goal(f"{title}: longest", max(seconds), _WORST, True, "s"))
    return [*found, *_false_claims(data), *_beside_peers(data)]


def _recovered(title: str, size: int, least: int, runs: list[Run]) -> Goal:
    """Hold a set against its goal; one that has not been run whole in proportion."""
    of = f"{len(runs)} of {size}" if len(runs) < size else str(size)
    bound = math.ceil(least / size * len(runs))
    return Goal(f"{of} {title}, seed {runs[0]['seed']}", sum(run["found"] for run in runs), bound, unit="")


def _false_claims(data: dict[str, dict[str, Any]]) -> list[Goal]:
    """Count the functions that no formula equals, and of which one is claimed."""
    found = []
    for name, noise in FALSE.items():
        if runs := _runs(data, name):
            title = f"false claims, {len(runs)} functions of 300, {noise}"
            found.append(Goal(title, _count(runs, "exact"), 0, True, ""))
            if name == "false":
                found.append(Goal(f"{title}: within noise", _count(runs, "within noise"), _SAID_NOISY, True, ""))
    return found


def _count(runs: list[Run], status: str) -> int:
    return sum(run["status"] == status for run in runs)


def beside(data: dict[str, dict[str, Any]], peer: str) -> tuple[int, int, int]:
    """Return how many formulas a peer was given, how many it found, and how many of them numkan found."""
    own = {run["name"]: run for run in _runs(data, "feynman27") if run["seed"] == 0}
    pairs = [(run["found"], own[run["name"]]["found"]) for run in _runs(data, f"peer_{peer}") if run["name"] in own]
    return len(pairs), sum(peers for peers, _ in pairs), sum(ours for _, ours in pairs)


def _beside_peers(data: dict[str, dict[str, Any]]) -> list[Goal]:
    """Hold the count of the first set against that of the best peer, in proportion to how many that one was given."""
    peer, size = PEERS[0], RECOVERED["feynman27"][1]
    given, found, ours = beside(data, peer)
    if not given:
        return []
    of = f"{given} of {size}" if given < size else str(size)
    return [Goal(f"{of} formulas: more than {peer}", ours - found, math.ceil(_MORE * given / size), unit="")]


def _coverage(title: str, runs: list[Run]) -> list[Goal]:
    """Hold the standard errors of the constants against the true constants, where the form of the formula is right."""
    known = [run["covered"] for run in runs if run.get("covered")]
    if not sum(total for _, total in known):
        return []
    share = 100.0 * sum(inside for inside, _ in known) / sum(total for _, total in known)
    return [Goal(f"{title}: constants within 3 standard errors", share, _COVERED, unit="%")]


def cause(run: Run) -> str:
    """Say why a formula was missed, as far as the record tells."""
    why = kind_of_miss(run)
    share = run["network"] / run.get("spread", math.nan)
    if run["status"] in ("exact", "within noise") or math.isnan(share):
        return why
    return f"network off by {share:.0e} of the deviation: {why}"


def kind_of_miss(run: Run) -> str:
    """Return the cause of a miss in a few words, the same for misses of the same kind."""
    if run["status"] == "exact":
        return "of a false claim"
    if run["status"] == "within noise":
        return "another form, or other numbers, are as close under the noise"
    if not run["noise"] and run["network"] / run.get("spread", math.nan) > _BLURRED:
        return "the network is too far off for the tests"
    return "the work of `effort` was used up" if run.get("stopped") else "no form passed"


def claim(data: dict[str, dict[str, Any]]) -> Claim:
    """Return the goals as one claim, dated by the newest set."""
    own = [each["about"] for name, each in data.items() if not name.startswith("peer_")]
    about = max(own, key=lambda facts: facts["date"])
    return Claim("Formulas recovered exactly", "symbolic.py", goals(data), about, decides=False)


def readme_rows(data: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Return a row for each set: what is published or rerun, how many were recovered, median CPU seconds."""
    rows = []
    for name, (title, size, _) in RECOVERED.items():
        runs = _runs(data, name)
        if runs and name in PUBLISHED:
            anchor, found = PUBLISHED[name], _of(runs, size)
            if name == "feynman27":
                given, theirs, _ = beside(data, PEERS[0])
                anchor += f"; rerun {PEERS[0]} {theirs} of {given}" if given else ""
                noisy = _runs(data, _NOISY)
                found += f"; 1 % noise {_of(noisy, size)}" if noisy else ""
            rows.append([f"{title}, exactly", anchor, found, f"{_median(runs):.2g}"])
    return rows


def _of(runs: list[Run], size: int) -> str:
    """Return how many formulas of a set were recovered, of all seeds together."""
    whole = size * len(_by_seed(runs))
    of = f"{len(runs)} run of {whole}" if len(runs) < whole else str(whole)
    return f"{sum(run['found'] for run in runs)} of {of}"


def _median(runs: list[Run]) -> float:
    return float(np.median([run["seconds"] for run in runs]))


def section(data: dict[str, dict[str, Any]]) -> str:
    """Return the section of RESULTS.md."""
    if not data:
        return ""
    texts = [*_false_text(data), *_peers_text(data), *_misses_text(data)]
    return "\n\n".join(["## Formulas", fill(IS, 120), _set_table(data), fill(" ".join(texts), 120)])


def _set_table(data: dict[str, dict[str, Any]]) -> str:
    """Lay out a row for each set: recovered, goal, seconds, and how many constants are within 3 standard errors."""
    rows = []
    for name, (title, size, least) in RECOVERED.items():
        if runs := _runs(data, name):
            seeds = _by_seed(runs)
            found = ", ".join(_of(own, size) for own in seeds.values())
            seconds = f"{_median(runs):.2g} / {max(run['seconds'] for run in runs):.2g}"
            covered = next((f"{goal.value:.3g} %" for goal in _coverage(title, runs)), "-")
            rows.append([title, ", ".join(map(str, seeds)), found, f"{least} of {size}", seconds, covered])
    heads = ["formulas", "seeds", "recovered", "goal", "median / longest, s", "within 3 standard errors"]
    return table(heads, rows)


def _false_text(data: dict[str, dict[str, Any]]) -> list[str]:
    """Count the functions that no formula equals by what was said of them."""
    found = [
        f"{_count(runs, 'exact')} / {_count(runs, 'within noise')} of {len(runs)} with {noise}"
        for name, noise in FALSE.items()
        if (runs := _runs(data, name))
    ]
    return [f'Functions that no formula equals, called "exact" / "within noise": {", ".join(found)}.'] if found else []


def _peers_text(data: dict[str, dict[str, Any]]) -> list[str]:
    """Count what peers found of the first set."""
    found = []
    for peer in PEERS:
        given, theirs, ours = beside(data, peer)
        if given:
            name = data[f"peer_{peer}"]["about"]["packages"]
            found.append(f"{name} {theirs} of {given} (numkan {ours})")
    if not found:
        return []
    return [f"Peers on the first set, seed 0, with ten times numkan's CPU time, below 1e-6: {'; '.join(found)}."]


def _misses_text(data: dict[str, dict[str, Any]]) -> list[str]:
    """Name every miss under its cause."""
    causes: dict[str, list[str]] = {}
    for name in RECOVERED:
        noise = f", {name.rpartition('_')[2]} noise" if "noise" in name else ""
        for run in _runs(data, name):
            if not run["found"]:
                causes.setdefault(kind_of_miss(run), []).append(f"{run['name']}{noise}")
    return [f"Missed because {why}: {'; '.join(names)}." for why, names in causes.items()]
