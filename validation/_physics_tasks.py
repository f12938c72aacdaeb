"""The tasks of physics: each a function of a seed that returns what it measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from _physics_references import NU, Periodic, cole_hopf, pendulum, tensor_splines

from numkan import KAN, pde

Array = Any
PI = np.pi


def relative(found: Array, truth: Array) -> float:
    """Return the relative L2 error."""
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))


def measured(solve: Callable[[], Any], judge: Callable[[Any], float]) -> dict[str, Any]:
    """Return error, CPU seconds and steps of a solution."""
    began = time.process_time()
    solution = solve()
    seconds = time.process_time() - began
    windows = getattr(solution, "windows", (solution,))
    return {"error": judge(solution), "seconds": round(seconds, 2), "steps": sum(len(w.history) for w in windows)}


def load_kernels() -> None:
    """Solve something small of each kind, so that what follows does not wait for kernels."""
    box = [0.0, 0.0], [1.0, 1.0]

    def equations_of(t0: float, t1: float, previous: Any) -> list[pde.Equation]:
        inside = pde.Interior([t0, 0.0], [t1, 1.0], 40)
        return [pde.Equation(inside, lambda x, u, du, d2u, d3u: du[:, 0] - d3u[:, 1])]

    pde.march(KAN([2, 2, 1], grid=2, k=5), equations_of, [0.0, 0.5, 1.0], initial=lambda x: np.cos(2 * PI * x[:, 1]),
              periodic=[1], ladder=[8])  # fmt: skip
    heat = pde.Equation(pde.Interior(*box, 40), lambda x, u, du, d2u, rate: du[:, 0] - rate * d2u[:, 1])
    x = np.random.default_rng(0).uniform(0, 1, (60, 2))
    data = pde.Equation(x, lambda x, u: u - np.sin(9 * x[:, 0]), noise="estimate")
    pde.solve(KAN([2, 2, 1], k=5), [heat, data], unknowns={"rate": 1.0}, ladder=[2], draws=1)


# --- Poisson and Helmholtz ----------------------------------------------------------------------------------------


def poisson(width: list[int], k: int, waves: tuple[int, int], seed: int, draws: Any, n: int) -> dict[str, Any]:
    """Solve the Laplacian of u = f for u = sin(a pi x) sin(b pi y)."""
    a, b = waves
    size, box = (a * a + b * b) * PI**2, ([-1.0, -1.0], [1.0, 1.0])

    def truth(x: Array) -> Array:
        return np.sin(a * PI * x[:, 0]) * np.sin(b * PI * x[:, 1])

    def residual(x: Array, u: Array, du: Array, d2u: Array) -> Array:  # divided by its natural size
        return (d2u[:, 0] + d2u[:, 1]) / size + truth(x)

    equations = [pde.Equation(pde.Interior(*box, n), residual), pde.Equation(pde.Boundary(*box, 64), lambda x, u: u)]
    fresh = np.random.default_rng(99).uniform(-1, 1, (4000, 2))
    return measured(
        lambda: pde.solve(KAN(width, k=k, seed=seed), equations, random_state=seed, draws=draws),
        lambda u: relative(u(fresh)[:, 0], truth(fresh)),
    )


def poisson_anchor(waves: tuple[int, int]) -> str:
    """Return what tensor-product splines do."""
    a, b = waves
    fresh = np.random.default_rng(99).uniform(-1, 1, (4000, 2))
    truth = np.sin(a * PI * fresh[:, 0]) * np.sin(b * PI * fresh[:, 1])
    size = (a * a + b * b) * PI**2
    solution, seconds = tensor_splines(lambda x, y: -size * np.sin(a * PI * x) * np.sin(b * PI * y), 7, 32)
    return f"tensor-product splines, k = 7, G = 32: {relative(solution(fresh), truth):.1e} in {seconds:.3f} s"


def poisson10(width: list[int], seed: int, draws: Any) -> dict[str, Any]:
    """Solve Poisson's equation in ten dimensions, for u = exp(mean of sin pi x_i)."""
    d, box = 10, ([-1.0] * 10, [1.0] * 10)

    def truth(x: Array) -> Array:
        return np.exp(np.sin(PI * x).mean(axis=1))

    def right(x: Array) -> Array:
        s, c = np.sin(PI * x), np.cos(PI * x)
        return truth(x) * ((PI * c / d) ** 2 - PI**2 * s / d).sum(axis=1)

    known: dict[int, Array] = {}

    def at(f: Callable[[Array], Array], x: Array) -> Array:  # the points stay the same arrays
        return known.setdefault((id(x), f), f(x)) if (id(x), f) not in known else known[id(x), f]

    equations = [
        pde.Equation(pde.Interior(*box, 2048), lambda x, u, du, d2u: (d2u.sum(axis=1) - at(right, x)) / PI**2),
        pde.Equation(pde.Boundary(*box, 64), lambda x, u: u - at(truth, x)),
    ]
    fresh = np.random.default_rng(99).uniform(-1, 1, (4000, d))
    return measured(
        lambda: pde.solve(KAN(width, k=7, seed=seed), equations, random_state=seed, draws=draws),
        lambda u: relative(u(fresh)[:, 0], truth(fresh)),
    )


