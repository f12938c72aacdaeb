"""The system fails while a file is written: kills and errors at every system call, injected by strace.

A child of this process waits until strace is attached to it, and then writes; so calls are counted from there.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from _fault_tools import CASES, Found, found, state

from numkan import KAN
from numkan.train.checkpoint import read_checkpoint, write_checkpoint

__all__ = ["check_system_calls_of_checkpoint", "check_system_calls_of_save"]

ERRORS = ("ENOSPC", "EIO", "EINTR", "EDQUOT", "ENOMEM")

#: Calls of the child's that are not of the writing, or that the kernel makes up.
OTHERS = {"exit_group", "exit", "restart_syscall", "rt_sigreturn", "futex", "read", "brk", "munmap", "rt_sigprocmask"}
DONE, REFUSED, ODD = 0, 3, 4


class Writing(NamedTuple):
    """What is written, and how one sees that a file is whole."""

    write: Callable[[Path, int], object]  # one of two contents
    is_whole: Callable[[Path], bool]


def check_system_calls_of_save(quick: bool = False) -> Found:
    """Kills and errors at any system call of `save` leave a whole file, old or new, and no other after errors."""
    models = [KAN([2, 3, 1], seed=seed) for seed in (0, 1)]
    states = {state(model) for model in models}
    return _check(
        Writing(lambda path, number: models[number].save(path), lambda path: state(KAN.load(path)) in states), quick
    )


def check_system_calls_of_checkpoint(quick: bool = False) -> Found:
    """Kills and errors at any system call of a checkpoint leave a whole file, and no other after an error."""
    with tempfile.TemporaryDirectory() as folder:
        path, case = Path(folder) / "c.npz", CASES["lbfgs"]
        case.fit(case.model(), checkpoint=path)
        whole = read_checkpoint(path)
    pair = [whole, type(whole)(whole.facts, whole.generator, [])]
    return _check(
        Writing(
            lambda path, number: write_checkpoint(path, pair[number]),
            lambda path: len(read_checkpoint(path).entries) in (0, len(whole.entries)),
        ),
        quick,
    )


def _check(writing: Writing, quick: bool) -> Found:
    if (why := _unable()) is not None:
        return Found(why, True, 0, 0)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        inside = Path(folder) / "inside"
        inside.mkdir()
        path = inside / "f.npz"
        writing.write(path, 0)
        _traced(writing, path, ["-o", str(log)])
        calls = _calls(log)
        tries = [(call, "signal=KILL") for call in calls]
        tries += [
            (call, f"error={error}")
            for number, call in enumerate(calls)
            for place, error in enumerate(ERRORS)
            if not quick or place == number % len(ERRORS)
        ]
        failures, codes = list[str](), list[int]()
        for (name, number), fault in tries[:: 2 if quick else 1]:
            writing.write(path, 0)
            inject = ["-o", "/dev/null", "-e", f"trace={name}", "-e", f"inject={name}:{fault}:when={number}"]
            code = _traced(writing, path, inject)
            codes.append(code)
            failures += [f"{name} {number} {fault}: {what}" for what in _wrong(writing, path, code, name, fault)]
    killed, refused = (codes.count(code) for code in (-signal.SIGKILL, REFUSED))
    failures += [] if killed and refused else ["strace has injected nothing"]
    more = f" at {len(calls)} calls; {killed} kills, {refused} errors that were raised"
    return found(len(codes), failures, more)


def _wrong(writing: Writing, path: Path, code: int, name: str, fault: str) -> list[str]:
    """Return what is wrong after a fault, and tidy up."""
    wrong = []
    killed = code == -signal.SIGKILL
    if not (killed or code in (DONE, REFUSED)):
        wrong.append(f"exit code {code}")
    try:
        if not writing.is_whole(path):
            wrong.append("another file")
    except Exception as error:
        wrong.append(f"no whole file: {error}")
    left = [entry for entry in path.parent.iterdir() if entry != path]
    if left and not killed and not name.startswith("unlink"):
        wrong.append(f"{len(left)} more files")
    for entry in left:
        entry.unlink()
    return wrong


def _traced(writing: Writing, path: Path, options: list[str]) -> int:
    """Write in a child under strace; return the exit code, minus the signal where one ended it."""
    begin, go = os.pipe()
    child = os.fork()
    if child == 0:
        code = ODD
        try:
            os.read(begin, 1)
            writing.write(path, 1)
            code = DONE
        except (OSError, MemoryError):
            code = REFUSED
        finally:
            os._exit(code)
    tracer = subprocess.Popen(
        ["strace", "-p", str(child), *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()  # "strace: Process 12 attached"
        os.write(go, b"x") if b"attached" in attached else os.kill(child, signal.SIGTERM)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        tracer.wait(10)
        assert tracer.stderr is not None
        tracer.stderr.close()
        os.close(begin)
        os.close(go)


def _calls(log: Path) -> list[tuple[str, int]]:
    """Return the system calls of a log in order, each with its number among those of its name."""
    names = [match[1] for line in log.read_text().splitlines() if (match := re.match(r"(?:\d+ +)?(\w+)\(", line))]
    numbered, seen = list[tuple[str, int]](), dict[str, int]()
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        if name not in OTHERS:
            numbered.append((name, seen[name]))
    return numbered


def _unable() -> str | None:
    """Return why there is nothing to check here, if that is so."""
    if not hasattr(os, "fork") or shutil.which("strace") is None:
        return "left out: strace is not installed"
    sleeper = os.fork()
    if sleeper == 0:
        time.sleep(20)
        os._exit(0)
    try:
        asked = subprocess.run(
            ["timeout", "3", "strace", "-o", "/dev/null", "-p", str(sleeper)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.kill(sleeper, signal.SIGKILL)
        os.waitpid(sleeper, 0)
    return None if "attached" in asked.stderr else "left out: strace may not attach to processes here"
