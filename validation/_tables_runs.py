"""Five folds of one table by one contender: scores, CPU seconds, and counts for a plot of the calibration."""

from __future__ import annotations

import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from _tables_contenders import Contender
from _tables_list import SEED, Table
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import KFold, StratifiedKFold
from threadpoolctl import threadpool_limits

#: A contender is stopped on a table where its first fold takes more CPU seconds.
MOST_SECONDS = 120.0

_BINS = 10


def run(contender: Contender, table: Table, kind: str) -> dict[str, Any] | None:
    """Return what a contender does on a table, or None where it is not tried."""
    x, y = table.read()
    labels, classes = np.unique(y.to_numpy(), return_inverse=True) if kind == "classification" else ([], None)
    if not contender.takes(len(labels)):
        return None
    goal = y.to_numpy(float) if classes is None else classes
    folds = (KFold if classes is None else StratifiedKFold)(5, shuffle=True, random_state=SEED)
    found: list[dict[str, Any]] = []
    for train, test in folds.split(x, goal):
        try:
            with _at_most(0.0 if found else MOST_SECONDS):
                found.append(_fold(contender.new(kind), x, goal, train, test, len(labels)))
        except _TooSlow:
            return {"error": f"more than {MOST_SECONDS:g} CPU seconds a fold"}
        except Exception as error:  # a contender that fails has no score on this table
            return {"error": f"{type(error).__name__}: {error}"[:200]}
    return {"rows": len(x), "folds": found}


class _TooSlow(BaseException):
    """Not an `Exception`, which a contender might catch."""


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise `_TooSlow` when the process has used so many CPU seconds more; 0 sets no limit."""

    def stop(number: int, frame: object) -> None:
        raise _TooSlow

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def large(contender: Contender) -> float:
    """Return the CPU seconds of a fit to 10,000 rows of 20 columns; kernels have been loaded before."""
    from sklearn.datasets import make_friedman1

    for rows in (100, 10_000):
        x, y = make_friedman1(rows, 20, noise=1.0, random_state=SEED)
        began = time.process_time()
        with threadpool_limits(1):
            contender.new("regression").fit(x, y)
        seconds = time.process_time() - began
    return seconds


def _fold(estimator: Any, x: Any, y: Any, train: Any, test: Any, n_classes: int) -> dict[str, Any]:
    began = time.process_time()
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        estimator.fit(x.iloc[train], y[train])
        answer = estimator.predict_proba(x.iloc[test]) if n_classes else estimator.predict(x.iloc[test])
    seconds = time.process_time() - began
    if not n_classes:
        found = {"r2": float(r2_score(y[test], answer)), "rmse": _root_mean_square(y[test] - answer)}
        if hasattr(estimator, "predict_interval"):  # it says how large errors will be
            found["claimed"] = _root_mean_square(estimator.predict(x.iloc[test], return_std=True)[1])
        return {**found, "seconds": seconds}
    probability = np.zeros((len(test), n_classes))
    probability[:, np.unique(y[train])] = answer / answer.sum(axis=1, keepdims=True)
    is_class = np.eye(n_classes)[y[test]]
    return {
        "log_loss": float(log_loss(y[test], probability, labels=range(n_classes))),
        "brier": float(np.square(probability - is_class).sum(axis=1).mean()),
        "accuracy": float((probability.argmax(axis=1) == y[test]).mean()),
        "seconds": seconds,
        "calibration": _calibration(probability, is_class),
    }


def _root_mean_square(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _calibration(probability: Any, is_class: Any) -> list[list[float]]:
    """Return for every tenth of probabilities: how many there are, their sum, and how many came true."""
    said, came = (part[:, 1:].ravel() if part.shape[1] == 2 else part.ravel() for part in (probability, is_class))
    place = np.minimum((said * _BINS).astype(int), _BINS - 1)
    sums = (np.bincount(place, weights, minlength=_BINS) for weights in (np.ones_like(said), said, came))
    return [[round(float(value), 6) for value in row] for row in zip(*sums, strict=True)]
