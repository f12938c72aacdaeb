"""The peers of `accuracy.py`: live pykan up its ladder of grids, and three regressors of scikit-learn.

A peer that is not installed raises ImportError where it is called.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from _accuracy_fits import rmse
from _accuracy_problems import Array, Data

GRIDS, STEPS = (3, 5, 10, 20, 50), 50  # of L-BFGS at each grid
BUDGET = 120.0  # seconds after which pykan begins no new grid

Record = dict[str, Any]
Predictor = Callable[[Array], Array]


def pykan(
    width: Sequence[int], data: Data, seed: int, back: Predictor = lambda y: y, budget: float = BUDGET
) -> list[Record]:
    """Train pykan in float64, refined grid by grid; one record a grid, with the seconds up to its end.

    Its error is measured on the fresh points, after ``back`` of its predictions. The best of the records is that of the
    grid that suits pykan best, which no user can know.
    """
    records: list[Record] = []
    with _quietly():
        for G, spent, predict in _ladder(width, data, seed, budget):
            error = rmse(back(predict(data.fresh)), data.truth)
            if not np.isfinite(error):
                break
            records.append({"peer": "pykan", "network": str(list(width)), "seed": seed, "G": G, "rmse": error})
            records[-1]["seconds"] = spent
    return records


def _ladder(width: Sequence[int], data: Data, seed: int, budget: float) -> Iterator[tuple[int, float, Predictor]]:
    import torch
    from kan import KAN

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    x, y = torch.tensor(data.x), torch.tensor(data.y[:, None])
    few = {"test_input": x[:2], "test_label": y[:2]}  # its own test after every step is not paid for
    samples = {"train_input": x, "train_label": y, **few}
    spent, model = 0.0, None
    for G in GRIDS:
        if spent > budget:
            return
        start = time.process_time()
        try:
            if model is None:
                model = KAN(width=list(width), grid=G, k=3, seed=seed, auto_save=False)
            else:
                model(x)  # its refine refits on the inputs of the last call
                model = model.refine(G)
                model.auto_save = False
            model.fit(samples, opt="LBFGS", steps=STEPS)
        except (RuntimeError, ValueError):  # a refit that LAPACK refuses
            return
        spent += time.process_time() - start
        yield G, spent, lambda z, model=model: model(torch.tensor(z)).detach().numpy()[:, 0]


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep what peers print and write to themselves."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
    ):
        warnings.simplefilter("ignore")
        yield


def gaussian_process(n_in: int) -> Any:
    """Make scikit-learn's Gaussian process: an RBF with a length for each input, and white noise."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    return GaussianProcessRegressor(ConstantKernel() * RBF(np.ones(n_in)) + WhiteKernel(), random_state=0)


def multilayer_perceptron(n_in: int) -> Any:
    """Make scikit-learn's network by its defaults."""
    from sklearn.neural_network import MLPRegressor

    return MLPRegressor(random_state=0)


def ridge(n_in: int) -> Any:
    """Make scikit-learn's ridge regression, its weight chosen by leaving one out."""
    from sklearn.linear_model import RidgeCV

    return RidgeCV(np.logspace(-3, 3, 13))


REGRESSORS = {"GP": gaussian_process, "MLP": multilayer_perceptron, "RidgeCV": ridge}


def regress(name: str, x: Array, y: Array) -> tuple[Predictor, float]:
    """Fit one of `REGRESSORS`; return its predictor and the seconds."""
    model = REGRESSORS[name](x.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of their convergence
        start = time.process_time()
        model.fit(x, y)
    return model.predict, time.process_time() - start
