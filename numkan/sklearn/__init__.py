"""Estimators with scikit-learn's interface: networks for tables as they come, with categories and gaps.

They need the extra ``sklearn``: ``python -m pip install "numkan[sklearn]"``.
"""

from __future__ import annotations

try:
    from sklearn.utils.validation import validate_data  # noqa: F401  # there from 1.6 on
except ImportError as error:
    raise ImportError(
        "numkan.sklearn needs scikit-learn 1.6 or later, which the extra `sklearn` installs "
        f'(pip install "numkan[sklearn]"): {str(error).rstrip(".")}.'
    ) from error

from numkan.sklearn.classifier import KANClassifier
from numkan.sklearn.regressor import KANRegressor

__all__ = ["KANClassifier", "KANRegressor"]