# --- ordinary equations -------------------------------------------------------------------------------------------


def pendulum_task(T: float, G: int, seed: int) -> dict[str, Any]:
    """Solve theta'' + 0.2 theta' + 4 sin theta = 0 from 2.5 at rest, over growing intervals; largest error."""

    def equations_of(t0: float, t1: float, previous: Any) -> list[pde.Equation]:
        n = int(np.ceil(3 * G * t1 / T))
        return [
            pde.Equation(pde.Interior([t0], [t1], n), lambda x, u, du, d2u: d2u[:, 0] + 0.2 * du[:, 0] + 4 * np.sin(u)),
            pde.Equation([[0.0]], lambda x, u, du: np.stack([u - 2.5, du[:, 0]], axis=1)),
        ]

    t = np.linspace(0, T, 500)
    truth = pendulum(T, t).y[0]
    return measured(
        lambda: pde.march(
            KAN([1, 1], grid=G, k=7, seed=seed), equations_of, np.linspace(0, T, 11), growing=True, random_state=seed
        ),
        lambda u: float(np.abs(u(t[:, None])[:, 0] - truth).max()),
    )


def pendulum_anchor(T: float) -> str:
    """Return what solve_ivp does at about the error of the goal, and how far the reference is to be trusted."""
    t = np.linspace(0, T, 500)
    truth = pendulum(T, t).y[0]
    own = float(np.abs(pendulum(T, t, 1e-12).y[0] - truth).max())
    began = time.process_time()
    found = pendulum(T, t, 1e-10).y[0]
    seconds = time.process_time() - began
    return f"solve_ivp, rtol 1e-10: {np.abs(found - truth).max():.1e} in {seconds:.3f} s; reference good to {own:.0e}"


# --- evolution ----------------------------------------------------------------------------------------------------


def graded(n: int, centres: list[float], width: float, share: float = 0.5) -> Array:
    """Return n + 1 knots on [-1, 1], denser near the centres."""
    x = np.linspace(-1, 1, 20001)
    peaks = sum(1 / (1 + ((x - c) / width) ** 2) for c in centres)
    density = (1 - share) / 2 + share * peaks / np.trapezoid(peaks, x)
    total = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    knots = np.interp(np.arange(n + 1) / n, total / total[-1], x)
    knots[[0, -1]] = -1, 1
    return knots


def burgers(seed: int) -> dict[str, Any]:
    """Solve u_t + u u_x = nu u_xx from -sin(pi x) in 20 windows, with knots that are dense at the shock."""
    knots = np.sinh(4 * np.linspace(-1, 1, 49)) / np.sinh(4)

    def equations_of(t0: float, t1: float, previous: Any) -> list[pde.Equation]:
        box = [t0, -1.0], [t1, 1.0]
        return [
            pde.Equation(pde.Interior(*box, 1500), lambda x, u, du, d2u: du[:, 0] + u * du[:, 1] - NU * d2u[:, 1]),
            pde.Equation(pde.Boundary(*box, 32, faces=[(1, 0), (1, 1)]), lambda x, u: u),
        ]

    fresh = np.random.default_rng(99).uniform([0.001, -1], 1, (6000, 2))
    return measured(
        lambda: pde.march(
            KAN([2, 6, 1], grid=[2, 5], k=5, seed=seed), equations_of, np.linspace(0, 1, 21),
            initial=lambda x: -np.sin(PI * x[:, 1]), knots={1: knots}, random_state=seed, draws=2,
        ),
        lambda u: relative(u(fresh)[:, 0], cole_hopf(fresh, NU)),
    )  # fmt: skip


