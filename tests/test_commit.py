"""Grids and parameters change together, whatever is raised between two instructions of Python."""

from __future__ import annotations

import gc
import itertools
import random
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest

from numkan import KAN
from numkan._interrupt import at_once
from numkan.model.network import Network
from numkan.train.commit import commit_grids


def small() -> KAN:
    return KAN([2, 2, 1], grid=3, seed=0)


def state(model: Network) -> bytes:
    """All numbers of a model, which are found wherever it is asked for them."""
    numbers = np.concatenate([np.concatenate([a.ravel() for a in model_arrays(layer)]) for layer in model.act_fun])
    assert sorted(numbers) == sorted(model.params)
    for layer in model.act_fun:
        for array in model_arrays(layer):
            assert np.shares_memory(array, model._theta)
            assert array.flags.writeable
    assert model.n_params == model._theta.size
    return b"".join([model.params.tobytes(), *(layer.grid.tobytes() for layer in model.act_fun)])


def model_arrays(layer: Any) -> list[Any]:
    return [layer.coef, layer.scale_base, layer.scale_sp]


class Raised(Exception):
    """What a signal handler raises, say."""


#: A trace function can raise between the end of a `with` and the release of its lock, which no signal handler can.
HOLD_LOCKS = ("numkan._blas", "threadpoolctl")


def raising_before(instruction: int, counted: list[int]) -> Any:
    """A trace function that raises before an instruction, as a signal handler could; `counted` counts them."""

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_globals.get("__name__") in HOLD_LOCKS:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            counted[0] += 1
            if counted[0] == instruction:
                raise Raised
        return trace

    return trace


def traced(change: Callable[[], object], instruction: int) -> tuple[bool, int]:
    """Make a change, and raise before one of its instructions; return whether it was raised, and how many ran.

    Garbage is collected before: what others have hung on collections would be counted too. Where arguments are checked,
    another error may say that it was raised.
    """
    counted, before = [0], sys.gettrace()
    gc.collect()
    gc.disable()
    sys.settrace(raising_before(instruction, counted))
    try:
        change()
    except Exception as error:
        if not isinstance(error, Raised) and not isinstance(error.__context__, Raised):
            raise
        return True, counted[0]
    finally:
        sys.settrace(before)
        gc.enable()
    return False, counted[0]


def regridded(model: KAN) -> None:
    model.update_grid_from_samples(np.random.default_rng(0).uniform(-3, 3, (50, 2)))


def committed(grid: int) -> Callable[[KAN], None]:
    def commit(model: KAN) -> None:
        work = KAN([2, 2, 1], grid=grid, grid_range=(-2, 3), seed=5)
        commit_grids(model, work)

    return commit


def layer_regridded(model: KAN) -> None:
    model.act_fun[0].update_grid_from_samples(np.random.default_rng(0).uniform(-3, 3, (50, 2)))


CHANGES = [
    pytest.param(committed(3), id="same shape"),
    pytest.param(committed(5), id="finer"),
    pytest.param(regridded, id="all layers"),
    pytest.param(layer_regridded, id="one layer"),
]


@pytest.mark.jit  # or every instruction of kernels is traced
@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_raised_at_any_instruction_a_change_of_grids_is_whole(change):
    model = small()
    change(model)  # compiled before it is traced
    after, before = state(model), state(small())
    assert after != before
    model = small()
    raised, n = traced(lambda: change(model), 0)
    assert not raised
    late = range(max(n - 80, 1), n + 1)
    early = random.Random(0).sample(range(1, late.start), min(8, late.start - 1))
    found = []
    for instruction in itertools.chain(early, late):
        model = small()
        raised, _ = traced(lambda: change(model), instruction)  # noqa: B023
        assert raised
        found.append(state(model))
    assert set(found) == {before, after}


def test_changes_at_once_are_calls_of_functions_in_c():
    made: list[int] = []
    _, n = traced(lambda: at_once([lambda: made.append(1), lambda: made.append(2)]), 0)
    assert made == [1, 2]
    made.clear()
    _, fewer = traced(lambda: at_once([made.clear, made.clear, made.clear]), 0)
    assert fewer < n, "what is written in Python can be interrupted"
