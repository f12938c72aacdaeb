"""Both estimators pass all of scikit-learn's own checks."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from numkan.sklearn import KANClassifier, KANRegressor

pytestmark = [pytest.mark.jit, pytest.mark.slow]


@parametrize_with_checks([KANRegressor(), KANClassifier()])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_the_estimator_passes_a_check_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)
