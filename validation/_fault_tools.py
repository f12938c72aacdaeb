"""What the checks of ``faults.py`` share: results with their counts, small fits, what a clear error is."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from numkan import KAN, Huber
from numkan.conformance import AdapterError

__all__ = ["CASES", "CLEAR", "Case", "Found", "Unclear", "answer", "digest", "found", "in_time", "run_program", "state"]

#: Errors that tell a caller something, and the longest message that one reads.
CLEAR = (ValueError, TypeError, OSError, MemoryError, RuntimeError, StopIteration, ImportError, AdapterError)
LONGEST = 900


class Found(NamedTuple):
    """What a check has found: in words, whether its claim holds, how often it was tried, and how often it failed."""

    measured: str
    holds: bool
    tried: int
    failed: int


def found(tried: int, failures: list[str], more: str = "") -> Found:
    """Return the result of a check that has tried something so many times; the first failures are told."""
    told = f"; {'; '.join(failures[:5])}" if failures else ""
    return Found(f"{tried} tried, {len(failures)} failed{more}{told}", not failures and tried > 0, tried, len(failures))


def run_program(
    program: str, *arguments: object, seconds: float = 300.0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, with one BLAS thread, which finds this folder's modules."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path, **environment}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=seconds)


# --- answers ------------------------------------------------------------------------------------------------------


class Hung(BaseException):
    """A call that takes too long."""


class Unclear(Exception):
    """An answer that helps nobody."""


@contextlib.contextmanager
def in_time(seconds: float) -> Iterator[None]:
    """Raise Hung in the block when the time is over."""

    def stop(number: int, frame: object) -> None:
        raise Hung

    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def answer(call: Callable[[], Any], seconds: float = 30.0) -> Exception | None:
    """Return the error of a call, None where it has a result; raise Unclear where it does not help, or warns."""
    try:
        with in_time(seconds), warnings.catch_warnings():
            warnings.simplefilter("error")
            call()
    except Hung:
        raise Unclear(f"no answer in {seconds:g} s") from None
    except CLEAR as error:
        text = str(error)
        # a sentence of numkan's, of the system's, or of NumPy's about memory
        if isinstance(error, OSError | MemoryError | StopIteration) or is_sentence(text):
            return error
        raise Unclear(f"{type(error).__name__}: {text[:200]}") from None
    except Exception as error:
        raise Unclear(f"{type(error).__name__}: {str(error)[:200]}") from None
    return None


def is_sentence(text: str) -> bool:
    """Whether a message is a sentence or two on one line, of a length that one reads."""
    return bool(re.match(r"^([A-Z]|numkan).*[.!)]$", text)) and "\n" not in text and len(text) <= LONGEST


# --- models and fits ----------------------------------------------------------------------------------------------


def state(model: KAN) -> bytes:
    """Return all that a model is."""
    names = ("grid", "coef", "scale_base", "scale_sp", "mask")
    arrays = b"".join(getattr(layer, name).tobytes() for layer in model.act_fun for name in names)
    settings = [(layer.extrapolate, layer.grid_eps, layer.k, layer.G) for layer in model.act_fun]
    return arrays + model.params.tobytes() + repr(settings).encode()


class Case(NamedTuple):
    """A small fit."""

    width: tuple[int, ...]
    settings: dict[str, Any]
    y: Any
    options: dict[str, Any]

    def model(self) -> KAN:
        """Return the model as the fit begins."""
        return KAN(list(self.width), **{"grid": 3, "seed": 0, **self.settings})

    def fit(self, model: KAN, **options: Any) -> Any:
        """Fit it."""
        return model.fit(X, self.y, **self.options, **options)


X = np.random.default_rng(0).uniform(-1, 1, (80, 2))
_SMOOTH = np.exp(np.sin(np.pi * X[:, 0]) + X[:, 1] ** 2)
_NOISY = _SMOOTH + 0.2 * np.random.default_rng(1).standard_normal(80)
_EDGED = np.sin(9 * X[:, 0] * X[:, 1]) + np.abs(X[:, 0] - 0.3)
_LABELS = (_SMOOTH > 1).astype(int) + (_SMOOTH > 2)
_GRIDS: dict[str, Any] = {"grids": [2, 4], "steps": 9}

#: The first six are the quick ones.
CASES = {
    "lbfgs": Case((2, 2, 1), {}, _SMOOTH, {"method": "lbfgs", **_GRIDS}),
    "lbfgs, labels": Case((2, 3), {}, _LABELS, {"loss": "cross_entropy", "method": "lbfgs", **_GRIDS}),
    "adam": Case((2, 2, 1), {}, _SMOOTH, {"method": "adam", "batch_size": 30, **_GRIDS}),
    "adam, huber": Case((2, 1), {}, _NOISY, {"method": "adam", "loss": Huber(0.3), "validation": 0.2, **_GRIDS}),
    "lm": Case((2, 2, 1), {}, _SMOOTH, {"method": "lm"}),
    "lm, noise": Case((2, 2, 1), {"dtype": "f4"}, _NOISY, {"method": "lm"}),
    "lbfgs, float32": Case((2, 2, 1), {"dtype": "f4"}, _SMOOTH, {"method": "lbfgs", "validation": 0.2, **_GRIDS}),
    "lbfgs, huber": Case((2, 2, 1), {}, _NOISY, {"method": "lbfgs", "loss": "huber", **_GRIDS}),
    "lbfgs, lamb": Case((2, 2, 1), {}, _SMOOTH, {"lamb": 0.01, "lamb_coef": 0.1, **_GRIDS}),
    "adam, labels": Case((2, 3), {"dtype": "f4"}, _LABELS, {"loss": "cross_entropy", "method": "adam", **_GRIDS}),
    "lm, stuck": Case((2, 1, 1), {}, _EDGED, {"method": "lm", "effort": 0.5}),
    "lm, several outputs": Case((2, 2, 2), {"extrapolate": "raise"}, np.column_stack([_SMOOTH, _NOISY]), {}),
    "lm, goes on": Case((2, 2, 1), {}, _NOISY, {"method": "lm", "start": "keep", "penalty": 1e-9, "grids": None}),
    "lm, three layers": Case((2, 2, 2, 1), {}, _EDGED, {"method": "lm", "restarts": 4, "grids": [2, 4]}),
}


def digest(result: Any) -> list[str]:
    """Return all that a fit tells but for the seconds."""
    timed = ("seconds", "start_seconds", "stages", "history", "weights")
    told = [repr(getattr(result, name)) for name in result.__dataclass_fields__ if name not in timed]
    told += [repr((s.grid, s.steps, s.loss, s.validation, s.ended)) for s in result.stages]
    history = result.history
    told += [getattr(history, name).tobytes().hex() for name in history.__dataclass_fields__ if name != "seconds"]
    return [*told, *(weight.tobytes().hex() for weight in result.weights)]
