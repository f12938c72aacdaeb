"""Claim: the floor below; and, shown beside it, how long numkan and live peers take for the same work, in one run.

For each number of threads one process is started, with that many threads for every library. In it the contenders of
one workload are warmed up (compiled) and then take turns: in a round each one runs once, for a burst of calls of about
a millisecond or a single longer call; the figure is the median over rounds. "fwd" is a prediction, "fwd+bwd" a
mean squared error and its gradient by all parameters. numkan's public calls are timed, checks and packing included.

The floor (exit code 1 below it), float32, one thread each, on the workloads small and mid: at least 20x pykan forward
and 15x forward + backward, with pykan's symbolic branch and saved activations off, and no slower than compiled inkan.

    python validation/benchmark.py --quick      # small and mid, float32, under a minute, with the peers you have
    python validation/benchmark.py --write      # everything, into RESULTS.md
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _peers import CONTENDERS, Contender, Workload, forget_compiled
from _report import header, table, write_section

WORKLOADS = {
    w.name: w
    for w in (
        Workload("small", (2, 5, 1), 5, 1000),
        Workload("mid", (4, 16, 16, 1), 10, 2000),
        Workload("mnist", (784, 64, 10), 5, 256),
        Workload("wide", (256, 256), 5, 1024),
        Workload("row", (4, 16, 16, 1), 10, 1),
    )
}
QUICK = ("small", "mid")
QUICK_PEERS = ("numkan", "pykan plain", "inkan compiled", "inkan dense compiled")
TOO_LARGE = {
    ("pykan default", "wide"): "a Python call for each of 65,536 edges",
    ("pykan default", "mnist"): "50,816 edges",
}
COLUMNS = ("forward", "both")
PACKAGES = ("numkan", "numpy", "numba", "scipy", "torch", "pykan", "inkan", "flashkan", "jax", "jaxkan")

# name of the peer, column -> how many times faster numkan must be; float32, one thread each
FLOOR = {
    ("pykan plain", "forward"): 20.0,
    ("pykan plain", "both"): 15.0,
    **{(f"inkan{form}", column): 1.0 for form in ("", " dense", " compiled", " dense compiled") for column in COLUMNS},
}
DISTURBED = 1.5  # a median this many times the best turn tells of other work on the machine
BURST = 1e-3  # seconds that the calls of one turn take together, unless one call takes longer

Times = dict[str, dict[str, float]]  # contender -> column -> seconds


def burst(call: Callable[[], Any]) -> float:
    """Seconds per call over one turn."""
    calls, start = 0, time.perf_counter()
    while True:
        call()
        calls += 1
        spent = time.perf_counter() - start
        if spent > BURST:
            return spent / calls


def alternate(calls: dict[str, Callable[[], Any]], seconds: float, rounds: int) -> dict[str, float]:
    """Let each call have its turn, round by round, until the time is used; median of its turns."""
    turns: dict[str, list[float]] = {name: [] for name in calls}
    deadline = time.perf_counter() + seconds
    gc.collect()
    gc.disable()
    try:
        while time.perf_counter() < deadline or min(map(len, turns.values())) < rounds:
            for name, call in calls.items():
                turns[name].append(burst(call))
    finally:
        gc.enable()
    for name, t in turns.items():
        if statistics.median(t) > DISTURBED * min(t):
            print(f"disturbed: {name}, median {statistics.median(t):.3g} s, best {min(t):.3g} s", file=sys.stderr)
    return {name: statistics.median(t) for name, t in turns.items()}


def assemble(names: list[str], work: Workload, dtype: str, threads: int) -> dict[str, Contender]:
    """Build and warm up the contenders; one that is not installed, or fails, is skipped with a line that says so."""
    ready = {}
    for name in names:
        if (name, work.name) in TOO_LARGE:
            print(f"skipped: {name} on {work.name} (minutes a call)", file=sys.stderr)
            continue
        if name == "numkan frozen" and work.rows > 1:
            continue  # for many rows it is numkan without the packing
        try:
            contender = CONTENDERS[name](work, dtype, threads)
            for call in (contender.forward, contender.both):
                for _ in range(3 if call else 0):
                    call()
        except Exception as error:  # a peer may fail in any way; numkan may not
            if name.startswith("numkan"):
                raise
            print(f"skipped: {name} on {work.name} ({type(error).__name__}: {str(error)[:200]})", file=sys.stderr)
            continue
        ready[name] = contender
    return ready


def measure(options: argparse.Namespace, threads: int) -> dict[str, Times]:
    """Time every workload and dtype in this process; keys are "workload dtype"."""
    warnings.simplefilter("ignore")  # of the peers
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core, whatever a library thinks of its flags
    results: dict[str, Times] = {}
    for name in options.workloads:
        for dtype in options.dtype:
            forget_compiled()
            contenders = assemble(options.contenders, WORKLOADS[name], dtype, threads)
            times: Times = {c: {} for c in contenders}
            for column in COLUMNS:
                calls = {c: getattr(contenders[c], column) for c in contenders}
                calls = {c: call for c, call in calls.items() if call is not None}
                for c, seconds in alternate(calls, options.seconds, options.rounds).items():
                    times[c][column] = seconds
            results[f"{name} {dtype}"] = times
            print(f"measured: {name} {dtype}, {threads} thread(s)", file=sys.stderr)
    return results


def measure_elsewhere(options: argparse.Namespace, threads: int) -> dict[str, Times]:
    """Run `measure` in a process whose libraries are told their number of threads before they start."""
    one = str(threads)
    flags = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()} intra_op_parallelism_threads={one}"
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), one)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "times.json")
        command = [sys.executable, __file__, *sys.argv[1:], "--child", one, "--child-output", str(target)]
        done = subprocess.run(command, env={**os.environ, **limits, "XLA_FLAGS": flags}, check=False)
        if done.returncode:
            raise SystemExit(f"the run with {threads} thread(s) failed")
        return json.loads(target.read_text())


def tables(results: dict[str, Times]) -> str:
    """Lay out one table of milliseconds, and of ratios to numkan, for each workload and dtype."""
    parts = []
    for key, times in results.items():
        name, dtype = key.split()
        own = times["numkan"]
        rows = [
            [c, *(cell for column in COLUMNS for cell in _cells(t.get(column), own[column]))] for c, t in times.items()
        ]
        heads = ["contender", "fwd ms", "/ numkan", "fwd+bwd ms", "/ numkan"]
        parts.append(f"{WORKLOADS[name]}, {dtype}\n\n{table(heads, rows)}")
    return "\n\n".join(parts)


def _cells(seconds: float | None, own: float) -> tuple[str, str]:
    return ("-", "-") if seconds is None else (f"{1e3 * seconds:.4g}", f"{seconds / own:.2f}")


def shortfalls(results: dict[str, Times]) -> tuple[int, list[str]]:
    """Count the ratios that have a floor, and say which of them miss it."""
    compared, missed = 0, []
    for name in QUICK:
        times = results.get(f"{name} float32", {})
        for (peer, column), factor in FLOOR.items():
            if peer not in times:
                continue
            compared += 1
            if (ratio := times[peer][column] / times["numkan"][column]) < factor:
                missed.append(f"{name} {column}: {ratio:.2f}x {peer}, not {factor:g}x")
    return compared, missed


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small and mid, float32, one thread, a few peers")
    parser.add_argument(
        "--workloads", nargs="+", choices=list(WORKLOADS), metavar="NAME", help=f"of {', '.join(WORKLOADS)}"
    )
    parser.add_argument("--dtype", nargs="+", choices=["float32", "float64"], metavar="DTYPE", help="default: both")
    parser.add_argument("--threads", nargs="+", type=int, metavar="N", help="default: 1 2")
    parser.add_argument(
        "--contenders", nargs="+", choices=list(CONTENDERS), metavar="NAME", help=f"of {', '.join(CONTENDERS)}"
    )
    parser.add_argument("--seconds", type=float, help="time for one column of one table (default 8, quick 2)")
    parser.add_argument("--rounds", type=int, help="rounds at least (default 5)", default=5)
    parser.add_argument("--write", action="store_true", help="write the tables into RESULTS.md")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--child-output", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    quick = options.quick
    options.workloads = options.workloads or list(QUICK if quick else WORKLOADS)
    options.dtype = options.dtype or (["float32"] if quick else ["float32", "float64"])
    options.threads = options.threads or ([1] if quick else [1, 2])
    options.contenders = options.contenders or list(QUICK_PEERS if quick else CONTENDERS)
    options.contenders = ["numkan", *(c for c in options.contenders if c != "numkan")]  # ratios are to numkan
    options.seconds = options.seconds or (2.0 if quick else 8.0)
    return options


def main() -> int:
    options = arguments()
    if options.child:
        options.child_output.write_text(json.dumps(measure(options, options.child)))
        return 0
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    head = f"{header(PACKAGES)} Load of the machine before the run: {load}."
    print(f"{head} Other work spoils the figures, with two threads above all.")
    parts, compared, missed = [], 0, []
    for threads in options.threads:
        results = measure_elsewhere(options, threads)
        parts.append(f"### {threads} thread{'s' if threads > 1 else ''} each\n\n{tables(results)}")
        print(f"\n{parts[-1]}", flush=True)
        if threads == 1:
            compared, missed = shortfalls(results)
    if options.write:
        about = "`benchmark.py`: medians over alternating rounds; ratios above 1 mean that numkan is faster."
        write_section("benchmark", f"## Speed beside live peers\n\n{about} {head}\n\n" + "\n\n".join(parts))
    print(f"\nfloor: {compared - len(missed)} of {compared} ratios met")
    print("\n".join(f"missed: {m}" for m in missed))
    return 1 if missed or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
