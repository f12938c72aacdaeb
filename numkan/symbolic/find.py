"""``find`` and ``explain``: formulas from data, and from a fitted network."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

import numpy as np

from numkan._blas import one_blas_thread
from numkan._check import (
    FloatArray,
    as_float_array,
    check_effort,
    check_finite,
    check_flag,
    check_number,
    check_seed,
    is_list,
)
from numkan._shown import shown
from numkan.kan import KAN
from numkan.symbolic.engine import Engine, Fitted, Held, Settings
from numkan.symbolic.expression import number
from numkan.symbolic.finish import finished
from numkan.symbolic.formula import Constant, Errors, Formula
from numkan.symbolic.functions import check_library
from numkan.symbolic.refine import root_of
from numkan.symbolic.symbols import sympy_module

__all__ = ["check_size", "explain", "find"]

_FEWEST, _MOST_COLUMNS, _MOST_ROWS = 30, 9, 6000
_HELD_OUT = 0.2


def find(
    x: Any,
    y: Any,
    *,
    names: Sequence[str] | None = None,
    library: Any = None,
    forbid: Any = (),
    sample_weight: Any = None,
    effort: float = 1.0,
    time_limit: float | None = None,
    progress: bool = False,
    random_state: int | np.random.Generator | None = 0,
) -> Formula | tuple[Formula, ...]:
    """Find the formula of samples.

    A network is fitted and serves as an oracle: tests of structure split it into functions of one variable, which are
    identified with those of the library. All constants of a proposed formula are then refined together on the samples.
    The right structure refines to rounding, or to the noise; a fifth of the samples is held out and decides.

    Parameters
    ----------
    x : array_like, shape (n, n_in)
        At least 30 rows; of more than 6000 a sample is drawn. At most nine columns.
    y : array_like, shape (n,) or (n, n_out)
    names : sequence of str, optional
        Of the inputs; by default x0, x1, ....
    library : mapping of str to callable, optional
        Functions that formulas may contain beside those of :data:`numkan.symbolic.LIBRARY`.
    forbid : list of str
        Names of functions that they must not contain.
    sample_weight : array_like, shape (n,), optional
        Factors of squared residuals, such as 1 / variance of the noise. Rows of weight 0 are left out.
    effort : float
        Scales the work, which is counted and not timed.
    time_limit : float, optional
        Seconds, for all outputs together. Without it no decision depends on the clock.
    progress : bool
        Whether to write a line to the standard error at every stage.
    random_state : int, numpy.random.Generator or None

    Returns
    -------
    Formula, or tuple of Formula
        A tuple where y has two dimensions.

    Raises
    ------
    ImportError
        Without sympy.
    ValueError, TypeError
        If an argument is not as said.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import symbolic
    >>> x = np.random.default_rng(0).uniform(1, 3, (40, 2))
    >>> formula = symbolic.find(x, 3 * x[:, 0] / x[:, 1] ** 2, names=["m", "r"], effort=0.05)
    >>> print(formula, formula.status)
    3*m/r**2 exact
    """
    given = _Given(
        x, y, names=names, library=library, forbid=forbid, sample_weight=sample_weight, effort=effort,
        time_limit=time_limit, progress=progress, random_state=random_state,
    )  # fmt: skip
    return given.all_outputs(None)


class Options(TypedDict, total=False):
    """What may be passed by name to `find` and `explain`; what it means stands there."""

    names: Sequence[str] | None
    library: Any
    forbid: Any
    sample_weight: Any
    effort: float
    time_limit: float | None
    progress: bool
    random_state: int | np.random.Generator | None


def explain(model: KAN, x: Any, y: Any, **options: Unpack[Options]) -> Formula | tuple[Formula, ...]:
    """Find the formula that a fitted network has learned.

    As :func:`find`, but the network is given. Pass samples x and y that it was not fitted to, if you have any: their
    error is the tolerance of all tests.

    Parameters
    ----------
    model : KAN
        It is not changed.
    x, y
        Samples.
    **options
        names, library, forbid, sample_weight, effort, time_limit, progress and random_state, as for :func:`find`.

    Returns
    -------
    Formula, or tuple of Formula
        A tuple where y has two dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN, symbolic
    >>> x = np.random.default_rng(0).uniform(1, 3, (100, 1))
    >>> model = KAN([1, 1], seed=0)
    >>> result = model.fit(x, 2 * np.log(x[:, 0]))
    >>> print(symbolic.explain(model, x, 2 * np.log(x[:, 0]), names=["t"]))
    2*log(t)
    """
    if not isinstance(model, KAN):
        raise TypeError(f"Argument `model` must be a KAN, not {type(model).__name__}.")
    for name in options.keys() - Options.__annotations__.keys():
        raise TypeError(f"explain() got an unexpected keyword argument {name!r}")
    given = _Given(x, y, **options)
    if given.x.shape[1] != model.n_in:
        raise ValueError(f"Argument `x` must have {model.n_in} columns, one for each input, not {given.x.shape[1]}.")
    if given.y.shape[1] != model.n_out:
        raise ValueError(f"Argument `y` must have {model.n_out} columns, one for each output, not {given.y.shape[1]}.")
    return given.all_outputs(model)


class _Given:
    """The arguments, checked."""

    def __init__(
        self, x: Any, y: Any, *, names: Any = None, library: Any = None, forbid: Any = (), sample_weight: Any = None,
        effort: Any = 1.0, time_limit: Any = None, progress: Any = False, random_state: Any = 0,
    ) -> None:  # fmt: skip
        sympy_module()
        self.functions = check_library(library, forbid)
        self.x, self.y, self.several = _check_data(x, y)
        self.weight = _check_weight(sample_weight, len(self.x))
        if self.weight is not None:
            kept = self.weight > 0.0
            self.x, self.y, self.weight = self.x[kept], self.y[kept], self.weight[kept]
        self.names = _check_names(names, self.x.shape[1])
        self.effort = check_effort(effort)
        limit = None if time_limit is None else check_number("time_limit", time_limit, 0.0)
        self.deadline = None if limit is None else time.perf_counter() + limit
        self.say = _say if check_flag("progress", progress) else _keep_quiet
        self.rng = check_seed("random_state", random_state)

    def all_outputs(self, model: KAN | None) -> Formula | tuple[Formula, ...]:
        """Find a formula for each output."""
        order = self.rng.permutation(len(self.x))
        notes = []
        if len(order) > _MOST_ROWS:
            order = order[:_MOST_ROWS]
            notes.append(f"found on a sample of {_MOST_ROWS} of {len(self.x)} rows")
        cut = max(round(_HELD_OUT * len(order)), 6)
        seed = int(self.rng.integers(2**31))
        with one_blas_thread(), np.errstate(all="ignore"):
            found = [
                self._one(k, model, np.sort(order[cut:]), np.sort(order[:cut]), seed, notes)
                for k in range(self.y.shape[1])
            ]
        return tuple(found) if self.several else found[0]

    def _one(self, k: int, model: KAN | None, train: Any, held: Any, seed: int, notes: list[str]) -> Formula:
        y = self.y[:, k]
        if np.ptp(y) <= 1e-14 * float(np.abs(y).max()):
            with np.errstate(over="ignore"):  # their sum may be too large for a float
                mean = float(np.mean(y))
            return _constant(mean if np.isfinite(mean) else float(y[0]), self.names, notes)
        settings = Settings(self.functions, self.effort, self.deadline, seed, self.say)
        weight = None if self.weight is None else self.weight[train]
        own = Held(self.x[held], y[held], 1.0 if self.weight is None else root_of(self.weight[held]))
        network = None
        if model is not None:
            error = own.rms(np.asarray(model(own.x)[:, k], np.float64))
            network = Fitted(model, max(error, 1e-15 * float(np.std(y))), error, k)
        engine = Engine(self.x[train], y[train], weight, own, settings, network)
        engine.run()
        stopped = ""
        if engine.judge.exact is None and settings.expired():
            stopped = "`time_limit` was over before all hypotheses had been looked at."
        elif engine.judge.exact is None and engine.spent:
            stopped = "the work that `effort` allows was used up before all hypotheses had been looked at."
        return finished(engine, self.names, stopped, notes)


def _constant(value: float, names: tuple[str, ...], notes: list[str]) -> Formula:
    """Return the formula of targets that do not vary."""
    sp = sympy_module()
    exact = sp.Integer(int(value)) if value == int(value) and abs(value) < 1e15 else sp.Float(value, 17)
    text = str(exact) if exact.is_Integer else ""
    return Formula(
        "exact", names, Errors(0.0, 0.0, 0.0), (Constant(value, text, 0.0),), trace=("the targets are constant",),
        notes=tuple(notes), _expression=exact, _symbols=tuple(sp.Symbol(n) for n in names), _node=number(value),
    )  # fmt: skip


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _keep_quiet(text: str) -> None:
    del text


def check_size(n_rows: int, n_in: int) -> None:
    """Raise ValueError where samples are too few, or inputs too many."""
    if n_in > _MOST_COLUMNS:
        raise ValueError(f"Argument `x` must have at most {_MOST_COLUMNS} columns, not {n_in}: drop some first.")
    if n_rows < _FEWEST:
        raise ValueError(f"Argument `x` must have at least {_FEWEST} rows to tell formulas apart, not {n_rows}.")


def _check_data(x: Any, y: Any) -> tuple[FloatArray, FloatArray, bool]:
    x, y = as_float_array("x", x, np.float64), as_float_array("y", y, np.float64)
    if x.ndim != 2 or x.shape[1] < 1:
        raise ValueError(f"Argument `x` must have shape (n, n_in), not {x.shape}.")
    check_size(*x.shape)
    if y.ndim not in (1, 2) or len(y) != len(x) or y.size == 0:
        raise ValueError(f"Argument `y` must have shape ({len(x)},) or ({len(x)}, n_out), not {y.shape}.")
    check_finite("x", x)
    check_finite("y", y)
    return x, y if y.ndim == 2 else y[:, None], y.ndim == 2


def _check_weight(weight: Any, n: int) -> FloatArray | None:
    if weight is None:
        return None
    checked = as_float_array("sample_weight", weight, np.float64)
    if checked.shape != (n,):
        raise ValueError(f"Argument `sample_weight` must have shape ({n},), not {checked.shape}.")
    check_finite("sample_weight", checked)
    if not (checked >= 0.0).all() or not checked.any():
        raise ValueError("Argument `sample_weight` must hold numbers >= 0, not all 0.")
    if (kept := np.count_nonzero(checked)) < _FEWEST:
        raise ValueError(f"Argument `sample_weight` must be greater than 0 for at least {_FEWEST} rows, not {kept}.")
    return checked


def _check_names(names: Any, n_in: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"x{k}" for k in range(n_in))
    if not is_list(names) or len(names) != n_in:
        raise ValueError(f"Argument `names` must hold {n_in} names, one for each column, not {shown(names)}.")
    texts = tuple(str(name) for name in names)
    bad = [t for t in texts if not t.isidentifier()]
    if bad or len(set(texts)) < n_in:
        raise ValueError(f"Argument `names` must hold different identifiers, not {shown(list(texts))}.")
    return texts
