"""Labels that are not integers from 0 to C - 1 are an error that says what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from numkan import KAN

RELABEL = "Use numpy.unique(y, return_inverse=True)[1], which numbers classes of any kind from 0."


@pytest.mark.parametrize(
    ("n_out", "y", "hint"),
    [
        (3, ["a", "b", "c", "a"], RELABEL),
        (3, pd.Series(["a", "b", "c", "a"]), RELABEL),
        (3, np.array(["a", "b", 1, "a"], object), RELABEL),
        (3, [1, 2, 3, 1], "not 3. Use y - 1: labels begin at 0."),
        (2, [-1, 1, 1, -1], f"not -1. {RELABEL}"),
        (2, [5, 7, 7, 5], f"not 5. {RELABEL}"),
        (1, [0, 1, 1, 0], "not 1. Use y with a network of 2 outputs, one for each class."),
        (1, [1, 2, 1, 2], "not 1. Use y - 1 with a network of 2 outputs, one for each class."),
        (2, [0, 1, 2, 0], "not 2. Use y with a network of 3 outputs, one for each class."),
        (3, np.eye(3)[[0, 1, 2, 0]], "not (4, 3). Use y.argmax(axis=1) for rows that are 1 at the class."),
    ],
)
def test_labels_that_are_not_0_to_c_minus_1_say_what_to_do(n_out: int, y: Any, hint: str) -> None:
    model, x = KAN([2, n_out]), np.zeros((4, 2))
    before = model.params.tobytes()
    for call in (model.loss, model.loss_and_grad, model.fit):
        with pytest.raises((ValueError, TypeError), match=r"^Argument `y` must ") as caught:
            call(x, y, loss="cross_entropy")  # type: ignore[operator]
        assert str(caught.value).endswith(hint)
    assert model.params.tobytes() == before


def test_the_advice_on_labels_is_good() -> None:
    model, x = KAN([2, 3]), np.zeros((4, 2))
    want = model.loss(x, [0, 1, 2, 0], "cross_entropy")
    assert model.loss(x, np.unique(["a", "b", "c", "a"], return_inverse=True)[1], "cross_entropy") == want
    assert model.loss(x, np.array([1, 2, 3, 1]) - 1, "cross_entropy") == want


def test_labels_for_sums_of_squares_are_told_of_the_other_loss() -> None:
    with pytest.raises(ValueError, match=r"not \(4,\)\. Use loss='cross_entropy' for integer labels\.$"):
        KAN([2, 3]).fit(np.zeros((4, 2)), [0, 1, 2, 0])