def burgers_anchor() -> str:
    """Return what a spectral code does, and how far the reference is to be trusted."""
    spectral = Periodic("burgers", 1024, 1e-3)
    x = spectral.points(2000, np.random.default_rng(99))
    truth = cole_hopf(x, NU)
    gap = np.abs(truth - cole_hopf(x, NU, 300)).max()
    error = f"{relative(spectral(x), truth):.0e} in {spectral.seconds:.2f} s"
    return f"spectral (ETDRK4), n = 1024: {error}; reference (Cole-Hopf) good to {gap:.0e}"


@cache
def reference(kind: str) -> tuple[Periodic, str]:
    """Return the spectral solution, and its accuracy beside a coarser one, which is the anchor."""
    fine = Periodic(kind, 1024, 1e-4)
    coarse = Periodic(kind, 512, 2e-4)
    x = fine.points(2000, np.random.default_rng(0))
    gap = relative(coarse(x), fine(x))
    return fine, f"spectral (ETDRK4), n = 512: {gap:.0e} from n = 1024, in {coarse.seconds:.2f} s"


def allen_cahn(seed: int) -> dict[str, Any]:
    """Solve u_t = 1e-4 u_xx + 5 (u - u^3) from x^2 cos(pi x), which has a corner at the ends, in 25 windows."""
    knots = graded(88, [-1.0, -0.5, 0.0, 0.5, 1.0], 0.03, 0.6)
    truth, _ = reference("allen-cahn")

    def equations_of(t0: float, t1: float, previous: Any) -> list[pde.Equation]:
        inside = pde.Interior([t0, -1.0], [t1, 1.0], 2000)
        out = [pde.Equation(inside, lambda x, u, du, d2u: du[:, 0] - 1e-4 * d2u[:, 1] - 5 * (u - u**3))]
        if previous is None:
            face = pde.Boundary([t0, -1.0], [t1, 1.0], 400, faces=[(0, 0)])
            out.append(pde.Equation(face, lambda x, u: u - x[:, 1] ** 2 * np.cos(PI * x[:, 1]), weight=100.0))
        return out

    fresh = truth.points(6000, np.random.default_rng(99))
    times = np.concatenate([[0, 0.01, 0.025], np.linspace(0.05, 1, 21)])
    return measured(
        lambda: pde.march(
            KAN([2, 6, 1], grid=[2, 5], k=5, seed=seed), equations_of, times, knots={1: knots}, periodic=[1],
            random_state=seed, draws=2,
        ),
        lambda u: relative(u(fresh)[:, 0], truth(fresh)),
    )  # fmt: skip


def kdv(seed: int) -> dict[str, Any]:
    """Solve u_t + u u_x + 0.022^2 u_xxx = 0 from cos(pi x), periodic; windows are shorter where solitons are narrow."""
    truth, _ = reference("kdv")

    def equations_of(t0: float, t1: float, previous: Any) -> list[pde.Equation]:
        inside = pde.Interior([t0, -1.0], [t1, 1.0], 2000)
        return [pde.Equation(inside, lambda x, u, du, d2u, d3u: du[:, 0] + u * du[:, 1] + 0.022**2 * d3u[:, 1])]

    fresh = truth.points(6000, np.random.default_rng(99))
    times = np.concatenate([np.arange(0, 12, 2), np.arange(12, 24), np.arange(24, 40.5, 0.5)]) / 40
    return measured(
        lambda: pde.march(
            KAN([2, 6, 1], grid=[2, 6], k=7, seed=seed), equations_of, times,
            initial=lambda x: np.cos(PI * x[:, 1]), knots={1: np.linspace(-1, 1, 97)}, periodic=[1],
            random_state=seed, draws=2,
        ),
        lambda u: relative(u(fresh)[:, 0], truth(fresh)),
    )  # fmt: skip


# --- unknowns -----------------------------------------------------------------------------------------------------


