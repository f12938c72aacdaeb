"""A good call of every public function, whose arguments are made hostile one by one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import numkan
from numkan import KAN, KANLayer, SplineBasis

__all__ = ["Call", "calls", "without_a_call"]

MODULES = ("numkan", "numkan.conformance", "numkan.export", "numkan.interop", "numkan.model", "numkan.optimize")
MODULES += ("numkan.pde", "numkan.plot", "numkan.spline", "numkan.symbolic", "numkan.train")
CLASSES = (KAN, KANLayer, SplineBasis)

#: What is no function of a caller's: results, states, statuses, protocols, tables, errors and parts of the search for
#: formulas that see what it has made itself; methods without arguments, and those of :class:`numkan.SplineBasis` and
#: :class:`numkan.KANLayer` that the library calls with arrays that it has checked.
LEFT_OUT = {
    "numkan": {"Effect", "Interaction", "get_threads"},
    "numkan.conformance": {"Adapter", "AdapterError", "LAWS", "Law", "Layer", "Report", "Result"},
    "numkan.export": {"to_scipy"},
    "numkan.model": {"FrozenKAN", "LOSSES", "Loss", "Network"},
    "numkan.optimize": {"AdamState", "LBFGSState", "LevenbergMarquardtState", "LineSearchResult", "NormalEquations"}
    | {"Status", "strong_wolfe"},
    "numkan.pde": {"Evolution", "PDEState", "Solution", "march", "solve"},
    "numkan.plot": {"edge_values"},
    "numkan.spline": {"interior_knots"},
    "numkan.symbolic": {
        "Formula",
        "Function",
        "LIBRARY",
        "Oracle",
        "SemiSymbolic",
        "refine",
        "snap",
        "symmetries",
        "equivalent",
    }
    | {"symmetries", "test_additive", "test_multiplicative", "test_symmetry"},
    "numkan.train": {"FitResult", "FitState", "FitStatus", "History", "Stage", "Records"},
    "KANLayer": {"pack"},
    "SplineBasis": {"check_inside", "derived", "local", "local_derivatives", "unchecked", "with_values"},
}

X = np.random.default_rng(0).uniform(-1, 1, (60, 2))
Y = np.sin(3 * X[:, :1]) + X[:, 1:]
GRID = numkan.spline.extend_grid(np.linspace(-1, 1, 5)[None, :], 2)  # type: ignore[attr-defined]
COEF = np.ones((2, 3, 6))


class Call(NamedTuple):
    """A function and good arguments; the model that it belongs to, where there is one."""

    function: Callable[..., Any]
    arguments: dict[str, Any]
    model: KAN | None = None


def a_model() -> KAN:
    """Return a small model."""
    return KAN([2, 2, 1], grid=3, k=2, seed=0)


def _squared(x: Any) -> Any:
    with np.errstate(all="ignore"):
        return float(x @ x), 2 * x


def _line(x: Any) -> Any:
    return x - 1.0, np.eye(len(x))


def _made(task: Any) -> Any:
    model = a_model()
    return model, model.fit(X, Y, steps=2, grids=None)


def calls(folder: Path) -> dict[str, Call]:
    """Return the calls by name; they may write into a folder."""
    model = a_model()
    model.save(folder / "m.npz")
    return {**_functions(folder), **_methods(a_model, folder)}


def _functions(folder: Path) -> dict[str, Call]:
    two = np.repeat(GRID, 2, axis=0)
    row, search = GRID[0], {"effort": 0.002, "time_limit": 0.5}
    start, additive = [0.5, -0.5], KAN([2, 1], grid=3, k=2, seed=0)
    additive.fit(X, Y, method="lm", steps=2, grids=None)
    named: dict[str, tuple[str, dict[str, Any]]] = {
        "KAN": ("numkan", _options(KAN, width=[2, 1])),
        "KANLayer": ("numkan", _options(KANLayer, n_in=2, n_out=1)),
        "SplineBasis": ("numkan", {"knots": GRID, "degree": 2, "policy": "clamp"}),
        "Huber": ("numkan", {"delta": 1.0}),
        "search": ("numkan", {**_options(numkan.search, x=X, y=Y), **search, "widths": [[2, 1]]}),
        "fit_many": ("numkan", {"make": _made, "tasks": [0, 1], "executor": None}),
        "effects": ("numkan", {"model": additive, "x": X, "names": None}),
        "interactions": ("numkan", _options("numkan.interactions", model=a_model(), x=X)),
        "set_threads": ("numkan", {"n": 1}),
        "silu": ("numkan", {"x": X}),
        "check": ("numkan.conformance", {"adapter": None, "only": ["no law"], "soak": 0.0, "seed": 0, "examples": 1}),
        "replay": ("numkan.conformance", {"adapter": None, "report": {}, "timeout": 1.0}),
        "from_pykan": ("numkan.interop", {"model": None, "base_fun": None, "grid_eps": None}),
        "to_pykan": ("numkan.interop", {"model": None}),
        "LBFGS": ("numkan.optimize", _options("LBFGS", fun_and_grad=_squared, x0=start)),
        "Adam": ("numkan.optimize", _options("Adam", fun_and_grad=_squared, x0=start)),
        "LevenbergMarquardt": ("numkan.optimize", {"problem": _line, "x0": start, "gtol": 0.0, "ftol": 0.0}),
        "Nielsen": ("numkan.optimize", {"damping": 1.0}),
        "TrustRegion": ("numkan.optimize", {"radius": 1.0}),
        "cosine": ("numkan.optimize", {"steps": 3}),
        "lbfgs": ("numkan.optimize", _options("lbfgs", fun_and_grad=_squared, x0=start, steps=3)),
        "adam": ("numkan.optimize", _options("adam", fun_and_grad=_squared, x0=start, steps=3)),
        "levenberg_marquardt": ("numkan.optimize", _options("levenberg_marquardt", problem=_line, x0=start, steps=3)),
        "Interior": ("numkan.pde", {"low": [0.0, 0.0], "high": [1.0, 1.0], "n": 9}),
        "Boundary": ("numkan.pde", {"low": [0.0, 0.0], "high": [1.0, 1.0], "n": 9, "faces": None}),
        "Equation": ("numkan.pde", _options("numkan.pde.Equation", points=X, residual=lambda x, u, d1, d2: u)),
        "plot_basis": ("numkan.plot", {"grid": GRID, "k": 2, "ax": None}),
        "plot_history": ("numkan.plot", {"history": None, "ax": None}),
        "plot_coverage": ("numkan.plot", {"model": a_model(), "x": X, "ax": None, "inputs": None}),
        "plot_edge": ("numkan.plot", {"model": a_model(), "layer": 0, "i": 0, "o": 0, "x": X, "ax": None}),
        "plot_effects": ("numkan.plot", {"effects": numkan.effects(additive, X), "x": X, "pairs": (), "output": 0}),
        "plot_fit": ("numkan.plot", {"model": a_model(), "x": X, "y": Y, "ax": None, "residuals": False}),
        "plot_grid_update": (
            "numkan.plot",
            {"models": (a_model(), a_model()), "layer": 0, "i": 0, "o": 0, "x": X, "ax": None},
        ),
        "plot_network": ("numkan.plot", {"model": a_model(), "x": X, "ax": None, "inputs": None, "outputs": None}),
        "B_batch": ("numkan.spline", {"x": X, "grid": two, "k": 2, "nu": 0}),
        "coef2curve": (
            "numkan.spline",
            {"x_eval": X, "grid": two, "coef": COEF, "k": 2, "nu": 0, "extrapolate": "fade"},
        ),
        "curve2coef": (
            "numkan.spline",
            {"x_eval": X, "y_eval": np.ones((60, 2, 3)), "grid": two, "k": 2, "sample_weight": None},
        ),
        "design_matrix": ("numkan.spline", {"x": X[:, 0], "grid_row": row, "k": 2, "nu": 0}),
        "extend_grid": ("numkan.spline", {"grid": GRID, "k_extend": 1}),
        "from_scipy": ("numkan.spline", {"bspline": None}),
        "greville": ("numkan.spline", {"grid": GRID, "k": 2}),
        "insert_knots": ("numkan.spline", {"grid": two, "coef": COEF, "k": 2, "new_knots": [0.1]}),
        "refinement_matrix": ("numkan.spline", {"grid_row": row, "finer_row": row, "k": 2}),
        "to_ppoly": ("numkan.spline", {"grid_row": row, "coef_row": np.ones(6), "k": 2}),
        "numkan.spline.to_scipy": ("numkan.spline", {"grid_row": row, "coef_row": np.ones(6), "k": 2}),
        "find": ("numkan.symbolic", {**_options("numkan.symbolic.find", x=X, y=Y), **search}),
        "explain": ("numkan.symbolic", {**_options("numkan.symbolic.explain", model=a_model(), x=X, y=Y), **search}),
        "identify": ("numkan.symbolic", _options("numkan.symbolic.identify", u=X[:, 0], y=Y[:, 0])),
        "identify_edges": ("numkan.symbolic", {"model": a_model(), "x": X, "functions": None, "close": 0.002}),
    }
    return {
        name: Call(getattr(import_module(module), name.rpartition(".")[2]), arguments)
        for name, (module, arguments) in named.items()
    }


def _options(function: Any, **given: Any) -> dict[str, Any]:
    """Return all arguments of a function with their defaults, and those given."""
    if isinstance(function, str):
        module, _, name = function.rpartition(".")
        function = getattr(import_module(module or "numkan.optimize"), name)
    parameters = inspect.signature(function).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    return {**defaults, **given}


def _methods(new: Callable[[], KAN], folder: Path) -> dict[str, Call]:
    found: dict[str, Call] = {}
    special: dict[str, dict[str, Any]] = {
        "fit": {"steps": 2, "grids": [2, 3], "restarts": 2, "time_limit": 5.0},
        "save": {"path": folder / "saved.npz"},
        "explore": {"path": folder / "page.html"},
        "load": {"path": folder / "m.npz"},
        "to_c": {"path": folder / "c.h"},
        "to_numpy": {"path": folder / "c.py"},
        "unravel": {"vector": new().params.copy()},
        "vjp": {"y_bar": np.ones((60, 1))},
        "initialize_grid_from_parent": {"parent": new()},
        "refine": {"grid": 5},
    }
    for owner, kind in (
        (new(), "KAN"),
        (new().act_fun[0], "KANLayer"),
        (SplineBasis(GRID.repeat(2, 0), 2), "SplineBasis"),
    ):
        for name in _public(type(owner)):
            model = new() if kind != "SplineBasis" else None
            subject: Any = owner if model is None else model if kind == "KAN" else model.act_fun[0]
            function = getattr(subject, name)
            parameters = inspect.signature(function).parameters
            if not parameters or name in LEFT_OUT.get(kind, ()):
                continue
            good = {"x": X, "y": Y, "i": 0, "dtype": "f4", **special.get(name, {})}
            if kind == "KANLayer" and name == "initialize_grid_from_parent":
                good["parent"] = new().act_fun[0]
            given = {key: value for key, value in good.items() if key in parameters}
            found[f"{kind}.{name}"] = Call(function, _options(function, **given), model)
    return found


def _public(owner: type) -> list[str]:
    return [name for name in dir(owner) if not name.startswith("_") and callable(getattr(owner, name))]


def without_a_call(known: dict[str, Call]) -> list[str]:
    """Return the public names that are neither called nor left out."""
    missing = []
    for module in MODULES:
        names = set(import_module(module).__all__) - LEFT_OUT.get(module, set()) - {"fit"}
        missing += [f"{module}.{name}" for name in names if not {name, f"{module}.{name}", f"KAN.{name}"} & set(known)]
    return sorted(missing)
