"""Numbers from the columns of a table."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, check_is_fitted

from numkan._check import check_flag, check_number
from numkan._shown import shown
from numkan.additive import Effect
from numkan.sklearn.certainty import Calibration, Mixture, Unseen, posterior_needed
from numkan.sklearn.effects import Average, column_effects
from numkan.sklearn.estimator import KANEstimator
from numkan.sklearn.rows import Rows
from numkan.sklearn.tasks import Numbers, Task
from numkan.sklearn.whole import whole

__all__ = ["KANRegressor"]

Floats = NDArray[np.float64]


class KANRegressor(RegressorMixin, KANEstimator):  # type: ignore[misc]  # scikit-learn has no types
    r"""Regression by Kolmogorov-Arnold networks, for tables as they come.

    An additive network, one smooth curve for each input, is averaged with straight lines, a constant, curves by Huber's
    loss, which outliers move less, and a network with one hidden node, by weights that cross-validation finds. Larger
    hidden layers are tried where the first fold of cross-validation says that they are better by more than one standard
    error. How smooth the curves are the data decide (:mod:`numkan.train.evidence`). Outside the range of the samples
    all curves go on as constants.

    Numbers are standardised. A category becomes an indicator for each of its levels (the 64 most frequent ones). A gap
    (NaN, None) becomes a constant that is learned where the column has gaps in the fit, and a level that the fit has
    not seen counts as a gap. Where it has none, nothing tells what a gap means: it counts as the mean, of a category as
    the shares of its levels. Weights are frequencies: a row of weight 2 is two rows.

    Parameters
    ----------
    hidden : "auto" or sequence of int
        Sizes of the hidden layers of one network, ``()`` for an additive one. By default what cross-validation chooses.
    k : int
        Degree of the splines.
    categorical_features : "from_dtype", None or list
        Columns that hold categories: by default those of a data frame whose dtype is a category or a text; none; or
        names, places, or a truth value for each column.
    monotonic_cst : array_like or dict, optional
        For every column, or those named, 1 where predictions rise with it, -1 where they fall, else 0; not for
        categories. It holds everywhere, outside the data too (:mod:`numkan.model.shapes`).
    time_limit : float, optional
        Seconds for a fit, about. The additive network comes first; what has not been tried when they are over is left
        out.
    progress : bool
        Whether to show a bar, which needs tqdm.
    warm_start : bool
        Whether a further call of `fit` goes on with the networks that there are, and keeps their weights and encoding.
    n_jobs : int, optional
        Networks that joblib fits at the same time. It changes no bit of the result.
    random_state : int, RandomState, Generator or None
        Source of all random numbers: it draws the folds of cross-validation, or else the start of the one network.

    Attributes
    ----------
    models_ : tuple of KAN
        The networks of the average.
    weights_ : ndarray, shape (n_models,)
        Their weights, which sum to 1.
    results_ : tuple of FitResult
        The results of their fits.
    target_mean_, target_scale_ : ndarray, shape (n_outputs,)
        A prediction is ``target_mean_ + target_scale_ * sum(w * model(z))``, with the encoded table z.
    input_names_ : list of str
        Names of the networks' inputs.
    n_iter_ : int
        Steps of all fits of the networks.
    loss_curve_ : list of float
        Loss of the network with the largest weight, step by step; targets have deviation 1.
    feature_importances_ : ndarray, shape (n_columns,)
        Share of each column in what makes predictions vary (total indices of Sobol).
    n_features_in_, feature_names_in_
        As in all of scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.sklearn import KANRegressor
    >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    >>> model = KANRegressor().fit(x, np.exp(x[:, 0]) + x[:, 1] ** 2)
    >>> model.score(x, np.exp(x[:, 0]) + x[:, 1] ** 2) > 0.999
    True
    """

    _task = Numbers

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the average to a table.

        Parameters
        ----------
        X : data frame or array_like, shape (n, n_features)
        y : array_like, shape (n,) or (n, n_outputs)
        sample_weight : array_like, shape (n,), optional
            How often each row counts.

        Returns
        -------
        KANRegressor
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If an argument or a parameter is not as said.
        """
        goal, is_single = self._checked_targets(y)
        if check_flag("warm_start", self.warm_start) and hasattr(self, "models_"):
            self._check_shape(goal, is_single)
        with whole(self):
            self._fit(X, goal, sample_weight)
            self._is_single = is_single
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from a batch of rows, which need not be kept: sums over them are.

        The first call finds a network, additive unless `hidden` names layers, and with it the encoding of the columns,
        the ranges of the grids and the units of the targets: give it a batch that is like the others. (Later on, what
        lies beyond a range counts as its end, and an unseen category as missing.) Without hidden layers the sums are,
        to rounding, those of all rows in one call, in any order of the later batches; the smoothness penalties go on
        from those of the batch before, so that predictions agree to some hundredths of their standard deviation. With
        hidden layers earlier batches are remembered by their loss to second order (:mod:`numkan.train.stream`). Memory
        and time of a call do not grow with the rows that came before.

        Parameters
        ----------
        X : data frame or array_like, shape (n, n_features)
        y : array_like, shape (n,) or (n, n_outputs)
        sample_weight : array_like, shape (n,), optional
            How often each row counts.

        Returns
        -------
        KANRegressor
            The estimator itself. `loss_curve_` has the loss of each batch before the network learned from it,
            `results_` the first fit of the first batch; importances are those at the last batch.

        Raises
        ------
        ValueError, TypeError
            If an argument or a parameter is not as said.

        Warns
        -----
        UserWarning
            If the estimator was fitted by `fit`, which keeps no sums: then the first call begins anew.

        Examples
        --------
        >>> import numpy as np
        >>> from numkan.sklearn import KANRegressor
        >>> model, rng = KANRegressor(), np.random.default_rng(0)
        >>> for batch in range(5):
        ...     x = rng.uniform(-1, 1, (200, 2))
        ...     y = np.exp(x[:, 0]) + x[:, 1] ** 2 + 0.1 * rng.standard_normal(200)
        ...     model = model.partial_fit(x, y)
        >>> model.score(x, np.exp(x[:, 0]) + x[:, 1] ** 2) > 0.995
        True
        """
        self._warn_of_fit()
        goal, is_single = self._checked_targets(y)
        if self._online is not None:
            self._check_shape(goal, is_single)
        with whole(self):
            self._partial_fit(X, goal, sample_weight)
            self._is_single = is_single
        return self

    def _checked_targets(self, y: Any) -> tuple[Floats, bool]:
        """Return targets (n, n_outputs), and whether they came as (n,)."""
        if y is None:
            raise ValueError(f"This {type(self).__name__} requires y to be passed, but the target y is None.")
        goal = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        return (goal[:, None], True) if goal.ndim == 1 else (goal, False)

    def _check_shape(self, goal: Floats, is_single: bool) -> None:
        """Check that targets have as many outputs as those of the first call."""
        if (is_single, goal.shape[1]) != (self._is_single, len(self.target_mean_)):
            first = "(n,)" if self._is_single else f"(n, {len(self.target_mean_)})"
            given = goal[:, 0].shape if is_single else goal.shape
            raise ValueError(f"Argument `y` must have shape {first} as in the first call, not {given}.")

    def _task_of(self, rows: Rows, goes_on: bool) -> Task:
        if not goes_on:
            self.target_mean_ = np.average(rows.y, axis=0, weights=rows.weight)
            spread = np.sqrt(np.average((rows.y - self.target_mean_) ** 2, axis=0, weights=rows.weight))
            self.target_scale_ = np.where(spread > 1e-14 * np.abs(self.target_mean_), spread, 1.0)
        goal = (rows.y - self.target_mean_) / self.target_scale_
        return Numbers(self._inputs(rows.x), np.ascontiguousarray(goal), rows.weight, goal.shape[1])

    def _calibrate(self, task: Task, unseen: Unseen | None) -> None:
        """Find how wide the average's errors are beside the mixture of its networks."""
        self._calibration = Calibration.of(task, unseen)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the predictions (n,), or (n, n_outputs) where `y` had two dimensions.

        Parameters
        ----------
        X : data frame or array_like, shape (n, n_features)
        return_std : bool
            Whether to return the standard deviations of observations there too, as (predictions, deviations): those of
            the noise, of each network's posterior, and between the networks.

        Raises
        ------
        RuntimeError
            If `return_std`, and a network is too large to have a posterior.
        """
        if not check_flag("return_std", return_std):
            answer = self._answer(X)  # which says what to do where nothing has been fitted
            return self._shaped(self.target_mean_ + self.target_scale_ * answer)
        mixture, calibration = self._mixture(X), self._calibration
        deviation = mixture.deviation if calibration is None else calibration.deviation(mixture)
        return self.predict(X), self._shaped(self.target_scale_ * deviation)

    def predict_interval(self, X: Any, level: float = 0.9) -> tuple[Floats, Floats]:
        """Return the lower and upper ends of intervals that hold an observation with a probability of `level`.

        Of an average of networks, its errors at samples that they have not seen say how wide they are
        (:mod:`numkan.sklearn.certainty`). Of one network the noise is taken for normal. It is taken to be as large
        everywhere.

        Parameters
        ----------
        X : data frame or array_like, shape (n, n_features)
        level : float in (0, 1)

        Returns
        -------
        lower, upper : ndarray, of the shape of the predictions

        Raises
        ------
        RuntimeError
            If a network is too large to have a posterior.

        Examples
        --------
        >>> import numpy as np
        >>> from numkan.sklearn import KANRegressor
        >>> rng = np.random.default_rng(0)
        >>> x = rng.uniform(-1, 1, (200, 1))
        >>> y = np.exp(x[:, 0]) + 0.1 * rng.standard_normal(200)
        >>> lower, upper = KANRegressor(hidden=()).fit(x, y).predict_interval(x, level=0.9)
        >>> bool(0.85 < np.mean((lower < y) & (y < upper)) < 0.95)
        True
        """
        level = check_number("level", level)
        if not 0.0 < level < 1.0:
            raise ValueError(f"Argument `level` must lie in (0, 1), not {shown(level)}.")
        mixture, calibration = self._mixture(X), self._calibration
        if calibration is None:
            ends = (mixture.quantile(0.5 - 0.5 * level), mixture.quantile(0.5 + 0.5 * level))
        else:
            reach = calibration.reach(level) * calibration.deviation(mixture)
            ends = (mixture.mean - reach, mixture.mean + reach)
        lower, upper = (self._shaped(self.target_mean_ + self.target_scale_ * end) for end in ends)
        return lower, upper

    def effects(self, X: Any) -> list[Effect]:
        """Return what each column does to the predictions: a centred curve with its band, and the share it explains.

        Parameters
        ----------
        X : data frame or array_like, shape (n, n_features)
            Rows to average over: those of the fit, say.

        Returns
        -------
        list of numkan.Effect
            In the order of the columns; `x` of a column of categories has its levels. :mod:`numkan.sklearn.effects` has
            the formulas.

        Raises
        ------
        RuntimeError
            If a network is too large to have a posterior.

        Examples
        --------
        >>> import numpy as np
        >>> from numkan.sklearn import KANRegressor
        >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
        >>> first, second = KANRegressor(hidden=()).fit(x, 3 * x[:, 0] + x[:, 1] ** 2).effects(x)
        >>> first.name, first.curve.shape, bool(first.share[0] > 0.9)
        ('x0', (51, 1), True)
        """
        check_is_fitted(self)
        cells = self._reader(self._table(X, reset=False))
        with posterior_needed():
            factor = np.ones_like(self.target_scale_) if self._calibration is None else self._calibration.factor
            average = Average(self.weights_, self.models_, self.target_scale_, factor)
            return column_effects(average, self._inputs, cells)

    def _mixture(self, X: Any) -> Mixture:
        """Return the mixture of observations, or that of functions where errors in cross-validation tell the rest."""
        check_is_fitted(self)
        kind = "observation" if self._calibration is None else "mean"
        return Mixture.of(self.weights_, self.models_, self._encoded(X), kind)

    def _shaped(self, values: Floats) -> Floats:
        """Return values (n, n_outputs) in the shape of the targets."""
        return values[:, 0] if self._is_single else values
