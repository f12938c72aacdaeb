"""A small zoo of unconstrained problems with gradients written by hand.

Functions take real or complex vectors, so that every gradient can be checked by complex step. Numbers in brackets are
those of More, Garbow and Hillstrom, ACM TOMS 7 (1981) 17, whose starts and minima are used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["ZOO", "Problem", "bowl", "extended_rosenbrock"]


@dataclass(frozen=True)
class Problem:
    """A function, its gradient, the usual start, the values of its known minima (the global one first)."""

    name: str
    fun: Callable
    grad: Callable
    start: tuple[float, ...]
    minima: tuple[float, ...]

    def fun_and_grad(self, x):
        return self.fun(x), self.grad(x)

    def __repr__(self):
        return self.name


def sum_of_squares(name, residuals, jacobian, start, minima=(0.0,)):
    """f = sum of r_i^2, with gradient 2 J^T r."""
    return Problem(
        name,
        lambda x: (residuals(x) ** 2).sum(),
        lambda x: 2 * jacobian(x).T @ residuals(x),
        tuple(start),
        tuple(minima),
    )


def bowl(n, condition, seed=0):
    """A convex quadratic of condition number `condition` in a rotated frame; its minimum is 0."""
    rng = np.random.default_rng(seed)
    frame, _ = np.linalg.qr(rng.normal(size=(n, n)))
    matrix = (frame * np.geomspace(1.0, condition, n)) @ frame.T
    matrix = (matrix + matrix.T) / 2
    centre = rng.normal(size=n)
    return Problem(
        f"bowl {n} ({condition:g})",
        lambda x: 0.5 * (x - centre) @ matrix @ (x - centre),
        lambda x: matrix @ (x - centre),
        (0.0,) * n,
        (0.0,),
    )


def extended_rosenbrock(n):
    """[21]: n / 2 valleys side by side."""

    def residuals(x):
        return np.concatenate([10 * (x[1::2] - x[::2] ** 2), 1 - x[::2]])

    def jacobian(x):
        J = np.zeros((n, n), x.dtype)
        pairs = np.arange(n // 2)
        J[pairs, 2 * pairs] = -20 * x[::2]
        J[pairs, 2 * pairs + 1] = 10
        J[n // 2 + pairs, 2 * pairs] = -1
        return J

    return sum_of_squares(f"extended Rosenbrock {n}", residuals, jacobian, (-1.2, 1.0) * (n // 2))


def extended_powell(n):
    """[22], and [13] for n = 4: the Hessian is singular at the minimum."""

    def residuals(x):
        a, b, c, d = x[::4], x[1::4], x[2::4], x[3::4]
        return np.concatenate([a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2])

    def jacobian(x):
        a, b, c, d = x[::4], x[1::4], x[2::4], x[3::4]
        q = n // 4
        block = np.arange(q)
        J = np.zeros((n, n), x.dtype)
        J[block, 4 * block] = 1
        J[block, 4 * block + 1] = 10
        J[q + block, 4 * block + 2] = 5**0.5
        J[q + block, 4 * block + 3] = -(5**0.5)
        J[2 * q + block, 4 * block + 1] = 2 * (b - 2 * c)
        J[2 * q + block, 4 * block + 2] = -4 * (b - 2 * c)
        J[3 * q + block, 4 * block] = 2 * 10**0.5 * (a - d)
        J[3 * q + block, 4 * block + 3] = -2 * 10**0.5 * (a - d)
        return J

    return sum_of_squares(f"Powell singular {n}", residuals, jacobian, (3.0, -1.0, 0.0, 1.0) * (n // 4))


def rosenbrock():
    """[1]"""
    return Problem(
        "Rosenbrock",
        lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2,
        lambda x: np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)]),
        (-1.2, 1.0),
        (0.0,),
    )


def freudenstein_roth():
    """[2]: with a second minimum, which most methods find from the usual start."""

    def residuals(x):
        a, b = x
        return np.array([-13 + a + ((5 - b) * b - 2) * b, -29 + a + ((b + 1) * b - 14) * b])

    def jacobian(x):
        b = x[1]
        return np.array([[1 + 0 * b, 10 * b - 3 * b * b - 2], [1 + 0 * b, 3 * b * b + 2 * b - 14]])

    return sum_of_squares("Freudenstein-Roth", residuals, jacobian, (0.5, -2.0), (0.0, 48.98425367924))


def powell_badly_scaled():
    """[3]"""

    def residuals(x):
        return np.array([1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001])

    def jacobian(x):
        return np.array([[1e4 * x[1], 1e4 * x[0]], [-np.exp(-x[0]), -np.exp(-x[1])]])

    return sum_of_squares("Powell badly scaled", residuals, jacobian, (0.0, 1.0))


def brown_badly_scaled():
    """[4]"""

    def residuals(x):
        return np.array([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])

    def jacobian(x):
        zero = 0 * x[0]
        return np.array([[1 + zero, zero], [zero, 1 + zero], [x[1], x[0]]])

    return sum_of_squares("Brown badly scaled", residuals, jacobian, (1.0, 1.0))


def beale():
    """[5]"""
    powers = np.array([1, 2, 3])

    def residuals(x):
        return np.array([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** powers)

    def jacobian(x):
        return np.stack([-(1 - x[1] ** powers), x[0] * powers * x[1] ** (powers - 1)], axis=1)

    return sum_of_squares("Beale", residuals, jacobian, (1.0, 1.0))


def helical_valley():
    """[7]: a valley along a helix."""

    def theta(x):
        # by arctan, not arctan2, which takes no complex steps
        turn = np.arctan(x[1] / x[0]) / (2 * np.pi)
        return turn + (0.5 if x[0].real < 0 else 0.0)

    def residuals(x):
        radius = np.sqrt(x[0] ** 2 + x[1] ** 2)
        return np.array([10 * (x[2] - 10 * theta(x)), 10 * (radius - 1), x[2]])

    def jacobian(x):
        square = x[0] ** 2 + x[1] ** 2
        radius = np.sqrt(square)
        zero = 0 * x[0]
        across = 100 / (2 * np.pi * square)
        return np.array(
            [
                [across * x[1], -across * x[0], 10 + zero],
                [10 * x[0] / radius, 10 * x[1] / radius, zero],
                [zero, zero, 1 + zero],
            ]
        )

    return sum_of_squares("helical valley", residuals, jacobian, (-1.0, 0.0, 0.0))


def bard():
    """[8]"""
    u = np.arange(1.0, 16.0)
    v = 16 - u
    w = np.minimum(u, v)
    y = np.array([0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39])

    def residuals(x):
        return y - (x[0] + u / (v * x[1] + w * x[2]))

    def jacobian(x):
        square = (v * x[1] + w * x[2]) ** 2
        return np.stack([-1 + 0 * square, u * v / square, u * w / square], axis=1)

    # the second is the limit of a valley that runs to infinity
    return sum_of_squares("Bard", residuals, jacobian, (1.0, 1.0, 1.0), (8.214877306e-3, 17.42869))


def wood():
    """[14]"""

    def residuals(x):
        a, b, c, d = x
        return np.array(
            [
                10 * (b - a * a),
                1 - a,
                90**0.5 * (d - c * c),
                1 - c,
                10**0.5 * (b + d - 2),
                10**-0.5 * (b - d),
            ]
        )

    def jacobian(x):
        J = np.zeros((6, 4), x.dtype)
        J[0, :2] = -20 * x[0], 10
        J[1, 0] = J[3, 2] = -1
        J[2, 2:] = -2 * 90**0.5 * x[2], 90**0.5
        J[4, 1] = J[4, 3] = 10**0.5
        J[5, 1], J[5, 3] = 10**-0.5, -(10**-0.5)
        return J

    return sum_of_squares("Wood", residuals, jacobian, (-3.0, -1.0, -3.0, -1.0))


def trigonometric(n):
    """[26]"""
    i = np.arange(1, n + 1)

    def residuals(x):
        return n - np.cos(x).sum() + i * (1 - np.cos(x)) - np.sin(x)

    def jacobian(x):
        return np.sin(x)[None, :] + np.diag(i * np.sin(x) - np.cos(x))

    return sum_of_squares(f"trigonometric {n}", residuals, jacobian, (1 / n,) * n, (0.0, 2.79506e-5))


def variably_dimensioned(n):
    """[25]"""
    i = np.arange(1, n + 1)

    def residuals(x):
        total = (i * (x - 1)).sum()
        return np.concatenate([x - 1, [total, total**2]])

    def jacobian(x):
        total = (i * (x - 1)).sum()
        return np.concatenate([np.eye(n), [i + 0 * total, 2 * total * i]])

    return sum_of_squares(f"variably dimensioned {n}", residuals, jacobian, 1 - i / n)


ZOO = [
    rosenbrock(),
    freudenstein_roth(),
    powell_badly_scaled(),
    brown_badly_scaled(),
    beale(),
    helical_valley(),
    bard(),
    extended_powell(4),
    wood(),
    extended_rosenbrock(20),
    extended_powell(20),
    variably_dimensioned(10),
    trigonometric(10),
    bowl(10, 1e2),
    bowl(30, 1e4),
]
