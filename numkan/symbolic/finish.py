"""From the best expression to a `Formula`: snapping, simplification, the last refinement, the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from numkan._check import FloatArray
from numkan.symbolic.description import description
from numkan.symbolic.edges import Edges, identify_edges
from numkan.symbolic.engine import Engine, Held, looks_like_noise
from numkan.symbolic.expression import Call, Const, Node, Tape, bits, constants, walk
from numkan.symbolic.formula import Alternative, Constant, Errors, Formula, Part
from numkan.symbolic.judge import Judge, Tried, is_rounding, rounding_of
from numkan.symbolic.limits import limits
from numkan.symbolic.parts import renamed
from numkan.symbolic.refine import refine
from numkan.symbolic.snap import snap, standard_errors
from numkan.symbolic.swap import inner_functions, name_of, plainer, swaps
from numkan.symbolic.symbols import from_sympy, python_text, simplified, symbols_for, to_sympy, without_abs

__all__ = ["finished"]

_CLOSE = 0.1  # a formula is approximate where its error is below this share of the deviation, else there is none
_LENGTHY = 1.02  # held-out error, relative to the network's, up to which a formula may be within noise
_PARTS = 6
_RIVALS, _NEAR = 6, 30.0  # expressions that are snapped and compared; bits that they may be longer before
_SNAPPED, _SAME = 4.0, 1e-9  # a number that was snapped changed by at most this multiple of its error, or this share
_ROUNDS = 4  # of exchanges of functions and parts
_POLISHED = 10.0  # refinement ends within this multiple of rounding


def finished(engine: Engine, names: Sequence[str], stopped: str, notes: Sequence[str] = ()) -> Formula:
    """Return what an engine has found as a formula."""
    best = engine.judge.exact or engine.judge.best()
    network = engine.network
    held = engine.held
    own = float("nan") if network is None else network.held_out
    if best is None:
        return _network_stands(engine, names, stopped, notes, Errors(float("nan"), float("nan"), own))
    symbols = symbols_for(names, engine.x.min(axis=0))
    node, snapped_errors = _shortest(engine, best)
    node, expression = _simplified(engine, node, symbols)
    train, held_out = _rms(node, engine.judge), _rms(node, held)
    error = Errors(train, held_out, own)
    status = _status(engine, node, error)
    engine.trace.append(f"status {status}: {python_text(expression)}, held-out error {held_out:.3g}")
    if status == "none":
        return _network_stands(engine, names, stopped, notes, error)
    return Formula(
        status=status,
        names=tuple(names),
        error=error,
        constants=_constants(engine, node, train, snapped_errors),
        parts=_parts(engine, node, train),
        alternatives=_alternatives(engine, symbols),
        trace=tuple(engine.trace),
        stopped=stopped,
        notes=tuple(notes),
        _expression=expression,
        _symbols=tuple(symbols),
        _node=node,
        edges=_edges(engine),
        _network=network,
    )


def _edges(engine: Engine) -> Edges:
    network = engine.network
    return {} if network is None else identify_edges(network.model, engine.x[:500], engine.settings.functions)


def _network_stands(engine: Engine, names: Sequence[str], stopped: str, notes: Sequence[str], error: Errors) -> Formula:
    network = engine.network
    alternatives = _alternatives(engine, symbols_for(names, engine.x.min(axis=0)))
    return Formula(
        "none", tuple(names), error, alternatives=alternatives, trace=tuple(engine.trace), stopped=stopped,
        notes=tuple(notes), edges=_edges(engine), _network=network,
    )  # fmt: skip


def _rms(node: Node, of: Judge | Held) -> float:
    """Return the root mean square of the weighted residuals on training or held-out samples."""
    return float(np.sqrt(np.mean(np.square(_residual(node, of)))))


def _residual(node: Node, of: Judge | Held) -> FloatArray:
    return np.asarray((Tape(node).value(of.x) - of.y) * of.root)


def _shortest(engine: Engine, best: Tried) -> tuple[Node, dict[float, float]]:
    """Return the expression that is shortest when constants are snapped, and what their standard errors were.

    Functions that noise hides from each other differ in this: the numbers of the right one are simple.
    """
    judge = engine.judge
    if judge.exact is best:
        return _plainest(engine, best)
    if not engine.noisy:
        return _snapped(engine, best)
    form, n = _form(engine, best), len(judge.y)
    limit, seen, found = best.criterion(n, judge.floor) + _NEAR, {(best.free, f"{best.rms:.4e}")}, [form]
    for tried in sorted(judge.tried, key=lambda t: t.criterion(n, judge.floor)):
        key = (tried.free, f"{tried.rms:.4e}")
        if key not in seen and tried.criterion(n, judge.floor) < limit and len(found) < _RIVALS:
            seen.add(key)
            found.append(_form(engine, tried))
    form = min(found, key=lambda each: each.length)
    for _ in range(_ROUNDS):
        found = [new for node in _neighbours(engine, form.node) if (new := _shorter(engine, node, form)) is not None]
        if not found:
            break
        form = min(found, key=lambda each: each.length)
    return form.node, form.known


class _Form(NamedTuple):
    """An expression with snapped numbers, their errors before, and the bits of its description."""

    node: Node
    known: dict[float, float]
    length: float


def _form(engine: Engine, tried: Tried) -> _Form:
    judge, (node, known) = engine.judge, _snapped(engine, tried)
    return _Form(node, known, description(node, judge.x, judge.y, judge.weight, judge.floor))


def _neighbours(engine: Engine, node: Node) -> Iterator[Node]:
    """Yield the expression with functions exchanged for their limits, and with parts in other forms, in time."""
    judge, functions = engine.judge, engine.settings.functions
    in_limits = limits(node, judge.x, functions)
    for new in chain(in_limits, renamed(node, judge.x, _rms(node, judge), functions, judge.weight)):
        if judge.expired():
            return
        yield new


def _shorter(engine: Engine, node: Node, form: _Form) -> _Form | None:
    """Return an expression, refined and snapped, if its description is shorter than that of a form."""
    judge = engine.judge
    refined = refine(node, judge.x, judge.y, weight=judge.weight)
    if not _misses(engine, refined.rms) < _misses(engine, _rms(form.node, judge)) + _NEAR:
        return None
    new = _form(engine, Tried(refined.expression, refined.rms, "neighbour"))
    return new if new.length < form.length else None


def _misses(engine: Engine, rms: float) -> float:
    """Return the bits of residuals of this root mean square."""
    judge = engine.judge
    return len(judge.y) * float(np.log2(max(rms, judge.floor)))


def _plainest(engine: Engine, best: Tried) -> tuple[Node, dict[float, float]]:
    """Return an exact expression, with plainer functions if it is exact with them too, snapped, and errors before."""
    judge = engine.judge
    chosen = _snapped(engine, best)
    for node in plainer(best.node, judge.x, engine.settings.functions):
        new = refine(node, judge.x, judge.y, weight=judge.weight)
        if is_rounding(new.expression, _rms(new.expression, judge), judge.x, judge.y):
            judge.exact = Tried(new.expression, new.rms, f"{best.origin}, plainer")
            snapped = _snapped(engine, judge.exact)
            if bits(snapped[0]) < bits(chosen[0]):
                best, chosen = judge.exact, snapped
                judge.tried.append(best)
            judge.exact = best
    return chosen


def _snapped(engine: Engine, best: Tried) -> tuple[Node, dict[float, float]]:
    """Return the expression with its constants snapped, and what their standard errors were."""
    judge = engine.judge
    exact = judge.exact is best
    floor = rounding_of(best.node, judge.x, judge.y)
    before = standard_errors(best.node, judge.x, max(best.rms, floor), judge.weight)[0]
    known = {c.value: float(e) for c, e in zip(constants(best.node), before, strict=True)}
    noisy = not exact
    if noisy and not engine.noisy:
        return best.node, known  # what is left is no noise: the data cannot tell what its constants are
    node = snap(best.node, judge.x, judge.y, weight=judge.weight, floor=_POLISHED * floor, noisy=noisy)
    if exact and not is_rounding(node, _rms(node, judge), judge.x, judge.y):
        return best.node, known
    return node, known


def _simplified(engine: Engine, node: Node, symbols: list[Any]) -> tuple[Node, Any]:
    """Return the shortest equal form, if the samples say that it is equal, with its expression in sympy."""
    judge = engine.judge
    expression = to_sympy(node, symbols)
    if engine.judge.exact is None and not engine.noisy:
        return node, expression  # sympy takes minutes to find nothing shorter in what is only close
    before = _rms(node, judge)
    allowed = max(1.001 * before, 4.0 * rounding_of(node, judge.x, judge.y))
    for _ in range(2):
        short = without_abs(simplified(expression), symbols, np.concatenate([judge.x, engine.held.x]))
        try:
            new = from_sympy(short, symbols, engine.settings.functions)
        except (ValueError, TypeError, KeyError):
            break
        if not _permitted(new, engine):
            break
        if constants(new):
            new = refine(new, judge.x, judge.y, weight=judge.weight).expression
            if engine.judge.exact or engine.noisy:
                floor = _POLISHED * rounding_of(new, judge.x, judge.y)
                again = snap(new, judge.x, judge.y, weight=judge.weight, floor=floor, noisy=not engine.judge.exact)
                new = again if _rms(again, judge) <= allowed or engine.noisy else new
        after = max(_rms(new, judge), _rms(new, engine.held))
        near = 0.0 if engine.judge.exact else 1.05 * max(before, _rms(node, engine.held))
        if not after <= max(allowed, near):
            break
        done = bits(new) >= bits(node)
        if bits(new) <= bits(node):
            node, expression = new, to_sympy(new, symbols)
        if done:
            break
    return node, expression


def _permitted(node: Node, engine: Engine) -> bool:
    """Return whether an expression holds no function that was forbidden; sympy knows nothing of that."""
    allowed = set(engine.settings.functions)
    allowed |= {"cos"} if "sin" in allowed else set()
    return {part.function.name for part in walk(node) if isinstance(part, Call)} <= allowed | {"sqrt"}


def _status(engine: Engine, node: Node, error: Errors) -> str:
    """Return the verdict on held-out samples, which no constant has seen."""
    x, y, _ = engine.held
    if is_rounding(node, error.held_out, x, y) and is_rounding(node, error.train, engine.judge.x, engine.judge.y):
        return "exact"
    if not error.held_out < _CLOSE * float(np.std(y)) and not engine.noisy:
        return "none"
    close = error.held_out <= max(_LENGTHY, 1.0 + 1.0 / np.sqrt(len(y))) * error.network
    quiet = all(looks_like_noise(of.x, _residual(node, of)) for of in (engine.held, engine.judge))
    if engine.noisy and close and quiet:
        return "within noise"
    if error.held_out < _CLOSE * float(np.std(y)) or error.held_out <= 1.2 * error.network:
        return "approximate"
    return "none"


def _constants(engine: Engine, node: Node, rms: float, known: dict[float, float]) -> tuple[Constant, ...]:
    judge = engine.judge
    floor = rounding_of(node, judge.x, judge.y)
    errors = iter(standard_errors(node, judge.x, max(rms, floor), judge.weight)[0])
    found = []
    for leaf in {id(leaf): leaf for leaf in walk(node) if isinstance(leaf, Const)}.values():
        if leaf.exact:
            found.append(Constant(leaf.value, leaf.exact, _error_before(leaf.value, known)))
        else:
            found.append(Constant(leaf.value, "", float(next(errors))))
    return tuple(found)


def _error_before(value: float, known: dict[float, float]) -> float:
    """Return the standard error of the free number that became this simple one, 0 if there was none."""
    near = [
        (abs(free - value), error)
        for free, error in known.items()
        if abs(free - value) <= max(_SNAPPED * error, _SAME * abs(value))
    ]
    return min(near, default=(0.0, 0.0))[1]


def _parts(engine: Engine, node: Node, rms: float) -> tuple[Part, ...]:
    """Exchange every function of one variable for others and refit, to see by how much they lose."""
    judge = engine.judge
    x, y, weight = judge.x[:400], judge.y[:400], None if judge.weight is None else judge.weight[:400]
    floor = max(rms, rounding_of(node, x, y))
    lost: dict[str, list[tuple[str, float]]] = {name_of(part): [] for part, _ in inner_functions(node)[:_PARTS]}
    for text, other in swaps(node, x, engine.settings.functions, most=2):
        new, _, own = text.partition(" for ")
        if own in lost and len(lost[own]) < 3:
            lost[own].append((new, refine(other, x, y, weight=weight, steps=15).rms / floor))
    return tuple(Part(own, rms / floor, tuple(sorted(others, key=lambda o: o[1]))) for own, others in lost.items())


def _alternatives(engine: Engine, symbols: list[Any]) -> tuple[Alternative, ...]:
    found = []
    for tried in engine.judge.front()[:12]:
        found.append(Alternative(round(bits(tried.node), 1), tried.rms, python_text(to_sympy(tried.node, symbols))))
    return tuple(found)
