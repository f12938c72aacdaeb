"""One model is fitted by one call at a time, and a second one says so."""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
import threading
import warnings
from typing import Any

import numpy as np
import pytest

from numkan import KAN
from numkan.train import FitState

X = np.linspace(-1, 1, 40)[:, None]
Y = np.sin(2 * X[:, 0])
OPTIONS: dict[str, Any] = {"method": "lbfgs", "grids": None, "steps": 3, "validation": None}
BEING_FITTED = "This model is being fitted by another call"


def small() -> KAN:
    return KAN([1, 1], grid=3, seed=0)


def test_a_second_thread_that_fits_a_model_is_told_so_and_harms_nothing():
    model, alone, errors = small(), small(), []
    alone.fit(X, Y, **OPTIONS)

    def fit_too() -> None:
        with pytest.raises(RuntimeError, match=BEING_FITTED):
            model.fit(X, -Y, **OPTIONS)
        errors.append("told")

    def meanwhile(state: FitState) -> None:
        thread = threading.Thread(target=fit_too)
        thread.start()
        thread.join()

    result = model.fit(X, Y, **OPTIONS, callback=meanwhile)
    assert errors == ["told"] * result.steps
    assert model.params.tobytes() == alone.params.tobytes()
    assert result.loss == model.loss(X, Y)


def test_copies_of_a_model_that_is_being_fitted_are_free(tmp_path):
    model, fitted = small(), []

    def meanwhile(state: FitState) -> None:
        model.save(tmp_path / "m.npz")
        twins = [model.copy(), copy.copy(model), pickle.loads(pickle.dumps(model)), KAN.load(tmp_path / "m.npz")]
        fitted.extend(twin.fit(X, Y, **OPTIONS).success for twin in twins)
        raise StopIteration

    model.fit(X, Y, **OPTIONS, callback=meanwhile)
    assert fitted == [True] * 4


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, StopIteration])
def test_a_fit_that_ended_in_any_way_gives_the_model_free(error):
    model = small()

    def fail(state: FitState) -> None:
        raise error

    with contextlib.suppress(error):
        model.fit(X, Y, **OPTIONS, callback=fail)
    with pytest.raises(TypeError, match="`callback`"):
        model.fit(X, Y, **OPTIONS, callback=1)
    assert model.fit(X, Y, **OPTIONS).success


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_may_fit_what_a_thread_of_the_parent_is_fitting():
    model, codes = small(), []

    def fork(state: FitState) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of any fork beside threads
            child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if model.fit(X, Y, **OPTIONS).success else 2
            finally:
                os._exit(code)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        raise StopIteration

    model.fit(X, Y, **OPTIONS, callback=fork)
    assert codes == [0]
