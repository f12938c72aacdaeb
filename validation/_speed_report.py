"""What documents show of speed.json: sections of RESULTS.md, the table in the README, and long tables on demand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import Any

from _contest import WORKLOADS
from _goals import FLOORS, PYKAN, Claim, ahead, count, floors, goal_table, over_pykan, speedups
from _report import README, paragraph, table, write_section
from _roofline import roofline, table_of_shares
from _scaling import scaling, sweep_tables
from _scaling import summary as scaling_summary
from _speed_data import COLUMNS, WIDEST, Record, Times, cases, fastest_peer, own
from _speed_figure import draw

FIGURE = Path(__file__).with_name("speed.png")
SCRIPT, SCALING_SCRIPT = "benchmark.py", "benchmark.py --scaling"

OVER_PYKAN = f"At least {PYKAN['forward']:g} times as fast as pykan, {PYKAN['both']:g} with gradient"

CAPTION = (
    "![Time over numkan's for each peer, and numkan's time over that on the coarsest grid](speed.png)\n\n"
    "Float32, one thread; a dot for each form of a library."
)
GAINS_ARE = (
    "The last column is measured without peers, in one process in which calls with one and with two threads alternate. "
    "Do not divide entries of the two tables: they come from different processes."
)
SHARES_ARE = (
    "Work is the longer of useful flops at the rate of BLAS and bytes at the rate of a large copy, one thread each; "
    "share is work over measured. BLAS is no bound: it does not reach the processor's peak either, and an edge's first "
    "coefficient is added, not multiplied. For one row, numkan's forward is `frozen()`."
)
SCALING_IS = (
    "numkan alone, one thread. A time is divided by what it should cost (nothing for a finer grid, k + 2 for a degree, "
    "the number of rows for rows) and by that of the first value. Where other machines share the last cache and the "
    "memory, times on the finest grids vary from run to run. Memory is the peak of a call beyond inputs and outputs."
)


def bits(part: dict[str, Any]) -> str:
    """Name what tells a part from the one that the figure and the README show; empty for that one."""
    width: str = part["about"]["vectors"]
    return "" if width == WIDEST else f", vectors of {width} bits"


def peer_claims(peers: dict[str, Any]) -> list[Claim]:
    """Hold the contest against its goals; a claim without a measured goal is left out.

    Floors, pykan and BLAS are for vectors of 512 bits. What two threads gain and the rate of BLAS depend on what else
    the machine does: they are reported, and fail nothing.
    """
    times, about, widest = peers["times"], peers["about"], not bits(peers)
    pykan, blas = over_pykan(times), roofline(times, peers["rates"], WORKLOADS)
    found = [
        Claim(
            f"At least {PYKAN['forward']:g} times as fast as pykan, {PYKAN['both']:g} with gradient",
            SCRIPT,
            pykan if widest else [],
            about,
        ),
        Claim("Ahead of every peer, one thread each", SCRIPT, ahead(times, 1), about),
        Claim("Ahead of every peer, two threads each", SCRIPT, ahead(times, 2), about),
        Claim("Ahead by the floors, one thread each", SCRIPT, floors(times) if widest else [], about),
        Claim("Two threads over one", SCRIPT, speedups(peers["speedups"]), about, decides=False),
        Claim("Near the rate of BLAS", SCRIPT, blas if widest else [], about, decides=False),
    ]
    return [replace(c, what=f"{c.what}{bits(peers)}", group=_group(peers)) for c in found if c.goals]


def _group(part: dict[str, Any]) -> str:
    """Return the group of a part's claims."""
    return f"Speed, scaling and memory{bits(part)}"


def scaling_claim(part: dict[str, Any]) -> Claim:
    """Hold the sweeps and the memory against their bounds."""
    what = f"Scaling of time and memory{bits(part)}"
    return Claim(what, SCALING_SCRIPT, scaling(part), part["about"], decides=not bits(part), group=_group(part))


