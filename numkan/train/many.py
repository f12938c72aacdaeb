"""``numkan.fit_many``: many fits by one function, through any executor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from numkan._check import is_iterable
from numkan._shown import shown
from numkan.train.workers import Call, Workers, named

__all__ = ["fit_many"]


def fit_many(make: Callable[[Any], tuple[Any, Any]], tasks: Iterable[Any], executor: Any = None) -> list[Any]:
    """Make and fit many models: one for each seed, fold, bootstrap sample or set of options.

    The models are the same, to the bit, from any executor and from none, as long as `make` depends on its task alone
    and the workers have the same processor and versions. A warning names workers that differ.

    Parameters
    ----------
    make : callable
        Called with each task; returns a model and the result of its fit. For executors of other processes it must
        pickle: a function of a module, or ``functools.partial(function, x, y)``. (loky and dask take lambdas too.)
    tasks : iterable
        What `make` is called with, say seeds or dictionaries of options. They must pickle as well.
    executor : concurrent.futures.Executor, optional
        ``ThreadPoolExecutor()``, ``ProcessPoolExecutor()``, ``loky.get_reusable_executor()``,
        ``dask.distributed.Client().get_executor()``, or any other. A worker has one thread of numkan and one of BLAS
        while it is at work. Without an executor the fits run here, one after the other.

    Returns
    -------
    list of (model, result)
        In the order of the tasks, whichever ended first.

    Raises
    ------
    TypeError
        If an argument is not as said, or `make` returns something else than a pair.
    Exception
        The first one, in the order of the tasks, that `make` raised, with a note that names the task.

    Notes
    -----
    After an error or Ctrl-C no further fit begins; those that run go on to their ends, whose results are lost. Threads
    start at once and share memory; processes begin with an import that takes about a second, and pay for longer fits.
    Processes on one machine share compiled kernels through the disk. Workers that begin together while nothing is
    compiled yet compile the same kernels each; one short fit before `fit_many` spares them that.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> import numpy as np
    >>> import numkan
    >>> x = np.random.default_rng(0).uniform(-1, 1, (100, 2))
    >>> y = np.sin(3 * x[:, 0]) + x[:, 1] ** 2
    >>> def make(seed):
    ...     model = numkan.KAN([2, 1, 1], seed=seed)
    ...     return model, model.fit(x, y, grids=[3, 6], random_state=seed)
    >>> with ThreadPoolExecutor(2) as executor:
    ...     fits = numkan.fit_many(make, range(3), executor)
    >>> model, result = min(fits, key=lambda fit: fit[1].loss)
    >>> len(fits), model.width
    (3, [2, 1, 1])
    """
    if not callable(make):
        raise TypeError(f"Argument `make` must be callable, not {shown(make)}.")
    if not is_iterable(tasks):
        raise TypeError(f"Argument `tasks` must be iterable, and no text, not {shown(tasks)}.")
    workers, todo = Workers(executor), list(tasks)
    calls: list[Call] = []
    try:
        for task in todo:
            calls.append(workers.begin(make, task))
        return [_pair(call.result, place, task) for place, (call, task) in enumerate(zip(calls, todo, strict=True))]
    finally:
        for call in reversed(calls):  # the last first, so that none begins meanwhile
            call.cancel()


def _pair(result: Callable[[], Any], place: int, task: Any) -> tuple[Any, Any]:
    """Return a model and its result; name the task in an error."""
    with named(lambda: f"This was task {place} of fit_many: {shown(task)}."):
        pair = result()
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError(f"Argument `make` must return a model and the result of its fit, not {shown(pair)}.")
        return pair
