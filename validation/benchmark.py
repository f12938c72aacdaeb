"""Claim: ahead of every peer, by the floors below; shown beside it, all times, and how they grow.

For each number of threads one process is started, with that many threads for every library. In it the contenders of
one workload are warmed up (compiled), and are then timed in bursts of calls that alternate (`_timing.py`); the figure
is the median over bursts. "fwd" is a prediction, "fwd+bwd" a mean squared error and its gradient by all parameters.
numkan's public calls are timed, checks and packing included. What two threads of numkan gain over one is measured
without peers, in a process of its own.

With one thread each and with two, numkan is ahead of every peer on every workload, in float32 and float64; on small
and mid it is at least 20 times as fast as pykan forward and 15 times with the gradient, with pykan's symbolic branch
and saved activations off; and with vectors of 512 bits it is ahead by the floors of `_goals.py`. Exit code 1 where one
of these is missed by a peer that is installed. What two threads gain and the rate of BLAS are reported.

With ``--scaling``: numkan alone, one thread, within the bounds of `_scaling.py` on finer grids, other degrees and a
million rows, in time and memory; exit code 1 where one is missed. In a full run these are reported.

    python validation/benchmark.py --quick      # under a minute: small and mid, float32, pykan and inkan if installed
    python validation/benchmark.py --scaling    # numkan alone
    python validation/benchmark.py --write      # everything, into speed.json, RESULTS.md, speed.png and the README
    python validation/benchmark.py --report     # prints all that speed.json holds; with --write, redraws it
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from typing import Any

from _contest import WORKLOADS, contest
from _gains import LARGE, gains
from _goals import Claim, count, goal_table
from _peers import CONTENDERS
from _report import facts, paragraph
from _results import write as write_results
from _scaling import memory, sweep_tables, sweeps
from _speed_data import load, part_name, save
from _speed_report import peer_claims, report_text, scaling_claim, time_tables, write
from _timing import elsewhere

from numkan.simd.vectors import vector_width

QUICK = ("small", "mid")
QUICK_PEERS = ("numkan", "pykan plain", "inkan compiled", "inkan dense compiled")
PACKAGES = ("numkan", "numpy", "numba", "scipy", "torch", "pykan", "inkan", "flashkan", "jax", "jaxkan")


def about() -> dict[str, str]:
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {**facts(PACKAGES), "load": load, "vectors": str(vector_width())}


def run_contest(options: argparse.Namespace) -> dict[str, Any]:
    """Time numkan beside its peers, one process a number of threads; then its threads over one, without them."""
    part: dict[str, Any] = {"about": about(), "times": [], "speedups": [], "rates": [], "absent": []}
    print(f"{paragraph(part['about'])} Load of the machine before the run: {part['about']['load']}.")
    print("Other work spoils the figures, with two threads above all.")
    for threads in options.threads:
        asked = (options.workloads, options.dtype, options.contenders, threads, options.seconds, options.rounds)
        for key, records in elsewhere(threads, contest, *asked).items():
            part[key].extend(records)
        print(f"\n{time_tables(part['times'], threads)}", flush=True)
        if threads > 1 and set(LARGE) & set(options.workloads):
            again = (options.workloads, options.dtype, threads, options.seconds, options.rounds)
            part["speedups"].extend(elsewhere(threads, gains, *again))
    return part


def run_scaling(options: argparse.Namespace) -> dict[str, Any]:
    """Time and weigh numkan as grids, degrees and rows grow."""
    seconds = min(options.seconds, 2.0)
    part = {"about": about(), "sweeps": elsewhere(1, sweeps, seconds, options.rounds), "memory": memory()}
    print(f"\n{sweep_tables(part['sweeps'])}", flush=True)
    return part


def verdict(claims: list[Claim]) -> bool:
    """Print the goals, then those that are missed; say whether all that decide are met."""
    for claim in claims:
        print(f"\n{claim.what}{'' if claim.decides else ' (reported)'}\n\n{goal_table(claim.goals)}")
    print()
    for claim in claims:
        print(f"{claim.what}: {count(claim.goals)}")
        for goal in claim.missed:
            print(f"    {'MISSED' if claim.decides else 'missed'}: {', '.join(goal.row()[:3])}")
    return not any(claim.missed for claim in claims if claim.decides)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small and mid, float32, one thread, a few peers")
    parser.add_argument("--scaling", action="store_true", help="numkan alone: grids, degrees, rows, memory")
    parser.add_argument(
        "--workloads", nargs="+", choices=list(WORKLOADS), metavar="NAME", help=f"of {', '.join(WORKLOADS)}"
    )
    parser.add_argument("--dtype", nargs="+", choices=["float32", "float64"], metavar="DTYPE", help="default: both")
    parser.add_argument("--threads", nargs="+", type=int, metavar="N", help="default: 1 2")
    parser.add_argument(
        "--contenders", nargs="+", choices=list(CONTENDERS), metavar="NAME", help=f"of {', '.join(CONTENDERS)}"
    )
    parser.add_argument("--seconds", type=float, help="time for one column of one table (default 4, quick 1)")
    parser.add_argument("--rounds", type=int, help="rounds at least (default 5)", default=5)
    parser.add_argument("--write", action="store_true", help="write what was measured into files")
    parser.add_argument("--report", action="store_true", help="print all that speed.json holds, measuring nothing")
    options = parser.parse_args()
    quick = options.quick
    options.all = not (quick or options.scaling or options.workloads)
    options.workloads = options.workloads or list(QUICK if quick else WORKLOADS)
    options.dtype = options.dtype or (["float32"] if quick else ["float32", "float64"])
    options.threads = options.threads or ([1] if quick else [1, 2])
    options.contenders = options.contenders or list(QUICK_PEERS if quick else CONTENDERS)
    options.contenders = ["numkan", *(c for c in options.contenders if c != "numkan")]  # ratios are to numkan
    options.seconds = options.seconds or (1.0 if quick else 4.0)
    return options


def keep(name: str, part: dict[str, Any]) -> None:
    """Put a part into speed.json at once, and rewrite what shows it."""
    save({**load(), part_name(name, part["about"]): part})
    write(load())  # as anyone reads it
    write_results()


def main() -> int:
    options = arguments()
    if options.report:
        if options.write:
            write(load())
            write_results()
        print(report_text(load()))
        return 0
    claims: list[Claim] = []
    if not options.scaling:
        part = run_contest(options)
        claims += peer_claims(part)
        if not claims:
            print("\nNo peer took part: numkan's times stand alone.")
        if options.write:
            keep("peers", part)
    if options.scaling or options.all:
        part = run_scaling(options)
        claims.append(replace(scaling_claim(part), decides=options.scaling))
        if options.write:
            keep("scaling", part)
    return 0 if verdict(claims) else 1


if __name__ == "__main__":
    sys.exit(main())
