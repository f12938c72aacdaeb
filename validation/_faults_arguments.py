"""Hostile arguments: every public function and method meets every value of a list in each of its arguments."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any

from _fault_tools import Found, Unclear, answer, found, run_program, state
from _hostile_calls import Call, calls, without_a_call
from _hostile_values import VALUES

import numkan

__all__ = ["check_hostile_arguments"]

#: One in so many tries is made with --quick: others in every version, for a name decides.
ONE_IN = 12


#: What is done as it was asked for, however long it takes, or fails in a function of the caller's own.
HONEST = {("steps", "2^63"), ("steps", "10^30")}
HONEST |= {(callable_, "class") for callable_ in ("callback", "schedule", "fun_and_grad", "problem")}
HONEST |= {("time_limit", kind) for kind in ("None", "2^63", "10^30", "1e308")}


def check_hostile_arguments(quick: bool = False) -> Found:
    """Any value in any argument of a public function gives a result or a clear sentence, in 60 s; models stay whole."""
    done = run_program(
        "import sys, _faults_arguments; _faults_arguments.main(int(sys.argv[1]))", ONE_IN if quick else 1, seconds=6000
    )
    if done.returncode:
        return Found(f"exit code {done.returncode}: {done.stderr[-500:]}", False, 0, 0)
    tried, failures = json.loads(done.stdout.splitlines()[-1])
    return found(tried, failures)


def main(one_in: int) -> None:
    """Try all; print how many were tried, and the failures."""
    _limit_memory()
    tried, failures = 0, list[str]()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        known = calls(Path(folder))
        failures += [f"{name} has no call" for name in without_a_call(known)]
        for name, call in known.items():
            with contextlib.suppress(Exception):
                call.function(**call.arguments)  # what it needs is compiled
            for argument in call.arguments:
                for kind in VALUES:
                    if zlib.crc32(f"{name} {argument} {kind}".encode()) % one_in or (argument, kind) in HONEST:
                        continue
                    tried += 1
                    wrong = _wrong(call, argument, kind)
                    failures += [f"{name}({argument}={kind}): {wrong}"] if wrong else []
                    if wrong:
                        print(failures[-1], file=sys.stderr, flush=True)
        os.chdir("/")
    print(json.dumps([tried, failures]))


def _wrong(call: Call, argument: str, kind: str) -> str:
    """Try one value; return what is wrong."""
    arguments: dict[str, Any] = {**call.arguments, argument: VALUES[kind]()}
    before = None if call.model is None else state(call.model)
    try:
        error = answer(partial(call.function, **arguments), 60.0)
    except Unclear as unclear:
        return str(unclear)
    finally:
        numkan.set_threads(1)
    if call.model is None:
        return ""
    if error is None:
        call.model._become(type(call.model)([2, 2, 1], grid=3, k=2, seed=0))
        return ""
    return "" if state(call.model) == before else f"the model has changed: {error}"


def _limit_memory() -> None:
    """Let no call take more than four gigabytes."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, resource.RLIM_INFINITY))
