"""References of the tasks of physics, with their own accuracy, and the classical methods beside them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from scipy import linalg
from scipy.integrate import solve_ivp
from scipy.interpolate import BSpline

Array = Any

#: The viscosity of Burgers' equation.
NU = 0.01 / np.pi


def cole_hopf(x: Array, nu: float, nodes: int = 200) -> Array:
    """Return Burgers' solution from -sin(pi x) at (t, x), by Gauss-Hermite quadrature of the Cole-Hopf formula."""
    z, w = np.polynomial.hermite.hermgauss(nodes)
    y = x[:, 1:] - np.sqrt(4 * nu * x[:, :1]) * z
    f = -np.cos(np.pi * y) / (2 * np.pi * nu)
    e = w * np.exp(f - f.max(axis=1, keepdims=True))
    return -(np.sin(np.pi * y) * e).sum(axis=1) / e.sum(axis=1)


def etdrk4(u0: Array, linear: Array, nonlinear: Any, dt: float, steps: int, keep: int) -> Array:
    """Return u at every `keep`-th step (A.-K. Kassam and L. N. Trefethen, SIAM J. Sci. Comput. 26, 2005).

    u0 (n,) on a periodic grid; linear (n // 2 + 1,) multiplies its Fourier coefficients v; nonlinear(v) is the rest.
    """
    v = np.fft.rfft(u0)
    circle = dt * linear[:, None] + np.exp(1j * np.pi * (np.arange(1, 65) - 0.5) / 32)
    e, e2 = np.exp(dt * linear), np.exp(dt * linear / 2)
    q = dt * ((np.exp(circle / 2) - 1) / circle).mean(axis=1)
    c3, ec = circle**3, np.exp(circle)
    f1 = dt * ((-4 - circle + ec * (4 - 3 * circle + circle**2)) / c3).mean(axis=1)
    f2 = dt * ((2 + circle + ec * (-2 + circle)) / c3).mean(axis=1)
    f3 = dt * ((-4 - 3 * circle - circle**2 + ec * (4 - circle)) / c3).mean(axis=1)
    out = [u0]
    for step in range(1, steps + 1):
        a0 = nonlinear(v)
        a = e2 * v + q * a0
        a1 = nonlinear(a)
        b = e2 * v + q * a1
        b1 = nonlinear(b)
        c = e2 * a + q * (2 * b1 - a0)
        v = e * v + a0 * f1 + 2 * (a1 + b1) * f2 + nonlinear(c) * f3
        if step % keep == 0:
            out.append(np.fft.irfft(v, len(u0)))
    return np.array(out)


def spectral(kind: str, n: int, dt: float, times: int = 100) -> Array:
    """Return Allen-Cahn's, Burgers' or KdV's solution on n periodic points of [-1, 1] at times 0, 1 / times, ..., 1."""
    x = -1 + 2 * np.arange(n) / n
    k = np.pi * np.arange(n // 2 + 1)
    k[-1] = 0
    steps = round(1 / dt)
    keep = steps // times
    if kind == "allen-cahn":
        return etdrk4(x**2 * np.cos(np.pi * x), -1e-4 * k**2 + 5,
                      lambda v: -5 * np.fft.rfft(np.fft.irfft(v, n) ** 3), dt, steps, keep)  # fmt: skip
    u0, linear = (-np.sin(np.pi * x), -NU * k**2) if kind == "burgers" else (np.cos(np.pi * x), 1j * 0.022**2 * k**3)
    return etdrk4(u0, linear, lambda v: -0.5j * k * np.fft.rfft(np.fft.irfft(v, n) ** 2), dt, steps, keep)


class Periodic:
    """A spectral solution at points: t one of its times, x anywhere."""

    def __init__(self, kind: str, n: int, dt: float) -> None:
        began = time.process_time()
        self.values = spectral(kind, n, dt)
        self.seconds = time.process_time() - began
        self.n = n

    def points(self, count: int, rng: np.random.Generator) -> Array:
        """Return random points at times that are known."""
        t = rng.integers(1, len(self.values), count) / (len(self.values) - 1)
        return np.column_stack([t, rng.uniform(-1, 1, count)])

    def __call__(self, x: Array) -> Array:
        rows = np.rint(x[:, 0] * (len(self.values) - 1)).astype(int)
        v = np.fft.rfft(self.values, axis=1) / self.n
        v[:, 1:] *= 2
        v[:, -1] *= 0.5
        waves = np.exp(1j * np.pi * np.outer(x[:, 1] + 1, np.arange(v.shape[1])))
        return np.real((v[rows] * waves).sum(axis=1))


def pendulum(T: float, t: Array, rtol: float = 1e-13) -> Array:
    """Return theta'' + 0.2 theta' + 4 sin theta = 0 from 2.5 at rest."""
    return solve_ivp(lambda t, y: [y[1], -0.2 * y[1] - 4 * np.sin(y[0])], (0, T), [2.5, 0.0], "DOP853", t,
                     rtol=rtol, atol=rtol)  # fmt: skip


def tensor_splines(right: Any, k: int, G: int) -> tuple[Any, float]:
    """Return Poisson's solution on [-1, 1]^2, 0 on the boundary, by Galerkin and fast diagonalisation; and seconds.

    right(x, y) is the right side at a product of points.
    """
    began = time.process_time()
    knots = np.concatenate([-np.ones(k), np.linspace(-1, 1, G + 1), np.ones(k)])
    node, weight = np.polynomial.legendre.leggauss(k + 1)
    ends = np.linspace(-1, 1, G + 1)
    x = (ends[:-1, None] + (node + 1) / G).ravel()
    w = np.tile(weight / G, G)
    values = BSpline.design_matrix(x, knots, k).toarray()[:, 1:-1]
    slopes = np.stack([BSpline.basis_element(knots[p : p + k + 2], False).derivative()(x)
                       for p in range(1, values.shape[1] + 1)], axis=1)  # fmt: skip
    slopes = np.nan_to_num(slopes)
    mass, stiff = values.T @ (w[:, None] * values), slopes.T @ (w[:, None] * slopes)
    rates, modes = linalg.eigh(stiff, mass)
    weighted = w[:, None] * values
    load = weighted.T @ right(x[:, None], x[None]) @ weighted
    inner = modes.T @ load @ modes / (rates[:, None] + rates[None])
    coef = -modes @ inner @ modes.T
    seconds = time.process_time() - began

    def solution(points: Array) -> Array:
        left, other = (BSpline.design_matrix(points[:, i], knots, k).toarray()[:, 1:-1] for i in range(2))
        return np.einsum("np,pq,nq->n", left, coef, other)

    return solution, seconds
