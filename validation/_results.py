"""RESULTS.md, made whole from the JSON files beside it, and the README's table of fits."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import _accuracy_report
import _checks
import _physics_report
import _scale_report
import _speed_data
import _speed_report
import _symbolic_report
import _tables_report
from _goals import Claim, count
from _report import README, RESULTS, replace, table, write_section
from _speed_data import load

Data = dict[str, Any]
SHOWN = 7  # missed goals at most, so that the document stays short

TITLE = """# Results

Every figure is made from [speed.json](speed.json), [accuracy.json](accuracy.json), [checks.json](checks.json),
[tables.json](tables.json), [physics.json](physics.json) and symbolic_*.json, which the scripts of this folder write
with `--write`. The long tables, from the same files and without measuring anything:

    python validation/benchmark.py --report     # every time of every peer, shares of the machine, all sweeps
    python validation/accuracy.py --report      # every case, special function and formula
    python validation/tables.py --report        # the score of every contender on every table
    python validation/symbolic.py --report      # every formula that was missed
    python validation/physics.py --report       # every equation beside a classical method, every seed
"""


def write() -> None:
    """Rewrite RESULTS.md and the README's table of fits from the files."""
    speed, accuracy, checks = load(_speed_data.FILE), load(_accuracy_report.FILE), load(_checks.FILE)
    others = _symbolic_report.sets(), load(_physics_report.FILE), load(_scale_report.FILE)
    replace(RESULTS, results_text(speed, accuracy, checks, load(_tables_report.FILE), *others))
    write_section("accuracy", _accuracy_report.readme_text(accuracy, _accuracy_report.other_rows()), README)


def results_text(
    speed: Data,
    accuracy: Data,
    checks: Data,
    tables: Data | None = None,
    formulas: dict[str, Data] | None = None,
    physics: Data | None = None,
    scale: Data | None = None,
) -> str:
    """Write the document from the contents of the files."""
    claims = [*_checks.claims(checks), *_speed_report.claims(speed), *_accuracy_report.claims(accuracy)]
    if tables:
        claims.append(_tables_report.claim(tables))
    if formulas:
        claims.append(_symbolic_report.claim(formulas))
    if physics:
        claims.append(_physics_report.claim(physics))
    if scale:
        claims.append(_scale_report.claim(scale))
    parts = [
        TITLE.strip(),
        f"## Summary\n\n{missed(claims)}\n\n{summary(claims)}",
        _speed_report.section(speed),
        _accuracy_report.section(accuracy),
        _tables_report.section(tables) if tables else "",
        _symbolic_report.section(formulas) if formulas else "",
        _physics_report.section(physics) if physics else "",
        _checks.section(checks),
        f"## Machines and versions\n\n{machines(claims)}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def missed(claims: list[Claim]) -> str:
    """Count the goals, and list those that are missed: the first of them, where they are very many."""
    total = f"{count([goal for claim in claims for goal in claim.goals])}."
    rows = [[f"{c.what}: {goal.what}", *goal.row()[1:3]] for c in claims for goal in c.missed]
    if not rows:
        return total
    if len(rows) > SHOWN:
        total += f" The first {SHOWN} of {len(rows)} that are missed; the long tables have all."
    return f"{total}\n\n{table(['missed', 'measured', 'goal'], rows[:SHOWN])}"


def summary(claims: list[Claim]) -> str:
    """Lay out a line for each claim, or group of claims: how many of its goals are met."""
    groups: dict[str, list[Claim]] = {}
    for claim in claims:
        groups.setdefault(claim.group or claim.what, []).append(claim)
    rows = []
    for what, each in groups.items():
        script = each[0].script if len(each) == 1 else each[0].script.split()[0]
        rows.append([what, f"`{script}`", count([goal for c in each for goal in c.goals]), _date(each)])
    return table(["claim", "script", "goals", "date"], rows)


def _date(claims: list[Claim]) -> str:
    """Return when claims were measured, and when their peers, where that was earlier."""
    dates = sorted({c.about["date"] for c in claims})
    peers = sorted({c.about["peers"] for c in claims if "peers" in c.about})
    text = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"{text}, peers {peers[0]}" if peers else text


def machines(claims: list[Claim]) -> str:
    """List who measured, with the scripts of each; claims with versions that agree share a line."""
    found: list[tuple[tuple[str, str], dict[str, str], list[str]]] = []
    for claim in claims:
        about, versions = claim.about, dict(p.rsplit(" ", 1) for p in claim.about["packages"].split(", "))
        host, script = (about["machine"], about["system"]), f"`{claim.script.split()[0]}`"
        for other, shared, scripts in found:
            if other == host and all(shared.get(name, version) == version for name, version in versions.items()):
                shared.update(versions)
                scripts += [] if script in scripts else [script]
                break
        else:
            found.append((host, versions, [script]))
    lines = (
        f"- {', '.join(scripts)}: {'; '.join(host)}; {', '.join(' '.join(v) for v in shared.items())}."
        for host, shared, scripts in found
    )
    return "\n".join(fill(line, 120, subsequent_indent="  ") for line in lines)
