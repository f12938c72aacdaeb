"""numkan._attributes: an attribute that there is not cannot be set, and the nearest one is named."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import joblib
import numpy as np
import pytest

from numkan import KAN, KANLayer
from numkan.conformance.law import assert_identical


class Own(KAN):
    """A user's subclass, with attributes of its own."""

    history: list[float]
    rounds = 0


class OwnOfOwn(Own):
    """A subclass of that."""


@pytest.mark.parametrize("make", [lambda: KAN([2, 3, 1]), lambda: KANLayer(2, 3), lambda: Own([2, 1])])
@pytest.mark.parametrize(
    ("name", "near"), [("extrapolat", "extrapolate"), ("Extrapolate", "extrapolate"), ("dtyp", "dtype"), ("zzz", None)]
)
def test_an_unknown_attribute_is_an_error_with_the_nearest_name(make: Any, name: str, near: str | None) -> None:
    thing = make()
    before = dict(vars(thing))
    with pytest.raises(AttributeError) as caught:
        setattr(thing, name, "nan")
    hint = f" Did you mean `{near}`?" if near else ""
    hint += f" (A subclass declares its own attributes in its body: `{name}: Any`.)" if type(thing) is Own else ""
    assert str(caught.value) == f"{type(thing).__name__} has no attribute `{name}`.{hint}"
    assert vars(thing).keys() == before.keys()


def test_what_only_layers_have_is_said_to_be_theirs() -> None:
    with pytest.raises(AttributeError, match=r"It belongs to the layers: set `grid_eps` of each layer in `act_fun`\."):
        KAN([2, 1]).grid_eps = 0.5  # type: ignore[attr-defined]


def test_subclasses_set_what_their_bodies_declare() -> None:
    for cls in (Own, OwnOfOwn):
        model = cls([2, 1])
        model.history, model.rounds, model._kept = [1.0], 3, "private names are free"  # type: ignore[attr-defined]
        assert (model.history, model.rounds) == ([1.0], 3)
        with pytest.raises(AttributeError, match="Did you mean `history`"):
            model.histroy = []  # type: ignore[attr-defined]


@pytest.mark.parametrize("cls", [KAN, Own])
def test_copies_of_every_kind_still_refuse(cls: type[KAN], tmp_path: Any) -> None:
    model, x = cls([2, 3, 1], seed=1), np.linspace(-1, 1, 8).reshape(4, 2)
    joblib.dump(model, tmp_path / "model")
    for twin in (
        copy.copy(model),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model"),
        model.refine(7).refine(5),
    ):
        assert type(twin) is cls
        assert twin(x).shape == (4, 1)
        for thing in (twin, twin.act_fun[0]):
            with pytest.raises(AttributeError):
                thing.grd = 3
    assert_identical(pickle.loads(pickle.dumps(model))(x), model(x))


# --- extrapolate --------------------------------------------------------------------------------------------------


def test_the_policy_of_a_model_is_that_of_its_layers() -> None:
    model = KAN([2, 3, 1], extrapolate="clamp")
    assert model.extrapolate == "clamp"
    model.act_fun[1].extrapolate = "nan"
    assert model.extrapolate == ("clamp", "nan")
    assert "extrapolate=('clamp', 'nan')" in repr(model)
    model.extrapolate = "linear"
    assert [layer.extrapolate for layer in model.act_fun] == ["linear", "linear"]
    for policies in (("fade", "nan"), ["fade", "nan"], np.array(["fade", "nan"])):
        model.extrapolate = "linear"
        model.extrapolate = policies
        assert model.extrapolate == ("fade", "nan")
        assert all(type(policy) is str for policy in model.extrapolate)


def test_a_policy_that_is_set_is_followed_at_once() -> None:
    model, outside = KAN([1, 1]), np.array([[9.0]])
    assert np.isfinite(model(outside)).all()
    model.extrapolate = "nan"
    assert np.isnan(model(outside)).all()
    model.extrapolate = "raise"
    with pytest.raises(ValueError, match="domain"):
        model(outside)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("linaer", "Argument `extrapolate` must be one of .* Did you mean 'linear'"),
        (None, "Argument `extrapolate` must be one of .*, not None"),
        (["nan"], "Argument `extrapolate` must have 2 entries, one for each layer, not 1"),
        (["nan", "fad"], r"Argument `extrapolate\[1\]` must be one of .* Did you mean 'fade'"),
        (["nan", 3], r"Argument `extrapolate\[1\]` must be one of .*, not 3"),
    ],
)
def test_policies_are_checked_before_any_layer_changes(value: Any, said: str) -> None:
    model = KAN([2, 3, 1])
    with pytest.raises((ValueError, TypeError), match=said):
        model.extrapolate = value
    assert model.extrapolate == "continue"