def diffusion(noise: float, seed: int) -> dict[str, Any]:
    """Find D = 0.25 of u_t = D u_xx from 200 noisy values; the error is in standard errors of the best estimate."""
    from scipy.optimize import least_squares

    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, (200, 2))

    def modes(p: Array) -> Array:
        return sum(p[m] * np.exp(-p[0] * (m * PI) ** 2 * x[:, 0]) * np.sin(m * PI * x[:, 1]) for m in (1, 2, 3))

    y = modes([0.25, 1.0, 0.5, 0.25]) + noise * rng.normal(size=200)
    began = time.process_time()
    best = least_squares(lambda p: (modes(p) - y) / noise, [0.3, 1.0, 0.5, 0.2])
    beside = time.process_time() - began
    own = float(np.sqrt(np.linalg.inv(best.jac.T @ best.jac)[0, 0]))
    box = [0.0, 0.0], [1.0, 1.0]
    equations = [
        pde.Equation(pde.Interior(*box, 512), lambda x, u, du, d2u, D: du[:, 0] - D * d2u[:, 1]),
        pde.Equation(pde.Boundary(*box, 32, faces=[(1, 0), (1, 1)]), lambda x, u: u),
        pde.Equation(x, lambda x, u: u - y, noise="estimate"),
    ]
    began = time.process_time()
    found = pde.solve(KAN([2, 5, 1], k=5, seed=seed), equations, unknowns={"D": 1.0}, random_state=seed, draws=2)
    seconds = time.process_time() - began
    D, error = found.unknowns["D"], found.standard_errors["D"]
    return {
        "error": abs(D - best.x[0]) / own, "seconds": round(seconds, 2), "steps": len(found.history),
        "D": D, "standard_error": error, "best": float(best.x[0]), "best_error": own, "regime": found.regime,
        "beside": round(beside, 3), "covers": bool(abs(D - 0.25) < error),
    }  # fmt: skip


def lotka_volterra(seed: int) -> dict[str, Any]:
    """Find four rates of u' = a u - b u v, v' = c u v - d v from noisy data; beside least_squares over solve_ivp."""
    from scipy.integrate import solve_ivp
    from scipy.optimize import least_squares

    rates, noise, T = np.array([1.1, 0.4, 0.1, 0.4]), 0.1, 20.0
    t = np.linspace(0, T, 60)

    def flow(p: Array) -> Array:
        a, b, c, d = p[:4]
        return solve_ivp(lambda t, y: [a * y[0] - b * y[0] * y[1], c * y[0] * y[1] - d * y[1]], (0, T), p[4:], "LSODA",
                         t, rtol=1e-9, atol=1e-9).y.T  # fmt: skip

    y = flow(np.concatenate([rates, [10.0, 5.0]])) + noise * np.random.default_rng(seed).normal(size=(60, 2))
    began = time.process_time()
    best = least_squares(lambda p: ((flow(p) - y) / noise).ravel(), np.concatenate([rates * 1.1, y[0]]))
    beside = time.process_time() - began
    own = np.sqrt(np.diag(np.linalg.inv(best.jac.T @ best.jac)))[:4]

    def law(x: Array, u: Array, du: Array, a: float, b: float, c: float, d: float) -> Array:
        prey, hunters = u[:, 0], u[:, 1]
        both = prey * hunters
        return np.stack([du[:, 0, 0] - a * prey + b * both, du[:, 1, 0] - c * both + d * hunters], axis=1)

    equations = [pde.Equation(pde.Interior([0.0], [T], 400), law),
                 pde.Equation(t[:, None], lambda x, u: u - y, noise="estimate")]  # fmt: skip
    began = time.process_time()
    found = pde.solve(KAN([1, 2], k=5, seed=seed), equations, unknowns=dict.fromkeys("abcd", 0.5), random_state=seed)
    seconds = time.process_time() - began
    p = np.array([found.unknowns[name] for name in "abcd"])
    return {
        "error": float((np.abs(p - best.x[:4]) / own).max()), "seconds": round(seconds, 2),
        "steps": len(found.history), "rates": p.tolist(), "best": best.x[:4].tolist(), "best_error": own.tolist(),
        "standard_errors": list(found.standard_errors.values()), "beside": round(beside, 2), "regime": found.regime,
    }  # fmt: skip
