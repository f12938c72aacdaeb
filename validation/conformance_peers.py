"""Claim: what numkan's conformance kit finds in other libraries is there, and can be seen without the kit.

Each peer is checked by ``python -m numkan.conformance`` in a process of its own, through the adapters of this folder
(`_adapter_*.py`), whose policies say what a library documents as its choice. Each failure must be explained by a
finding of `_findings_*.py`: what a user would see, and at most five lines that use the peer alone. These lines are
run here too, what they print stands in the table's notes, and it must show the defect; if it does not, the adapter or
the law is wrong.

The script exits 1 where a failure has no finding, where the smallest failing example does not have its finding's mark,
or where the five lines do not show what they should. It needs the extra `peers` for the first group, and `spline-peers`
for the second:

    python validation/conformance_peers.py [--group splines] [--only pykan scipy] [--reports FOLDER] [--write]

Peers come in two groups, KANs and libraries of B-splines, which have a section of CONFORMANCE.md each, so that one can
be judged anew without the packages of the other. Checking takes up to some minutes a peer. A folder of reports keeps
them, so that findings can be written and run again. `--write` also writes FINDINGS.md, one paragraph a defect for those
who maintain a library, which is made of the findings alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _finding import Finding
from _peer_adapters import GROUPS, PEERS
from _peer_findings import FINDINGS
from _report import header, table, write_section

HERE = Path(__file__).parent
DOCUMENT, PARAGRAPHS = HERE / "CONFORMANCE.md", HERE / "FINDINGS.md"
PACKAGES = ("numkan", "numpy", "scipy")
TITLES = {"kans": "## KANs", "splines": "## Libraries of B-splines"}
SNIPPET_SECONDS = 300
REPORT = "numkan.conformance report, version 1"  # the format of a file that the kit replays


@dataclass
class Judgement:
    """The judgement of one peer."""

    name: str
    report: dict[str, Any] | None = None
    refusal: str = ""  # what the kit said where the adapter cannot be used
    golden: dict[str, str] = field(default_factory=dict)  # largest errors beside the golden vectors
    printed: dict[str, str] = field(default_factory=dict)  # title of a finding -> what its snippet printed
    objections: list[str] = field(default_factory=list)  # why this cannot be published as it stands

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """Results by the ids of laws."""
        return {entry["id"]: entry for entry in self.report["results"]} if self.report else {}

    @property
    def failed(self) -> dict[str, dict[str, Any]]:
        """Laws that fail."""
        return {id: entry for id, entry in self.results.items() if entry["outcome"] == "FAIL"}


def surroundings() -> dict[str, str]:
    """Return the environment of a child: this folder can be imported from, and threads do not compete."""
    paths = [str(HERE), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**threads, **os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def checked(name: str, seconds: float) -> Judgement:
    """Hold one peer to the laws."""
    module, attribute = PEERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [sys.executable, "-m", "numkan.conformance", f"{module}:{attribute}", "--json", str(path)]
        child = subprocess.run(
            [*command, "--timeout", str(seconds)], env=surroundings(), cwd=folder, capture_output=True, text=True
        )
        if not path.exists():
            said = child.stderr.strip().splitlines()
            return Judgement(name, refusal=next((line for line in said if line.startswith("numkan.")), said[-1:] or ""))
        command = [sys.executable, "-W", "ignore", str(HERE / "_peer_golden.py"), name]
        beside = subprocess.run(command, env=surroundings(), cwd=folder, capture_output=True, text=True, check=True)
        golden = json.loads(beside.stdout.strip().splitlines()[-1])
        return Judgement(name, json.loads(path.read_text(encoding="utf-8")), golden=golden)


def replayed(name: str, law: str, example: dict[str, Any]) -> bool:
    """Tell whether a law fails on a case, where the smallest failing example has another cause."""
    module, attribute = PEERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.json"
        report = {"format": REPORT, "results": [{"id": law, "example": example}]}
        path.write_text(json.dumps(report), encoding="utf-8")
        command = [sys.executable, "-m", "numkan.conformance", f"{module}:{attribute}", "--replay", str(path)]
        child = subprocess.run(command, env=surroundings(), cwd=folder, capture_output=True, text=True)
    if child.returncode not in (0, 1):
        raise SystemExit(f"{name}, {law}: {child.stderr.strip()}")
    return child.returncode == 1


def run(snippet: str) -> str:
    """Run a snippet in a new process and a folder that goes away, and return all that it printed."""
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", snippet],
            env={**surroundings(), "PYTHONPATH": str(HERE)},  # of the project only the formulas of efficient-kan
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=SNIPPET_SECONDS,
        )
    last = child.stderr.strip().splitlines()[-1:]  # of a traceback the last line
    return "\n".join([child.stdout.strip(), *(last if child.returncode else [])]).strip()


def remembered(name: str, seconds: float, folder: Path | None) -> Judgement:
    """Return a judgement from a folder of reports, or hold the peer to the laws and keep the report there."""
    path = folder / f"{name}.json" if folder else None
    if path and path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Judgement(name, kept["report"], golden=kept["golden"])
    judgement = checked(name, seconds)
    if path and judgement.report:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = {"report": judgement.report, "golden": judgement.golden}
        path.write_text(json.dumps(kept), encoding="utf-8")
    return judgement


def recheck(judgement: Judgement) -> None:
    """Find the finding of each failure, look for its mark in the example, and run its snippet."""
    findings = FINDINGS[judgement.name]
    for id, entry in judgement.failed.items():
        found = explanation(findings, id, entry)
        if not found:
            judgement.objections.append(f"{id} fails, and no finding explains it: {entry['message']}")
    for finding in findings:
        printed = run(finding.snippet)
        judgement.printed[finding.title] = printed
        if not finding.is_shown_by(printed):
            judgement.objections.append(f"the lines for “{finding.title}” do not show it: {printed!r}")
        if finding.case and not replayed(judgement.name, *finding.case):
            judgement.objections.append(f"{finding.case[0]} holds on the case of “{finding.title}”")


def explanation(findings: Iterable[Finding], id: str, entry: dict[str, Any]) -> Finding | None:
    """Return the finding that accounts for a failure: it names the law, and its mark is in the smallest example."""
    return next((finding for finding in findings if id in finding.laws and finding.marks(entry)), None)


# --- the document -------------------------------------------------------------------------------------------------


def cell(judgement: Judgement, id: str) -> str:
    """Return one result as text: its error in units of its bound, or that it fails and by which finding."""
    entry = judgement.results.get(id)
    if entry is None or entry["outcome"] == "NOT CLAIMED":
        return ""
    worst = "" if entry["worst"] is None else f" {number(entry['worst'])}"
    if entry["outcome"] != "FAIL":
        return f"ok{worst}"
    findings = FINDINGS[judgement.name]
    found = explanation(findings, id, entry)
    mark = str(findings.index(found) + 1) if found else "?"
    word = "FAIL" if not found or found.held else "note"
    return f"{word}{worst} [{mark}]"


def overview(judgements: list[Judgement]) -> str:
    """Lay out the table of laws by peers."""
    ids = list(dict.fromkeys(id for judgement in judgements for id in judgement.results))
    shown = [id for id in ids if any(cell(judgement, id) for judgement in judgements)]
    rows = [[id, *(cell(judgement, id) for judgement in judgements)] for id in shown]
    cells = [[row[column] for row in rows] for column in range(1, len(judgements) + 1)]
    for word in ("ok", "note", "FAIL"):
        rows.append([f"laws: {word}", *(str(sum(one.startswith(word) for one in column)) for column in cells)])
    return table(["law", *(judgement.name for judgement in judgements)], rows)


def beside_golden(judgements: list[Judgement]) -> str:
    """Lay out the table of golden vectors by peers."""
    names = list(dict.fromkeys(name for judgement in judgements for name in judgement.golden))
    rows = [[name, *(number(judgement.golden.get(name)) for judgement in judgements)] for name in names]
    return table(["vectors", *(judgement.name for judgement in judgements)], rows)


def number(error: Any) -> str:
    """Return an error with two digits; nothing where there is none."""
    return "" if error is None else f"{float(error):.2g}"


def notes(judgement: Judgement) -> str:
    """Write out a peer's findings: what a user sees, five lines, what they print, and the smallest examples."""
    head = judgement.report["adapter"] if judgement.report else f"{judgement.name}: {judgement.refusal}"
    parts = [f"### {head}"]
    for number, finding in enumerate(FINDINGS[judgement.name], 1):
        entries = {
            id: entry
            for id, entry in judgement.failed.items()
            if explanation(FINDINGS[judgement.name], id, entry) is finding
        }
        word = "" if finding.held else "Not held against it. "
        parts += [
            f"**{judgement.name} [{number}] {finding.title}.** {word}{finding.user}",
            f"```python\n{finding.snippet.strip()}\n```",
            f"prints\n\n```\n{judgement.printed.get(finding.title, '')}\n```",
        ]
        if entries:
            parts.append("Laws: " + ", ".join(entries) + ". " + smallest(entries))
        elif finding.case:
            parts.append(f"{finding.case[0]} fails by this too, on a case of its own; its smallest example is another.")
        else:
            parts.append("No law fails by this alone.")
    return "\n\n".join(parts)


