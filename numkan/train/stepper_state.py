"""The state of an optimizer as it comes out of a checkpoint, which is not trusted."""

from __future__ import annotations

from typing import Any

from numkan.optimize import LBFGS, Adam, Status
from numkan.train.tree import Tree, array, integer, real, reals

__all__ = ["restore_stepper", "status_of"]


def restore_stepper(stepper: LBFGS | Adam, tree: Tree, size: int) -> None:
    """Bring a stepper into a state of one of its kind, with vectors of some size."""
    dtype = stepper.state.x.dtype
    vectors = ("x", "grad") if isinstance(stepper, LBFGS) else ("x", "grad", "m", "v")
    state: dict[str, Any] = {name: array(tree[name], (size,), dtype) for name in vectors}
    state |= {"fun": real(tree, "fun"), "step": integer(tree, "step"), "status": status_of(tree)}
    if isinstance(stepper, LBFGS):
        number = min(len(tree["s"]), stepper._memory)
        state |= {name: array(tree[name], (number, size), dtype) for name in ("s", "y")}
        state |= {"losses": reals(tree["losses"]), "reach": real(tree, "reach")}
        if not state["losses"]:
            raise ValueError("there is no loss.")
    else:
        state["t"] = integer(tree, "t")
    stepper._go_on(state)


def status_of(tree: Tree) -> Status | None:
    """Return how a run has ended, None where it has not."""
    return None if tree["status"] is None else Status(integer(tree, "status"))
