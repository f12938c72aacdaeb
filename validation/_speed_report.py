"""The documents that show speed.json: two sections of RESULTS.md, the table in the README, and the goals."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Any

from _contest import WORKLOADS
from _goals import Goal, ahead, count, floor, goal_table, speedups, targets
from _report import paragraph, table, write_section
from _roofline import roofline, table_of_shares
from _scaling import scaling, sweep_tables
from _speed_data import COLUMNS, WIDEST, Record, cases, fastest_peer, own
from _speed_figure import draw

README = Path(__file__).parents[1] / "README.md"
FIGURE = Path(__file__).with_name("speed.png")

FLOOR, AHEAD = "The floor", "Ahead of the fastest peer, two threads each"
DECIDING = (FLOOR, AHEAD)  # the other goals are reported
GAINS, ROOFLINE = "Two threads of numkan over one", "Beside what the machine can do"

CAPTION = (
    "![Time over numkan's for each peer, and numkan's time over that on the coarsest grid](speed.png)",
    "Float32, one thread; a dot for each form of a library.",
)

GAINS_ARE = (
    "Of turns that numkan with one thread and numkan with two take alternately. The tables with peers below come from "
    "one process for each number of threads, with other neighbours in each: one over the other is not a gain."
)
SHARES_ARE = (
    "Work is the longer of useful flops at the rate of BLAS and bytes at the rate of a large copy, one thread each; "
    "share is work over measured. BLAS is no bound: it does not reach the processor's peak either, and an edge's first "
    "coefficient is added, not multiplied. For one row, numkan's forward is `frozen()`."
)
STOPS_ARE = (
    "What stops small networks: the call itself (with vectors of 512 bits two rows take two fifths of the time of "
    "small, and one edge two thirds of that of row: Python, checks, packing), and what is no multiply-add: the piece "
    "and the base function of every input, and coefficients that each sample looks up for itself. In wide layers "
    "samples of one piece share them in registers."
)

FINE_GRIDS_ARE = (
    "What a finer grid costs a wide layer: it takes more samples at once, so that a piece has some, and their outputs "
    "no longer stay in the second-level cache; for each run of samples of a piece the polynomials are made anew (at "
    "G = 100, in float64, an eighth of the time); and the coefficients, 54 MB then, are packed first and come from "
    "memory for every block. Where the last cache and the memory are shared with other machines, the figure moves "
    "with them: on 2026-11-30, on two shared cores of an AMD EPYC, the float64 prediction at G = 100 took 1.21 times "
    "as long as at G = 5 in quiet minutes and 1.8 in busy ones, over 1.3 in 23 of 41 measurements, while G = 5 hardly "
    "changed. The figures here are those of one run."
)


def _vectors(part: dict[str, Any]) -> str:
    """Name what tells a part from the one that the figure and the README show."""
    bits = part["about"]["vectors"]
    return "" if bits == WIDEST else f", vectors of {bits} bits"


def peer_goals(peers: dict[str, Any]) -> dict[str, list[Goal]]:
    """Hold the contest against its goals, by title; a title without a measured goal is left out."""
    times = peers["times"]
    groups = {
        FLOOR: floor(times),
        AHEAD: ahead(times),
        "Ahead of the fastest peer, one thread each": targets(times),
        GAINS: speedups(peers["speedups"]),
        ROOFLINE: roofline(times, peers["rates"], WORKLOADS),
    }
    return {title: goals for title, goals in groups.items() if goals}


def _of_the_machine(speedups: list[Record]) -> list[str]:
    """Say what threads gained that share nothing, where that was measured in the same turns."""
    found = {record["machine"] for record in speedups if record["threads"] == 2 and "machine" in record}
    return [
        f"In the same turns two threads of plain arithmetic, which share nothing, did {gain:.2f} times the work of one."
        for gain in found
    ]


def _left_out(absent: list[Record]) -> list[str]:
    """Say which contenders were left out, where, and why."""
    found: dict[tuple[str, str], list[str]] = {}
    for r in absent:
        where = found.setdefault((r["contender"], r["why"]), [])
        where.append(f"{r['workload']} {r['dtype']} ({r['threads']} thread{'s' if r['threads'] > 1 else ''})")
    return [f"Left out: {name} of {', '.join(where)}: {why}." for (name, why), where in found.items()]


def time_tables(times: list[Record], threads: int) -> str:
    """Lay out one table of milliseconds, and of ratios to numkan, for each workload and dtype."""
    parts = []
    for (name, dtype), case in cases(times, threads).items():
        rows = [
            [c, *(cell for column in COLUMNS for cell in _cells(t.get(column), case["numkan"][column]))]
            for c, t in case.items()
        ]
        heads = ["contender", "fwd ms", "/ numkan", "fwd+bwd ms", "/ numkan"]
        parts.append(f"{WORKLOADS[name]}, {dtype}\n\n{table(heads, rows)}")
    return f"### {threads} thread{'s' if threads > 1 else ''} each\n\n" + "\n\n".join(parts)


def _cells(seconds: float | None, numkan: float) -> tuple[str, str]:
    return ("-", "-") if seconds is None else (f"{1e3 * seconds:.4g}", f"{seconds / numkan:.2f}")


def peers_text(peers: dict[str, Any]) -> str:
    """Write the section of the contest: goals, all times, and the roofline."""
    threads = sorted({r["threads"] for r in peers["times"]})
    about = {GAINS: [GAINS_ARE, *_of_the_machine(peers["speedups"])]}
    parts = [
        f"## Speed beside live peers{_vectors(peers)}",
        "`benchmark.py`: medians over alternating rounds; ratios above 1 mean that numkan is faster. "
        f"{paragraph(peers['about'])} Load of the machine before the run: {peers['about']['load']}. "
        "The figures are those of [speed.json](speed.json). The floor, and being ahead with two threads, decide the "
        "script's exit code; the other goals, which were set for vectors of 512 bits, are reported.",
        *([] if _vectors(peers) else CAPTION),
        *(
            "\n\n".join([f"### {title}: {count(goals)}", goal_table(goals), *about.get(title, [])])
            for title, goals in peer_goals(peers).items()
        ),
        *(time_tables(peers["times"], n) for n in threads),
        *_left_out(peers.get("absent", [])),
    ]
    if peers["rates"]:
        shares = table_of_shares(peers["times"], peers["rates"], WORKLOADS)
        parts.extend(
            ["### Useful work, and the share of the machine that numkan reaches", SHARES_ARE, shares, STOPS_ARE]
        )
    return "\n\n".join(parts)


def scaling_text(part: dict[str, Any]) -> str:
    """Write the section of the sweeps and of memory."""
    about = (
        "`benchmark.py --scaling`: numkan alone, one thread. Times by what they should cost (a finer grid nothing, a "
        f"degree k + 2, rows their number), over that of the first value. {paragraph(part['about'])}"
    )
    if not _vectors(part):
        about += f"\n\n{FINE_GRIDS_ARE}"
    goals = scaling(part)
    title = f"## Scaling{_vectors(part)}: {count(goals)}"
    return "\n\n".join([title, about, goal_table(goals), sweep_tables(part["sweeps"])])


def readme_text(peers: dict[str, Any]) -> str:
    """Lay out the README's table: float32, one thread."""
    rows = []
    for (name, dtype), case in cases(peers["times"], 1).items():
        if dtype == "float32":
            fastest = " / ".join(_factor(case, column) for column in COLUMNS)
            pykan = " / ".join(_ratio(case, "pykan plain", column) for column in COLUMNS)
            milliseconds = " / ".join(f"{1e3 * own(case, column):.3g}" for column in COLUMNS)
            work = WORKLOADS[name]
            network = f"{name}: {list(work.width)}, G = {work.G}, {work.rows:,} row{'s' if work.rows > 1 else ''}"
            rows.append([network, milliseconds, fastest, pykan])
    text = table(["prediction / with gradient", "numkan, ms", "fastest peer takes", "pykan takes"], rows)
    date, machine, bits = (peers["about"][name] for name in ("date", "machine", "vectors"))
    about = (
        "Float32, degree 3, one thread each; pykan with its symbolic branch off; one row is predicted by `frozen()`. "
        f"{date}, {machine}, vectors of {bits} bits."
    )
    return f"{text}\n\n{fill(about, 120)}"


def _factor(case: dict[str, dict[str, float]], column: str) -> str:
    found = fastest_peer(case, column)
    return f"{found[1]:.1f}x ({found[0]})" if found else "-"


def _ratio(case: dict[str, dict[str, float]], peer: str, column: str) -> str:
    return f"{case[peer][column] / own(case, column):.0f}x" if peer in case else "-"


def results(data: dict[str, Any]) -> dict[str, str]:
    """Return the sections of RESULTS.md, by name."""
    found = {}
    for name, part in data.items():
        kind, *bits = name.split()
        section, text = ("benchmark", peers_text) if kind == "peers" else ("scaling", scaling_text)
        found[" ".join([section, *bits])] = text(part)
    return found


def write(data: dict[str, Any]) -> None:
    """Rewrite all that is made from the data."""
    for name, text in results(data).items():
        write_section(name, text)
    if "peers" in data:
        write_section("speed", readme_text(data["peers"]), README)
    draw(data, FIGURE)