def smallest(entries: dict[str, dict[str, Any]]) -> str:
    """Return the shortest of the failing examples, in numbers."""
    id, entry = min(entries.items(), key=lambda pair: len(json.dumps(pair[1]["example"])))
    example = {name: value for name, value in (entry["example"] or {}).items() if name != "labels"}
    numbers = ", ".join(f"{name} = {value}" for name, value in example.items())
    numbers = numbers if len(numbers) < 700 else numbers[:700] + " ..."
    return f"Smallest example, of {id}: {' '.join(entry['message'].split())}\n\n```\n{numbers}\n```"


def section(group: str, judgements: list[Judgement]) -> str:
    """Put everything about a group together."""
    facts = next((judgement.report["environment"] for judgement in judgements if judgement.report), {})
    examples = f"{facts.get('drawn', facts.get('examples', '?'))} drawn cases a law, seed {facts.get('seed', '?')}"
    return "\n\n".join(
        [
            TITLES[group],
            f"{header((*PACKAGES, *GROUPS[group][1]))} {examples}.",
            overview(judgements),
            "Beside the golden vectors, the largest error in units of their bounds; grids in the flavour that a "
            "library declares. The bound on the basis is relative, so that noise where 0 is due is far beyond it.",
            beside_golden(judgements),
            *(notes(judgement) for judgement in judgements),
        ]
    )


