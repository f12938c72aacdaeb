"""What the scripts of this folder share: who ran it, Markdown tables, and marked sections of a document.

A section lies between two comments that carry its name, and is replaced whole; the text outside them is not touched.
"""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
README = Path(__file__).parents[1] / "README.md"


def processor() -> str:
    """Name of the CPU and the number of cores that this process may use."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux, or a kernel that does not say: the generic name stays
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores"


def versions(packages: Iterable[str]) -> str:
    """Versions of the packages that are installed, by their names on the package index."""
    found = []
    for name in packages:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def facts(packages: Iterable[str]) -> dict[str, str]:
    """Date, machine, system, and the versions of the installed ``packages``."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "machine": processor(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "packages": versions(packages),
    }


def paragraph(about: dict[str, str]) -> str:
    """Put `facts` into words."""
    peers = f" Peers ran {about['peers']}." if "peers" in about else ""
    return f"{about['date']}. {about['machine']}; {about['system']}; {about['packages']}.{peers}"


def header(packages: Iterable[str]) -> str:
    """One paragraph: date, machine, system, Python and the versions of the installed ``packages``."""
    return paragraph(facts(packages))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out a Markdown table that also reads in a terminal; all columns but the first align right.

    >>> print(table(["name", "ms"], [["a", 1], ["long", "2.5"]]))
    | name |  ms |
    | :--- | --: |
    | a    |   1 |
    | long | 2.5 |
    """
    cells = [[str(c) for c in row] for row in [columns, *rows]]
    widths = [max(3, *(len(row[j]) for row in cells)) for j in range(len(columns))]
    first, *others = widths
    rule = [":" + "-" * (first - 1), *("-" * (w - 1) + ":" for w in others)]
    lines = [[row[0].ljust(first), *(c.rjust(w) for c, w in zip(row[1:], others, strict=True))] for row in cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]])


def write_section(name: str, text: str, path: Path) -> None:
    """Replace the section ``name`` of a document, or add it at the end."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n{text.strip()}\n{end}"
    old = path.read_text(encoding="utf-8")
    if begin in old and end in old:
        head, rest = old.split(begin, 1)
        replace(path, head + section + rest.split(end, 1)[1])
    else:
        replace(path, f"{old.rstrip()}\n\n{section}\n")


def replace(path: Path, text: str) -> None:
    """Write a document, which appears whole or not at all."""
    draft = path.with_suffix(".md.tmp")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