def claims(data: dict[str, Any]) -> list[Claim]:
    """Return the claims about all parts that have been measured."""
    found = []
    for name, part in data.items():
        found += peer_claims(part) if name.startswith("peers") else [scaling_claim(part)]
    return found


# --- short tables -------------------------------------------------------------------------------------------------


def _pair(cells: Any) -> str:
    return " / ".join(cells)


def _factor(case: Times, column: str) -> str:
    found = fastest_peer(case, column)
    return f"{found[1]:.1f}x ({found[0]})" if found else "-"


def _pykan(case: Times, column: str) -> str:
    return f"{case['pykan plain'][column] / own(case, column):.0f}x" if "pykan plain" in case else "-"


def _cells(case: Times) -> list[str]:
    """Return numkan's milliseconds, how long the fastest peer takes and how long pykan, each forward / both."""
    milliseconds = _pair(f"{1e3 * own(case, column):.3g}" for column in COLUMNS)
    return [milliseconds, *(_pair(cell(case, column) for column in COLUMNS) for cell in (_factor, _pykan))]


def _one_thread(times: list[Record]) -> str:
    rows = []
    for (name, dtype), case in cases(times, 1).items():
        bounds = FLOORS[name] if dtype == "float32" else (1.0, 1.0)
        rows.append([f"{name} {dtype}", *_cells(case), _pair(f"{b:g}x" for b in bounds)])
    return table(["one thread, fwd / fwd+bwd", "numkan, ms", "fastest peer takes", "pykan takes", "floor"], rows)


def _two_threads(times: list[Record], gains: list[Record]) -> str:
    over = {(r["workload"], r["dtype"]): _pair(f"{r[c]:.2f}x" for c in COLUMNS) for r in gains if r["threads"] == 2}
    rows = [[" ".join(one), *_cells(case), over[one]] for one, case in cases(times, 2).items() if one in over]
    return table(["two threads, fwd / fwd+bwd", "numkan, ms", "fastest peer takes", "pykan takes", "over one"], rows)


def _machine_gain(gains: list[Record]) -> list[str]:
    """Say what threads gained that share nothing, where that was measured beside numkan's."""
    found = {record["machine"] for record in gains if record["threads"] == 2 and "machine" in record}
    return [
        f"Beside these, two threads of plain arithmetic, which share nothing, did {gain:.2f} times the work of one."
        for gain in found
    ]


def _least_leads(part: dict[str, Any]) -> str:
    """Say where numkan is ahead of the fastest peer by least, for each number of threads."""
    leads = []
    for threads, word in ((1, "one thread"), (2, "two threads")):
        goals = ahead(part["times"], threads)
        if goals:
            least = min(goals, key=lambda goal: goal.value)
            leads.append(f"{least.value:.2f}x with {word} ({least.what})")
    return f"Least lead over the fastest peer: {'; '.join(leads)}." if leads else ""


def section(data: dict[str, Any]) -> str:
    """Write the sections of RESULTS.md: the contest, the sweeps, and a few lines for other vectors."""
    parts = [_contest(data["peers"])] if "peers" in data else []
    if "scaling" in data:
        parts.append(f"## Scaling\n\n{fill(SCALING_IS + ' ' + scaling_summary(data['scaling']), 120)}")
    parts += [_other_vectors(part) for name, part in data.items() if name.startswith("peers ")]
    return "\n\n".join(parts)


def _contest(peers: dict[str, Any]) -> str:
    times, gains = peers["times"], peers["speedups"]
    about = (
        f"`{SCRIPT}`: medians over alternating rounds. Load of the machine before the run: {peers['about']['load']}. "
        "A floor is the least lead that is kept over the fastest peer: for float64 it is to be ahead."
    )
    parts = ["## Speed beside live peers", fill(about, 120), CAPTION, _one_thread(times)]
    if gains and cases(times, 2):
        parts += [_two_threads(times, gains), fill(" ".join([GAINS_ARE, *_machine_gain(gains)]), 120)]
    return "\n\n".join([*parts, *(fill(text, 120) for text in _left_out(peers.get("absent", [])))])


