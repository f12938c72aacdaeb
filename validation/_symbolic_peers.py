"""The peers of `symbolic.py`: pyoperon, gplearn, and pykan's `auto_symbolic`, each with a budget of CPU seconds.

Each starts again with another seed until its time is over, or until it is below 3e-7 on its own training samples, and
answers with what was best there. A peer that is not installed raises ImportError where it is called.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Predictor = Callable[[Any], Any]
Answer = tuple[Predictor, str]  # predictions, and the formula as the peer writes it

ENOUGH = 3e-7  # of the deviation of the targets; what is below 1e-6 at fresh points counts as found


def pyoperon(x: Any, y: Any, seed: int, seconds: float) -> Iterator[Answer]:
    """Yield one answer a run of 120 000 evaluations, scored by R2 as it suits noise-free data."""
    from pyoperon.sklearn import SymbolicRegressor

    del seconds
    while True:
        model = SymbolicRegressor(
            allowed_symbols="add,sub,mul,div,constant,variable,sin,cos,exp,log,sqrt,tanh,asin,square",
            objectives=["r2"], optimizer_iterations=10, max_length=40, max_evaluations=120_000, n_threads=1,
            epsilon=1e-12, random_state=seed,
        )  # fmt: skip
        model.fit(x, y)
        yield model.predict, str(model.get_model_string(model.model_, 12))
        seed += 1000


def gplearn(x: Any, y: Any, seed: int, seconds: float) -> Iterator[Answer]:
    """Yield the best program after every 10 generations of one population."""
    from gplearn.functions import make_function
    from gplearn.genetic import SymbolicRegressor

    del seconds
    exp = make_function(function=_exp, name="exp", arity=1)
    functions = ["add", "sub", "mul", "div", "sqrt", "log", "sin", "cos", exp]
    model = SymbolicRegressor(
        population_size=1000, generations=0, function_set=functions,
        metric="rmse", const_range=(-5.0, 5.0), parsimony_coefficient=1e-4, random_state=seed, warm_start=True,
    )  # fmt: skip
    while True:
        model.set_params(generations=model.generations + 10)
        model.fit(x, y)
        yield model.predict, str(model._program)


def _exp(u: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.where(np.abs(u) < 50.0, np.exp(np.clip(u, -50.0, 50.0)), 0.0)


def pykan(x: Any, y: Any, seed: int, seconds: float) -> Iterator[Answer]:
    """Yield one answer a run: fit, prune, fit, `auto_symbolic`, fit, as pykan's own example does."""
    import torch
    from kan import KAN
    from kan.utils import ex_round

    del seconds
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    data = {"train_input": torch.tensor(x), "train_label": torch.tensor(y[:, None])}
    data |= {"test_input": data["train_input"][:2], "test_label": data["train_label"][:2]}
    lib = ["x", "x^2", "x^3", "1/x", "sqrt", "exp", "log", "sin", "tanh", "arcsin", "gaussian", "0"]
    while True:
        try:
            with tempfile.TemporaryDirectory() as folder:
                model = KAN(width=[x.shape[1], 5, 1], grid=5, k=3, seed=seed, ckpt_path=folder, auto_save=False)
                model.fit(data, opt="LBFGS", steps=40, lamb=1e-3)
                model = model.prune()
                model.fit(data, opt="LBFGS", steps=40)
                model.auto_symbolic(lib=lib, verbose=0)
                model.fit(data, opt="LBFGS", steps=40)
                text = str(ex_round(model.symbolic_formula()[0][0], 6))
            yield lambda z, m=model: m(torch.tensor(z)).detach().numpy()[:, 0], text
        except Exception as error:  # its grid updates and its pruning fail now and then: the next seed
            yield lambda z: np.full(len(z), np.nan), f"{type(error).__name__}: {error}"
        seed += 1000


PEERS: dict[str, Callable[[Any, Any, int, float], Iterator[Answer]]] = {
    "pyoperon": pyoperon, "gplearn": gplearn, "pykan": pykan,
}  # fmt: skip


def best_of(peer: str, x: Any, y: Any, seed: int, seconds: float) -> tuple[Predictor | None, str, float, int]:
    """Run a peer until its CPU time is over: (predictions, formula, seconds, answers). One run is always finished."""
    began = time.process_time()
    best, answer, count = np.inf, (None, ""), 0
    with _quietly():
        try:
            for predict, text in PEERS[peer](x, y, seed, seconds):
                count += 1
                error = float(np.sqrt(np.mean(np.square(np.asarray(predict(x)) - y)))) / float(np.std(y))
                if error < best or count == 1:
                    best, answer = (error if np.isfinite(error) else np.inf), (predict, text)
                if best < ENOUGH or time.process_time() - began > seconds:
                    break
        except ImportError:
            raise
        except Exception as error:  # a peer that fails on data has no answer for them
            answer = (answer[0], answer[1] or f"{type(error).__name__}: {error}")
    return answer[0], answer[1], time.process_time() - began, count


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), open(os.devnull, "w") as null:
        warnings.simplefilter("ignore")
        with contextlib.redirect_stderr(null):
            yield
