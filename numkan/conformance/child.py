"""The child process for an adapter that is given by name: it imports the adapter, and tries one law a message."""

from __future__ import annotations

import importlib
import json
import os
import signal
from dataclasses import asdict
from functools import partial
from typing import Any, TextIO

from numkan.conformance.bench import plain_result
from numkan.conformance.runner import Here
from numkan.conformance.scope import AdapterError

__all__ = ["imported", "serve"]


def imported(target: str) -> Any:
    """Return the object that "package.module:name" names; raise an error if it cannot be imported."""
    module, _, name = target.partition(":")
    if not module or not name:
        raise AdapterError(f"Argument `adapter` must look like package.module:name, not {target!r}.")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found() if isinstance(found, type) else found
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())
        raise AdapterError(f"The adapter {target} cannot be imported: {type(error).__name__}: {said}") from error


def serve() -> None:
    """Answer questions, one a line of JSON, until there are no more.

    The adapter's output goes to the standard error, and its input is empty, because the kit uses both streams.
    """
    questions, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    first = json.loads(questions.readline())
    try:
        bench = Here(imported(first["target"]), first["timeout"], alive=partial(_alarm, 2 * first["timeout"] + 5))
        _say(answers, {"name": bench.name, "scope": asdict(bench.scope)})
    except Exception as error:  # an attribute may raise what it likes
        said = " ".join(f"{type(error).__name__}: {error}".split())
        known = isinstance(error, AdapterError)
        _say(answers, {"error": str(error) if known else f"The adapter {first['target']} cannot be used: {said}"})
        return
    _alarm(0)
    for line in questions:
        _say(answers, _answer(bench, json.loads(line)))


def _say(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _answer(bench: Here, question: dict[str, Any]) -> dict[str, Any]:
    """Try a law, and return the result."""
    try:
        return plain_result(bench.replay(**question) if "example" in question else bench.judge(**question))
    except AdapterError as error:
        return {"hangs": str(error)}
    except Exception as error:
        return {"error": f"The kit itself failed, please report it: {type(error).__name__}: {error}"}
    finally:
        _alarm(0)


def _alarm(seconds: float) -> None:
    """End this process after some seconds, unless it is asked again: a call may keep every thread from running."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