def _other_vectors(peers: dict[str, Any]) -> str:
    about = (
        "A host without AVX-512. The floors and the bounds of scaling are set for vectors of 512 bits: here numkan is "
        f"to be ahead of every peer; the rest is reported. {_least_leads(peers)}"
    )
    return f"## Speed{bits(peers)}\n\n{fill(about, 120)}"


def readme_text(peers: dict[str, Any]) -> str:
    """Lay out the README's table: float32, one thread."""
    rows = []
    for (name, dtype), case in cases(peers["times"], 1).items():
        if dtype == "float32":
            work = WORKLOADS[name]
            network = f"{name}: {list(work.width)}, G = {work.G}, {work.rows:,} row{'s' if work.rows > 1 else ''}"
            rows.append([network, *_cells(case)])
    text = table(["prediction / with gradient", "numkan, ms", "fastest peer takes", "pykan takes"], rows)
    date, machine, width = (peers["about"][name] for name in ("date", "machine", "vectors"))
    about = (
        "Float32, degree 3, one thread each; pykan with its symbolic branch off; one row is predicted by `frozen()`. "
        f"{date}, {machine}, vectors of {width} bits."
    )
    return f"{text}\n\n{fill(about, 120)}"


# --- long tables --------------------------------------------------------------------------------------------------


def _left_out(absent: list[Record]) -> list[str]:
    """Say which contenders were left out, where, and why."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for r in absent:
        found.setdefault((r["contender"], r["why"]), {})[f"{r['workload']} {r['dtype']}"] = None
    each = [f"{name} of {' and '.join(where)} ({why})" for (name, why), where in found.items()]
    return [f"Left out: {'; '.join(each)}."] if each else []


def time_tables(times: list[Record], threads: int) -> str:
    """Lay out one table of milliseconds, and of ratios to numkan, for each workload and dtype."""
    parts = []
    for (name, dtype), case in cases(times, threads).items():
        rows = [
            [c, *(cell for column in COLUMNS for cell in _time_cells(t.get(column), case["numkan"][column]))]
            for c, t in case.items()
        ]
        heads = ["contender", "fwd ms", "/ numkan", "fwd+bwd ms", "/ numkan"]
        parts.append(f"{WORKLOADS[name]}, {dtype}\n\n{table(heads, rows)}")
    return f"### {threads} thread{'s' if threads > 1 else ''} each\n\n" + "\n\n".join(parts)


def _time_cells(seconds: float | None, numkan: float) -> tuple[str, str]:
    return ("-", "-") if seconds is None else (f"{1e3 * seconds:.4g}", f"{seconds / numkan:.2f}")


def report_text(data: dict[str, Any]) -> str:
    """Write everything that the file holds: all times, shares of the machine, sweeps, and goals."""
    parts = []
    for name, part in data.items():
        parts.append(f"## {name}\n\n{paragraph(part['about'])}")
        if name.startswith("peers"):
            parts += [time_tables(part["times"], n) for n in sorted({r["threads"] for r in part["times"]})]
            parts += _left_out(part.get("absent", []))
            if part["rates"]:
                shares = table_of_shares(part["times"], part["rates"], WORKLOADS)
                parts += ["### Useful work, and the share of the machine that numkan reaches", SHARES_ARE, shares]
        else:
            parts.append(sweep_tables(part["sweeps"]))
        found = claims({name: part})
        parts += [f"### {claim.what}: {count(claim.goals)}\n\n{goal_table(claim.goals)}" for claim in found]
    return "\n\n".join(parts)


def write(data: dict[str, Any]) -> None:
    """Rewrite all that is made from the data but RESULTS.md."""
    if "peers" in data:
        write_section("speed", readme_text(data["peers"]), README)
    draw(data, FIGURE)