def paragraphs() -> str:
    """Write one paragraph a defect, for those who maintain the library."""
    parts = [
        "# What the conformance kit found in other libraries",
        "Written by `conformance_peers.py` from the findings that CONFORMANCE.md shows in action, with versions and "
        "printouts: one paragraph a defect, as its maintainers may want to receive it. What a library documents as its "
        "choice, and rounding that it promises nothing about, is not here. All of them were found by laws that numkan "
        "itself is held to, and none says anything about the rest of a library.",
    ]
    for name, findings in FINDINGS.items():
        held = [finding for finding in findings if finding.held]
        parts += [f"## {name}"] if held else []
        for finding in held:
            due = f" Due: {finding.due}" if finding.due else ""
            parts.append(f"**{finding.title}.** {finding.user}{due}\n\n```python\n{finding.snippet.strip()}\n```")
    return "\n\n".join(parts) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--group", choices=list(GROUPS), default="kans", help="which peers")
    parser.add_argument("--only", nargs="+", choices=list(PEERS), help="some peers, which nothing is written about")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for one call of a library")
    parser.add_argument("--reports", type=Path, help="a folder of the kit's reports: used again, if they are there")
    parser.add_argument("--write", action="store_true", help="write CONFORMANCE.md and FINDINGS.md")
    options = parser.parse_args()
    judgements = []
    for name in options.only or GROUPS[options.group][0]:
        judgement = remembered(name, options.timeout, options.reports)
        recheck(judgement)
        judgements.append(judgement)
        total = judgement.report["total"] if judgement.report else judgement.refusal
        print(f"{name}: {total}", *(f"\n    {objection}" for objection in judgement.objections), flush=True)
    print(f"\n{overview(judgements)}")
    if options.write and not options.only:
        write_section(options.group, section(options.group, judgements), DOCUMENT)
        PARAGRAPHS.write_text(paragraphs(), encoding="utf-8")
    return 1 if any(judgement.objections or judgement.refusal for judgement in judgements) else 0


if __name__ == "__main__":
    sys.exit(main())
