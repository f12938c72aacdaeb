"""What both estimators share: parameters, reading of tables, the fit, and answers."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from numkan._check import check_flag, check_integer, check_number, is_list
from numkan._shown import shown
from numkan.kan import KAN
from numkan.sklearn.candidates import Candidate
from numkan.sklearn.certainty import Unseen
from numkan.sklearn.frames import is_frame
from numkan.sklearn.importance import importances
from numkan.sklearn.inputs import Inputs, Reader
from numkan.sklearn.learn import Learned, Plan, learn
from numkan.sklearn.online import Online, begin
from numkan.sklearn.rows import Rows, canonical, checked_weight
from numkan.sklearn.senses import input_senses
from numkan.sklearn.tasks import Task, answers
from numkan.train.history import FitResult

__all__ = ["KANEstimator"]

Floats = NDArray[np.float64]


class KANEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Common base of the estimators."""

    models_: tuple[KAN, ...]
    weights_: Floats
    results_: tuple[FitResult, ...]

    _task: type[Task]
    _candidates: tuple[Candidate, ...]  # that the networks are of
    _online: Online | None = None  # where `partial_fit` has begun

    def __init__(
        self,
        hidden: Any = "auto",
        *,
        k: int = 3,
        categorical_features: Any = "from_dtype",
        monotonic_cst: Any = None,
        time_limit: float | None = None,
        progress: bool = False,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Any = 0,
    ) -> None:
        self.hidden = hidden
        self.k = k
        self.categorical_features = categorical_features
        self.monotonic_cst = monotonic_cst
        self.time_limit = time_limit
        self.progress = progress
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags

    # --- a fit ----------------------------------------------------------------------------------------------------

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Self:
        """Fit to a table and checked targets (n, n_out), or places of classes (n, 1)."""
        plan = self._plan()
        goes_on = check_flag("warm_start", self.warm_start) and hasattr(self, "models_")
        table = self._table(X, reset=not goes_on)
        check_consistent_length(table, y)
        weight = checked_weight(sample_weight, len(y))
        if not goes_on:
            self._reader = Reader.of(table, self._names(), self.categorical_features, weight)
        rows = canonical(Rows(self._reader(table), y, weight))
        if not goes_on:
            self._inputs = Inputs.of(self._reader, rows.x, rows.weight)
        senses = input_senses(self.monotonic_cst, self._reader, self._inputs)
        task = replace(self._task_of(rows, goes_on), senses=senses)
        found = self._go_on(task, plan) if goes_on else learn(task, plan, self._rng())
        self.models_, self.weights_, self.results_, self._candidates = found[:4]
        self.n_iter_ = max(sum(result.steps for result in self.results_), 1)
        self.loss_curve_ = self.results_[int(self.weights_.argmax())].history.train.tolist()
        self._summarise(task)
        self._calibrate(task, found.unseen)
        self._online = None
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> Self:
        """Learn from a batch of a table, with checked targets (n, n_out), or places of classes (n, 1)."""
        plan, goes_on = self._plan(), self._online is not None
        table = self._table(X, reset=not goes_on)
        check_consistent_length(table, y)
        weight = checked_weight(sample_weight, len(y))
        reader = self._reader if goes_on else Reader.of(table, self._names(), self.categorical_features, weight)
        rows = canonical(Rows(reader(table), y, weight))
        if not goes_on:
            self._reader, self._inputs = reader, Inputs.of(reader, rows.x, rows.weight)
        senses = input_senses(self.monotonic_cst, self._reader, self._inputs)
        task = replace(self._task_of(rows, goes_on), senses=senses)
        if self._online is None:
            online, batch = begin(task, plan, self._rng())
        else:
            online, batch = copy.deepcopy(self._online), task
        said = answers(self._task, online.model, task.z)
        online = online.learn(batch, float(np.average(task.losses(said), weights=task.weight)))
        self._online, self.models_, self.weights_ = online, (online.model,), np.ones(1)
        self.results_, self._candidates = (online.result,), (online.candidate,)
        self.loss_curve_ = list(online.losses)
        self.n_iter_ = online.result.steps + online.stream.steps
        self._summarise(task)
        self._calibrate(task, None)
        return self

    def _warn_of_fit(self) -> None:
        """Warn if networks are there that keep no sums over their rows."""
        if hasattr(self, "models_") and self._online is None:
            text = "`partial_fit` begins anew: `fit` keeps no sums over its rows. Give it the first rows, too."
            warnings.warn(text, UserWarning, stacklevel=3)

    def _plan(self) -> Plan:
        """Check the parameters."""
        hidden = self.hidden
        if is_list(hidden):
            hidden = tuple(check_integer(f"hidden[{place}]", size, 1) for place, size in enumerate(hidden))
        elif not isinstance(hidden, str) or hidden != "auto":
            raise ValueError(f"Argument `hidden` must be 'auto' or sizes of hidden layers, not {shown(hidden)}.")
        limit, jobs = self.time_limit, self.n_jobs
        if jobs is not None and (not isinstance(jobs, Integral) or jobs == 0):
            raise ValueError(f"Argument `n_jobs` must be None or an integer that is not 0, not {shown(jobs)}.")
        return Plan(
            hidden,
            check_integer("k", self.k, 1),
            None if limit is None else check_number("time_limit", limit, 0.0),
            check_flag("progress", self.progress),
            jobs,
        )

    def _rng(self) -> np.random.Generator:
        given = self.random_state
        if isinstance(given, np.random.Generator):
            return given
        return np.random.default_rng(check_random_state(given).randint(2**31 - 1))

    def _names(self) -> list[str]:
        found = getattr(self, "feature_names_in_", None)
        return [f"x{place}" for place in range(self.n_features_in_)] if found is None else list(found)

    def _table(self, X: Any, reset: bool) -> Any:
        """Return a data frame as it is, anything else as an array; its names and their number are checked."""
        if is_frame(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if X.shape[0] == 0 or X.shape[1] == 0:
                what = "sample(s)" if X.shape[0] == 0 else "feature(s)"
                raise ValueError(f"Found array with 0 {what} (shape={X.shape}) while a minimum of 1 is required.")
            return X
        has_texts = is_list(self.categorical_features) if reset else any(map(bool, self._reader.levels))
        kind = None if has_texts else np.float64
        return validate_data(self, X, reset=reset, dtype=kind, ensure_all_finite="allow-nan")

    def _task_of(self, rows: Rows, goes_on: bool) -> Task:
        """Return what networks are fitted to."""
        raise NotImplementedError

    def _go_on(self, task: Task, plan: Plan) -> Learned:
        """Fit every network of the average to all samples, from where it is."""
        limit = None if plan.time_limit is None else plan.time_limit / len(self.models_)
        pairs = zip(self._candidates, copy.deepcopy(self.models_), strict=True)
        fitted = [candidate.go_on(model, task, time_limit=limit) for candidate, model in pairs]
        return Learned.of(fitted, self.weights_)

    def _summarise(self, task: Task) -> None:
        self.input_names_ = self._inputs.names
        self.feature_importances_ = importances(self._say, task.z, task.weight, self._inputs.of_columns)

    def _calibrate(self, task: Task, unseen: Unseen | None) -> None:
        """Take note of errors at samples that were not seen."""

    # --- answers --------------------------------------------------------------------------------------------------

    def _say(self, z: Floats) -> Floats:
        """Return what the average says at inputs (n, n_in): the sum of weights times answers of its networks."""
        parts = zip(self.weights_, self.models_, strict=True)
        total: Floats = sum(weight * answers(self._task, model, z) for weight, model in parts)
        return total

    def _answer(self, X: Any) -> Floats:
        check_is_fitted(self)
        return self._say(self._encoded(X))

    def _encoded(self, X: Any) -> Floats:
        """Return a table as the networks take it."""
        return self._inputs(self._reader(self._table(X, reset=False)))
