"""The contenders: each with its defaults, on columns encoded as its documentation asks for."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from _tables_list import ROWS_OF_PROCESS
from sklearn.base import BaseEstimator


@dataclass(frozen=True)
class Contender:
    """An estimator for each kind of table, or None; `frame` says whether it takes the data frame as it is."""

    name: str
    package: str
    regressor: Callable[[], Any] | None
    classifier: Callable[[], Any] | None
    frame: bool = False
    two_classes: bool = False  # whether it can tell only two classes apart

    @property
    def is_installed(self) -> bool:
        """Whether its package is there."""
        return importlib.util.find_spec(self.package) is not None

    def new(self, kind: str) -> Any:
        """Return an estimator that takes data frames, or None."""
        make = self.regressor if kind == "regression" else self.classifier
        if make is None:
            return None
        return make() if self.frame else _encoded(make())

    def takes(self, classes: int) -> bool:
        """Whether it is tried on a table."""
        return not (self.two_classes and classes > 2)


def _encoded(estimator: Any) -> Any:
    """Return a pipeline: means for gaps, numbers standardised, an indicator for every category."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    texts = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (texts, make_column_selector(dtype_include="category")),
    )
    return make_pipeline(columns, estimator)


def _scaled(regressor: Any) -> Any:
    """Return a regressor that sees standardised targets."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    return TransformedTargetRegressor(regressor, transformer=StandardScaler())


def _ridge() -> Any:
    from sklearn.linear_model import RidgeCV

    return RidgeCV([10.0**power for power in range(-3, 4)])


def _logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000)


def _mlp_regressor() -> Any:
    from sklearn.neural_network import MLPRegressor

    return _scaled(MLPRegressor(random_state=0))


def _mlp_classifier() -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(random_state=0)


class _Process(BaseEstimator):
    """A process whose kernel has a length for every input, once their number is known; for classes one for all.

    Of many rows it is fitted to a sample.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def fit(self, x: Any, y: Any) -> Any:
        from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
        from sklearn.utils import resample

        if len(x) > ROWS_OF_PROCESS:
            classes = y if self.kind == "classification" else None
            x, y = resample(x, y, replace=False, n_samples=ROWS_OF_PROCESS, random_state=0, stratify=classes)
        if self.kind == "regression":
            kernel = ConstantKernel() * RBF([1.0] * x.shape[1])
            self.process_ = GaussianProcessRegressor(kernel + WhiteKernel(), normalize_y=True, random_state=0)
        else:
            self.process_ = GaussianProcessClassifier(ConstantKernel() * RBF(), random_state=0)
        self.process_.fit(x, y)
        self.classes_ = getattr(self.process_, "classes_", None)
        return self

    def predict(self, x: Any) -> Any:
        return self.process_.predict(x)

    def predict_proba(self, x: Any) -> Any:
        return self.process_.predict_proba(x)


def _boosting(kind: str) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return (HistGradientBoostingRegressor if kind == "regression" else HistGradientBoostingClassifier)(random_state=0)


def _forest(kind: str) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    return (RandomForestRegressor if kind == "regression" else RandomForestClassifier)(random_state=0)


def _svr() -> Any:
    from sklearn.svm import SVR

    return _scaled(SVR())


def _svc() -> Any:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import SVC

    return CalibratedClassifierCV(SVC(random_state=0), ensemble=False)


class _Gam(BaseEstimator):
    """pyGAM with its search for smoothness."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def fit(self, x: Any, y: Any) -> Any:
        from pygam import LinearGAM, LogisticGAM

        if self.kind == "regression":
            self.gam_ = LinearGAM().gridsearch(x, y, progress=False)
        else:
            self.classes_, labels = np.unique(y, return_inverse=True)
            self.gam_ = LogisticGAM().gridsearch(x, labels, progress=False)
        return self

    def predict(self, x: Any) -> Any:
        return self.gam_.predict(x)

    def predict_proba(self, x: Any) -> Any:
        one = self.gam_.predict_proba(x)
        return np.column_stack([1.0 - one, one])


def _ebm(kind: str) -> Any:
    from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor

    made = ExplainableBoostingRegressor if kind == "regression" else ExplainableBoostingClassifier
    return made(n_jobs=1, random_state=0)


def _xgboost(kind: str) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    return (XGBRegressor if kind == "regression" else XGBClassifier)(enable_categorical=True, n_jobs=1, random_state=0)


def _kanboost(kind: str) -> Any:
    from kanboost import KANBoostClassifier, KANBoostRegressor

    return _scaled(KANBoostRegressor()) if kind == "regression" else KANBoostClassifier()


def _numkan(kind: str) -> Any:
    from numkan.sklearn import KANClassifier, KANRegressor

    return KANRegressor(random_state=0) if kind == "regression" else KANClassifier(random_state=0)


def _both(make: Callable[[str], Any]) -> dict[str, Any]:
    return {"regressor": lambda: make("regression"), "classifier": lambda: make("classification")}


CONTENDERS = (
    Contender("numkan", "numkan", **_both(_numkan), frame=True),
    Contender("ridge", "sklearn", _ridge, None),
    Contender("logistic", "sklearn", None, _logistic),
    Contender("mlp", "sklearn", _mlp_regressor, _mlp_classifier),
    Contender("svm", "sklearn", _svr, _svc),
    Contender("forest", "sklearn", **_both(_forest)),
    Contender("boosting", "sklearn", **_both(_boosting), frame=True),
    Contender("xgboost", "xgboost", **_both(_xgboost), frame=True),
    Contender("process", "sklearn", **_both(_Process)),
    Contender("pygam", "pygam", **_both(_Gam), two_classes=True),
    Contender("ebm", "interpret", **_both(_ebm)),
    Contender("kanboost", "kanboost", **_both(_kanboost)),
)
