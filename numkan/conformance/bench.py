"""Benches, on which laws are tried: in this process, or in a child process that may crash or hang.

A *bench* has the adapter's name and scope, and tries one law on the cases of one seed. The bench of a child process
sends one message for each law, and starts a new child if the old one has ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import Any, Protocol, Self

from numkan.conformance.laws import LAWS
from numkan.conformance.report import FAIL, Result
from numkan.conformance.scope import AdapterError, Scope

__all__ = ["Bench", "Child", "plain_result", "result_of"]

#: The program of a child; it answers on the standard output that it was given, which nothing else writes to.
PROGRAM = "from numkan.conformance.child import serve; serve()"


class Bench(Protocol):
    """A place to try laws."""

    name: str
    scope: Scope

    def judge(self, id: str, seed: int, examples: int) -> Result:
        """Try a law on the cases of one seed, and return the result."""

    def replay(self, id: str, example: dict[str, Any]) -> Result:
        """Try a law on one case, as plain numbers."""


class Child:
    """A bench in a process of its own, which imports "package.module:name"; a context."""

    def __init__(self, target: str, timeout: float = 60.0) -> None:
        self._target, self._timeout = target, timeout
        self._process: subprocess.Popen[str] | None = None
        self._start()

    def _start(self) -> None:
        """Start a process, and take its adapter's name and scope; say so where there is none."""
        folders = [folder or os.getcwd() for folder in sys.path]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
        if sys.dont_write_bytecode:
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            encoding="utf-8",
        )
        answer = self._ask({"target": self._target, "timeout": self._timeout})
        if isinstance(answer, str):
            raise AdapterError(f"The adapter {self._target} cannot be used: {answer} before any law was checked.")
        if "error" in answer:
            self.close()
            raise AdapterError(answer["error"])
        self.name: str = answer["name"]
        declared = answer["scope"].items()
        fields: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in declared}
        self.scope = Scope(**fields)

    def judge(self, id: str, seed: int, examples: int) -> Result:
        """Try a law on the cases of one seed; where the process ends or hangs, the law fails."""
        return self._tried(id, {"id": id, "seed": seed, "examples": examples})

    def replay(self, id: str, example: dict[str, Any]) -> Result:
        """Try a law on one case, as plain numbers."""
        return self._tried(id, {"id": id, "example": example})

    def _tried(self, id: str, question: dict[str, Any]) -> Result:
        if self._process is None:
            self._start()
        answer = self._ask(question)
        if isinstance(answer, str):
            return Result(LAWS[id], FAIL, message=f"{answer} while the law was checked")
        if "error" in answer:
            self.close()
            raise AdapterError(answer["error"])
        if "hangs" in answer:
            self.close()
            return Result(LAWS[id], FAIL, message=answer["hangs"])
        return result_of(answer)

    def _ask(self, question: dict[str, Any]) -> dict[str, Any] | str:
        """Send a question and return the answer, or how the process ended instead."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None  # noqa: PT018
        try:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if line.endswith("\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = process.wait()
        self.close()
        return _ending(code)

    def close(self) -> None:
        """End the process: wait until it exits, and kill it if it does not."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(BrokenPipeError):  # a question that was not read
                if pipe is not None:
                    pipe.close()
        try:
            process.wait(1.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _ending(code: int) -> str:
    """Return how a process ended, in words."""
    if code == -getattr(signal, "SIGALRM", 0):
        return "the process hung, and no other thread of it could run,"
    if code < 0:
        return f"the process was ended by {signal.Signals(-code).name}"
    return f"the process ended with exit code {code}"


def plain_result(result: Result) -> dict[str, Any]:
    """Return a result as plain values for JSON."""
    return {**vars(result), "law": result.law.id}


def result_of(answer: dict[str, Any]) -> Result:
    """Return the result of an answer."""
    return Result(**{**answer, "law": LAWS[answer["law"]]})
