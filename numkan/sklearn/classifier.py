"""Classes from the columns of a table."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from numkan._shown import shown
from numkan.additive import Effect
from numkan.sklearn.certainty import posterior_needed
from numkan.sklearn.effects import Average, column_effects
from numkan.sklearn.estimator import KANEstimator
from numkan.sklearn.frames import is_gap
from numkan.sklearn.rows import Rows, checked_weight
from numkan.sklearn.tasks import Classes, Task
from numkan.sklearn.whole import whole

__all__ = ["KANClassifier"]

Floats = NDArray[np.float64]

_LEAST = np.finfo(np.float64).tiny


class KANClassifier(ClassifierMixin, KANEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Classification by Kolmogorov-Arnold networks, for tables as they come.

    Networks are fitted to cross-entropy, and their probabilities averaged: an additive one, straight lines, a constant,
    and those with hidden layers where cross-validation says that they are better by more than one standard error. The
    rest is as in :class:`KANRegressor`.

    Parameters
    ----------
    monotonic_cst : array_like or dict, optional
        As that of :class:`KANRegressor`, for the probability of the second of two classes.
    hidden, k, categorical_features, time_limit, progress, warm_start, n_jobs, random_state
        As those of :class:`KANRegressor`.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        In the order of the probabilities.
    models_, weights_, results_, input_names_, n_iter_, loss_curve_, feature_importances_
        As those of :class:`KANRegressor`. A probability is ``sum(w * softmax(model(z)))``; of two classes, networks
        have one output, and the probability of the second is ``sum(w / (1 + exp(-model(z))))``.
    n_features_in_, feature_names_in_
        As in all of scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.sklearn import KANClassifier
    >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    >>> y = np.where(x[:, 0] ** 2 + x[:, 1] ** 2 < 0.6, "inside", "outside")
    >>> KANClassifier().fit(x, y).predict([[0.1, -0.2], [0.9, 0.9]]).tolist()
    ['inside', 'outside']
    """

    classes_: NDArray[Any]

    _task = Classes

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the average to a table.

        Parameters
        ----------
        X : data frame or array_like, shape (n, n_features)
        y : array_like, shape (n,)
            Classes of any kind.
        sample_weight : array_like, shape (n,), optional
            How often each row counts.

        Returns
        -------
        KANClassifier
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If an argument or a parameter is not as said; if there are not two classes at least.
        """
        labels = self._checked_labels(y)
        counts = checked_weight(sample_weight, len(labels)) > 0.0
        classes = np.unique(labels[counts])
        if len(classes) < 2:
            found = f"one class, {shown(classes.tolist()[0])}" if len(classes) else "no sample"
            raise ValueError(f"Argument `y` must hold two classes at least, not {found}.")
        goes_on = self.warm_start and hasattr(self, "models_")
        if goes_on and not np.array_equal(classes, self.classes_):
            raise ValueError("Argument `y` must hold the same classes again where the fit goes on (`warm_start`).")
        places = np.searchsorted(classes, np.where(counts, labels, classes[0]))
        with whole(self):
            self._n_classes = len(classes)
            self._fit(X, places[:, None].astype(np.float64), sample_weight)
            self.classes_ = classes
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Learn from a batch of rows, which need not be kept, as :meth:`KANRegressor.partial_fit` does.

        What earlier batches say is kept as their loss to second order, without hidden layers too.

        Parameters
        ----------
        X : data frame or array_like, shape (n, n_features)
        y : array_like, shape (n,)
        classes : array_like, shape (n_classes,)
            All classes that will come; needed in the first call, and may be left out later.
        sample_weight : array_like, shape (n,), optional
            How often each row counts. Beside the rows, half a row of each class counts at the mean of the first batch.

        Returns
        -------
        KANClassifier
            The estimator itself.

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
        >>> from numkan.sklearn import KANClassifier
        >>> model, rng = KANClassifier(), np.random.default_rng(0)
        >>> for batch in range(5):
        ...     x = rng.uniform(-1, 1, (200, 2))
        ...     y = np.where(x[:, 0] ** 2 + x[:, 1] ** 2 < 0.6, "inside", "outside")
        ...     model = model.partial_fit(x, y, classes=["inside", "outside"])
        >>> model.predict([[0.1, -0.2], [0.9, 0.9]]).tolist()
        ['inside', 'outside']
        """
        self._warn_of_fit()
        known = self._classes_of_stream(classes)
        labels = self._checked_labels(y)
        odd = labels[~np.isin(labels, known)].tolist()
        if odd:
            raise ValueError(f"Argument `y` must hold none but the classes of the first call, not {shown(odd[0])}.")
        with whole(self):
            self._n_classes = len(known)
            self._partial_fit(X, np.searchsorted(known, labels)[:, None].astype(np.float64), sample_weight)
            self.classes_ = known
        return self

    def _classes_of_stream(self, given: Any) -> NDArray[Any]:
        """Return the classes that the first call of `partial_fit` has, or had."""
        if given is None:
            if not hasattr(self, "classes_"):
                raise ValueError("Argument `classes` must hold all classes in the first call of `partial_fit`.")
            return self.classes_
        given = column_or_1d(given)
        _check_sortable("classes", given)
        classes: NDArray[Any] = np.unique(given)
        if len(classes) < 2:
            raise ValueError(f"Argument `classes` must hold two classes at least, not {shown(classes.tolist())}.")
        if self._online is not None and not np.array_equal(classes, self.classes_):
            raise ValueError("Argument `classes` must hold the same classes as in the first call.")
        return classes

    def _checked_labels(self, y: Any) -> NDArray[Any]:
        if y is None:
            raise ValueError(f"This {type(self).__name__} requires y to be passed, but the target y is None.")
        labels: NDArray[Any] = column_or_1d(y, warn=True)
        if labels.dtype.kind == "f":
            assert_all_finite(labels, input_name="y")
        _check_sortable("y", labels)
        check_classification_targets(labels)
        return labels

    def _task_of(self, rows: Rows, goes_on: bool) -> Task:
        labels, n_classes = rows.y[:, 0].astype(np.int64), self._n_classes
        if self.monotonic_cst is not None and n_classes > 2:
            raise ValueError(f"Argument `monotonic_cst` must be None for {n_classes} classes.")
        return Classes(self._inputs(rows.x), labels, rows.weight, n_classes if n_classes > 2 else 1)

    def predict_proba(self, X: Any) -> Floats:
        """Return the probabilities (n, n_classes)."""
        return self._answer(X)

    def predict_log_proba(self, X: Any) -> Floats:
        """Return the logarithms of the probabilities."""
        logarithms: Floats = np.log(self._answer(X))
        return logarithms

    def decision_function(self, X: Any) -> Floats:
        """Return the logarithms of the probabilities, of two classes their difference (n,)."""
        logarithms: Floats = np.log(np.maximum(self._answer(X), _LEAST))
        return logarithms[:, 1] - logarithms[:, 0] if len(self.classes_) == 2 else logarithms

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row."""
        places = self._answer(X).argmax(axis=1)
        chosen: NDArray[Any] = self.classes_[places]
        return chosen

    def effects(self, X: Any) -> list[Effect]:
        """Return what each column does to the logarithm of the odds of the second of two classes.

        It is averaged over the networks by their weights, as the predictions of :meth:`KANRegressor.effects` are.

        Parameters
        ----------
        X : data frame or array_like, shape (n, n_features)
            Rows to average over: those of the fit, say.

        Returns
        -------
        list of numkan.Effect
            In the order of the columns.

        Raises
        ------
        ValueError
            If there are more than two classes.
        RuntimeError
            If a network is too large to have a posterior.

        Examples
        --------
        >>> import numpy as np
        >>> from numkan.sklearn import KANClassifier
        >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
        >>> first, second = KANClassifier(hidden=()).fit(x, x[:, 0] + 0.2 * x[:, 1] > 0.1).effects(x)
        >>> bool(first.share[0] > 0.8), bool(first.curve[-1, 0] > 0.0 > first.curve[0, 0])
        (True, True)
        """
        check_is_fitted(self)
        if len(self.classes_) > 2:
            raise ValueError(f"Effects are on the odds of two classes, and this fit has {len(self.classes_)}.")
        cells = self._reader(self._table(X, reset=False))
        with posterior_needed():
            average = Average(self.weights_, self.models_, np.ones(1), np.ones(1))
            return column_effects(average, self._inputs, cells)


def _check_sortable(name: str, labels: NDArray[Any]) -> None:
    """Check that labels can be sorted, as classes are: there is one in each row, and they are of one kind."""
    if labels.dtype.kind != "O":
        return
    gaps = [label for label in labels if is_gap(label)]
    if gaps:
        raise ValueError(f"Argument `{name}` must hold a class everywhere, not {shown(gaps[0])}.")
    try:
        np.sort(labels)
    except TypeError as error:
        kinds = " and ".join(sorted({type(label).__name__ for label in labels}))
        raise TypeError(f"Argument `{name}` must hold classes that can be sorted, not {kinds}.") from error
