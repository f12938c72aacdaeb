"""The state of a session, as a tree that goes into checkpoints: counts, records, stages, the best point."""

from __future__ import annotations

from dataclasses import astuple

from numkan.train.history import Stage
from numkan.train.session import Best, Session
from numkan.train.tree import Tree, array, integer, items, network_of, network_tree, real, reals

__all__ = ["restore_session", "session_state"]


def session_state(session: Session, begin: int) -> Tree:
    """Return the state of a session, with its records from `begin` on."""
    best = session.best
    return {
        "steps": session.steps,
        "evaluations": session.evaluations,
        "last_validation": session.last_validation,
        "stage_best": list(session.stage_best),
        "before_stage": session.before_stage,
        "stages": [list(astuple(stage)) for stage in session.stages],
        "records": session.recorder.rows(begin),
        "best": None
        if best is None
        else {
            "score": best.score,
            "step": best.step,
            "loss": best.loss,
            "validation": best.validation,
            "network": network_tree(best.model, best.theta),
        },
    }


def restore_session(session: Session, tree: Tree, begin: int) -> None:
    """Bring a session into a state; the records of `tree` follow its first `begin` ones."""
    score, step = reals(tree["stage_best"], 2)
    stages = [_stage(values) for values in items(tree, "stages")]
    records = array(tree["records"], (len(tree["records"]), 7))
    if not (abs(records[:, :3]) < 2.0**53).all():
        raise ValueError("a record has no number of its step.")
    best = None if tree["best"] is None else _best(session, tree["best"])
    session.steps, session.evaluations = integer(tree, "steps"), integer(tree, "evaluations")
    session.last_validation, session.before_stage = real(tree, "last_validation"), real(tree, "before_stage")
    session.stage_best = score, int(step)
    session.stages[:] = stages
    session.recorder.replace(begin, records)
    session.best = best


def _stage(values: list[object]) -> Stage:
    if not isinstance(values, list) or len(values) != 6 or not isinstance(values[-1], str):
        raise TypeError("a stage has other values.")
    grid, steps, loss, validation, seconds = reals(values[:-1])
    return Stage(int(grid), int(steps), loss, validation, seconds, values[-1])


def _best(session: Session, tree: Tree) -> Best:
    model, theta = network_of(tree["network"], session.start)
    loss, validation = real(tree, "loss"), real(tree, "validation")
    return Best(real(tree, "score"), integer(tree, "step"), model, theta, loss, validation)
