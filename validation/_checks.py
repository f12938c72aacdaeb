"""The measurements of all other scripts, in the file checks.json: each line has a bound.

The part of a script has its name. It holds "about" (host, date, and "claim", a sentence) and "rows": flat records with
"what", "value", "bound" and "unit". A value meets its bound from below; where "least" is true, from above.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Any

from _goals import Claim, Goal
from _speed_data import Record, load, save

FILE = Path(__file__).with_name("checks.json")

TITLES = {
    "crosscheck_pykan": "The same function as pykan",
    "determinism": "The same bits",
    "first_use": "The first day",
    "faults": "Nothing lost, torn, hung or unclear",
}


def keep(script: str, part: dict[str, Any]) -> None:
    """Put a script's part into checks.json at once, and rewrite RESULTS.md."""
    from _results import write  # which reads all the data

    save({**load(FILE), script: part}, FILE)
    write()


def goal(row: Record) -> Goal:
    """Return what a row is held against."""
    return Goal(row["what"], row["value"], row["bound"], most=not row.get("least"), unit=row.get("unit", ""))


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return the claim of each script that has been run."""
    return [
        Claim(title, f"{script}.py", [goal(row) for row in data[script]["rows"]], data[script]["about"])
        for script, title in TITLES.items()
        if script in data
    ]


def section(data: dict[str, Any]) -> str:
    """Say which scripts check, and where each line stands."""
    found = claims(data)
    if not found:
        return ""
    scripts = ", ".join(f"`{claim.script}`" for claim in found)
    text = f"Claims and lines are in [checks.json](checks.json): {scripts}."
    return f"## Checks\n\n{fill(text, 120)}"
