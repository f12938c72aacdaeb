"""The problems of More, Garbow and Hillstrom, "Testing Unconstrained Optimization Software", ACM TOMS 7 (1981) 17-41.

All 35 are sums of squares. They keep their numbers there, their starts and the minima printed there, to six figures
(what the paper does not print is marked). Formulas take real or complex vectors: Jacobians are taken by complex step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["PROBLEMS", "LeastSquares", "complex_step"]

STEP = 1e-30


def complex_step(residuals, x):
    """J[i, j] = dr_i / dx_j at a real x: exact to rounding, for nothing is subtracted."""
    x = np.asarray(x, dtype=float)
    return np.stack([residuals(x + 1j * STEP * unit).imag / STEP for unit in np.eye(x.size)], axis=1)


@dataclass(frozen=True)
class LeastSquares:
    """Residuals r(x), the published start, the known minima of sum r_i^2 (the global one first).

    Far from the start a formula may overflow or leave the reals: inf and nan come out, without warnings.
    """

    number: int
    name: str
    formula: Callable
    start: tuple[float, ...]
    minima: tuple[float, ...]

    def __post_init__(self):
        # whole numbers in the list below are floats too
        for name in ("start", "minima"):
            object.__setattr__(self, name, tuple(float(number) for number in getattr(self, name)))

    @property
    def n(self):
        return len(self.start)

    @property
    def m(self):
        return self.residuals(np.array(self.start)).size

    def residuals(self, x):
        x = np.asarray(x)
        with np.errstate(all="ignore"):
            return self.formula(x if np.iscomplexobj(x) else x.astype(float))

    def jacobian(self, x):
        return complex_step(self.residuals, x)

    def residuals_and_jacobian(self, x):
        return self.residuals(x), self.jacobian(x)

    def __repr__(self):
        return f"{self.number} {self.name}"


def numbers(text):
    return np.array(text.split(), dtype=float)


def rosenbrock(x):
    """[1], and [21] for more than two variables."""
    a, b = x[::2], x[1::2]
    return np.stack([10 * (b - a**2), 1 - a], axis=1).ravel()


def freudenstein_roth(x):
    """[2]"""
    a, b = x
    return np.array([-13 + a + ((5 - b) * b - 2) * b, -29 + a + ((b + 1) * b - 14) * b])


def powell_badly_scaled(x):
    """[3]"""
    a, b = x
    return np.array([1e4 * a * b - 1, np.exp(-a) + np.exp(-b) - 1.0001])


def brown_badly_scaled(x):
    """[4]"""
    a, b = x
    return np.array([a - 1e6, b - 2e-6, a * b - 2])


def beale(x):
    """[5]"""
    a, b = x
    return np.array([1.5 - a * (1 - b), 2.25 - a * (1 - b**2), 2.625 - a * (1 - b**3)])


def jennrich_sampson(x):
    """[6], for m = 10."""
    i = np.arange(1, 11)
    return 2 + 2 * i - (np.exp(i * x[0]) + np.exp(i * x[1]))


def helical_valley(x):
    """[7]"""
    a, b, c = x
    # in turns, from -1/4 to 3/4
    theta = np.arctan(b / a) / (2 * np.pi) + (0.5 if a.real < 0 else 0.0)
    return np.array([10 * (c - 10 * theta), 10 * (np.sqrt(a**2 + b**2) - 1), c])


BARD_Y = np.array([0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39])


def bard(x):
    """[8]"""
    u = np.arange(1.0, 16.0)
    v = 16 - u
    return BARD_Y - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


GAUSSIAN_HALF = [0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521]
GAUSSIAN_Y = np.array([*GAUSSIAN_HALF, 0.3989, *GAUSSIAN_HALF[::-1]])


def gaussian(x):
    """[9]"""
    t = (8 - np.arange(1, 16)) / 2
    return x[0] * np.exp(-x[1] * (t - x[2]) ** 2 / 2) - GAUSSIAN_Y


MEYER_Y = np.array(
    [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872.0]
)


def meyer(x):
    """[10]"""
    t = 45 + 5 * np.arange(1, 17)
    return x[0] * np.exp(x[1] / (t + x[2])) - MEYER_Y


def gulf(x):
    """[11], for m = 99.

    The paper prints |y_i m i x_2|, which its own minimizer (50, 25, 1.5) does not make zero; |y_i - x_2| it does.
    """
    t = np.arange(1, 100) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    distance = y - x[1]
    distance = np.where(distance.real < 0, -distance, distance)
    return np.exp(-(distance ** x[2]) / x[0]) - t


def box_3d(x):
    """[12], for m = 10."""
    t = 0.1 * np.arange(1, 11)
    return np.exp(-t * x[0]) - np.exp(-t * x[1]) - x[2] * (np.exp(-t) - np.exp(-10 * t))


def powell_singular(x):
    """[13], and [22] for more than four variables."""
    a, b, c, d = x[::4], x[1::4], x[2::4], x[3::4]
    return np.stack([a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2], axis=1).ravel()


def wood(x):
    """[14]"""
    a, b, c, d = x
    return np.array(
        [
            10 * (b - a**2),
            1 - a,
            90**0.5 * (d - c**2),
            1 - c,
            10**0.5 * (b + d - 2),
            10**-0.5 * (b - d),
        ]
    )


KOWALIK_OSBORNE_Y = np.array([0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246])
KOWALIK_OSBORNE_U = np.array([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])


def kowalik_osborne(x):
    """[15]"""
    u = KOWALIK_OSBORNE_U
    return KOWALIK_OSBORNE_Y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def brown_dennis(x):
    """[16], for m = 20."""
    t = np.arange(1, 21) / 5
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


OSBORNE_1_Y = numbers(
    """
    0.844 0.908 0.932 0.936 0.925 0.908 0.881 0.850 0.818 0.784 0.751
    0.718 0.685 0.658 0.628 0.603 0.580 0.558 0.538 0.522 0.506 0.490
    0.478 0.467 0.457 0.448 0.438 0.431 0.424 0.420 0.414 0.411 0.406
    """
)


def osborne_1(x):
    """[17]"""
    t = 10 * np.arange(33)
    return OSBORNE_1_Y - (x[0] + x[1] * np.exp(-t * x[3]) + x[2] * np.exp(-t * x[4]))


def biggs_exp6(x):
    """[18], for m = 13."""
    t = 0.1 * np.arange(1, 14)
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    return x[2] * np.exp(-t * x[0]) - x[3] * np.exp(-t * x[1]) + x[5] * np.exp(-t * x[4]) - y


OSBORNE_2_Y = numbers(
    """
    1.366 1.191 1.112 1.013 0.991 0.885 0.831 0.847 0.786 0.725 0.746 0.679 0.608
    0.655 0.616 0.606 0.602 0.626 0.651 0.724 0.649 0.649 0.694 0.644 0.624 0.661
    0.612 0.558 0.533 0.495 0.500 0.423 0.395 0.375 0.372 0.391 0.396 0.405 0.428
    0.429 0.523 0.562 0.607 0.653 0.672 0.708 0.633 0.668 0.645 0.632 0.591 0.559
    0.597 0.625 0.739 0.710 0.729 0.720 0.636 0.581 0.428 0.292 0.162 0.098 0.054
    """
)


def osborne_2(x):
    """[19]: a decay and three peaks."""
    t = np.arange(65) / 10
    peaks = [x[1 + k] * np.exp(-((t - x[8 + k]) ** 2) * x[5 + k]) for k in range(3)]
    return OSBORNE_2_Y - (x[0] * np.exp(-t * x[4]) + sum(peaks))


def watson(x):
    """[20]: a polynomial p with p' - p^2 - 1 = 0 and p(0) = 0."""
    powers = (np.arange(1, 30) / 29)[:, None] ** np.arange(x.size)
    slope = powers[:, :-1] @ (np.arange(1, x.size) * x[1:])
    return np.concatenate([slope - (powers @ x) ** 2 - 1, [x[0], x[1] - x[0] ** 2 - 1]])


def penalty_1(x):
    """[23]"""
    return np.concatenate([1e-5**0.5 * (x - 1), [(x**2).sum() - 0.25]])


def penalty_2(x):
    """[24]"""
    n = x.size
    i = np.arange(1, n + 1)
    scale = 1e-5**0.5
    excess = np.exp(x / 10) - np.exp(i / 10)
    return np.concatenate(
        [
            [x[0] - 0.2],
            scale * (excess[1:] + excess[:-1]),
            scale * (np.exp(x[1:] / 10) - np.exp(-0.1)),
            [((n - i + 1) * x**2).sum() - 1],
        ]
    )


def variably_dimensioned(x):
    """[25]"""
    total = (np.arange(1, x.size + 1) * (x - 1)).sum()
    return np.concatenate([x - 1, [total, total**2]])


def trigonometric(x):
    """[26]"""
    n = x.size
    return n - np.cos(x).sum() + np.arange(1, n + 1) * (1 - np.cos(x)) - np.sin(x)


def brown_almost_linear(x):
    """[27]"""
    return np.concatenate([x[:-1] + x.sum() - (x.size + 1), [x.prod() - 1]])


def grid(n):
    """n points between 0 and 1, both excluded."""
    return np.arange(1, n + 1) / (n + 1)


def discrete_boundary_value(x):
    """[28]"""
    n = x.size
    padded = np.concatenate([[0], x, [0]])
    return 2 * x - padded[:-2] - padded[2:] + (x + grid(n) + 1) ** 3 / (2 * (n + 1) ** 2)


def discrete_integral_equation(x):
    """[29]"""
    n = x.size
    t = grid(n)
    kernel = np.where(t[None, :] <= t[:, None], t[None, :] * (1 - t[:, None]), t[:, None] * (1 - t[None, :]))
    return x + kernel @ (x + t + 1) ** 3 / (2 * (n + 1))


def broyden_tridiagonal(x):
    """[30]"""
    padded = np.concatenate([[0], x, [0]])
    return (3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1


def broyden_banded(x):
    """[31]: five neighbours below, one above."""
    i = np.arange(x.size)
    offset = i[None, :] - i[:, None]
    near = (offset >= -5) & (offset <= 1) & (offset != 0)
    return x * (2 + 5 * x**2) + 1 - near @ (x * (1 + x))


def linear_full_rank(m):
    """[32]"""

    def residuals(x):
        return np.concatenate([x, np.zeros(m - x.size)]) - 2 / m * x.sum() - 1

    return residuals


def linear_rank_1(m):
    """[33]"""

    def residuals(x):
        return np.arange(1, m + 1) * (np.arange(1, x.size + 1) * x).sum() - 1

    return residuals


def linear_rank_1_with_zeros(m):
    """[34]: as [33], with columns and rows of zeros at both ends."""

    def residuals(x):
        n = x.size
        inner = np.arange(1, m - 1) * (np.arange(2, n) * x[1:-1]).sum()
        return np.concatenate([[0], inner, [0]]) - 1

    return residuals


def chebyquad(m):
    """[35]: means of shifted Chebyshev polynomials over the x_j, less their integrals over [0, 1]."""

    def residuals(x):
        before, now = np.ones_like(x), 2 * x - 1
        out = []
        for degree in range(1, m + 1):
            integral = 0 if degree % 2 else -1 / (degree**2 - 1)
            out.append(now.mean() - integral)
            before, now = now, 2 * (2 * x - 1) * now - before
        return np.array(out)

    return residuals


def curved_start(n):
    """The start of [28] and [29]."""
    return tuple(grid(n) * (grid(n) - 1))


PROBLEMS = [
    LeastSquares(1, "Rosenbrock", rosenbrock, (-1.2, 1), (0,)),
    LeastSquares(2, "Freudenstein and Roth", freudenstein_roth, (0.5, -2), (0, 48.9842537)),
    LeastSquares(3, "Powell badly scaled", powell_badly_scaled, (0, 1), (0,)),
    LeastSquares(4, "Brown badly scaled", brown_badly_scaled, (1, 1), (0,)),
    LeastSquares(5, "Beale", beale, (1, 1), (0,)),
    LeastSquares(6, "Jennrich and Sampson", jennrich_sampson, (0.3, 0.4), (124.362,)),
    LeastSquares(7, "Helical valley", helical_valley, (-1, 0, 0), (0,)),
    # the second is a limit: x_2 and x_3 go to minus infinity
    LeastSquares(8, "Bard", bard, (1, 1, 1), (8.21487e-3, 17.4286)),
    LeastSquares(9, "Gaussian", gaussian, (0.4, 1, 0), (1.12793e-8,)),
    LeastSquares(10, "Meyer", meyer, (0.02, 4000, 250), (87.9458,)),
    LeastSquares(11, "Gulf", gulf, (5, 2.5, 0.15), (0,)),
    LeastSquares(12, "Box three-dimensional", box_3d, (0, 10, 20), (0,)),
    LeastSquares(13, "Powell singular", powell_singular, (3, -1, 0, 1), (0,)),
    LeastSquares(14, "Wood", wood, (-3, -1, -3, -1), (0,)),
    # the second is a limit: x_2 goes to -14.07, the others to infinity
    LeastSquares(15, "Kowalik and Osborne", kowalik_osborne, (0.25, 0.39, 0.415, 0.39), (3.07505e-4, 1.02734e-3)),
    LeastSquares(16, "Brown and Dennis", brown_dennis, (25, 5, -5, -1), (85822.2,)),
    LeastSquares(17, "Osborne 1", osborne_1, (0.5, 1.5, -1, 0.01, 0.02), (5.46489e-5,)),
    # the second is a saddle, but the least where x_1 = x_5 and x_3 = x_6, as at the start: only rounding leads out
    LeastSquares(18, "Biggs EXP6", biggs_exp6, (1, 2, 1, 1, 1, 1), (0, 5.65565e-3)),
    LeastSquares(19, "Osborne 2", osborne_2, (1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5), (4.01377e-2,)),
    LeastSquares(20, "Watson 6", watson, (0,) * 6, (2.28767e-3,)),
    LeastSquares(20, "Watson 9", watson, (0,) * 9, (1.39976e-6,)),
    LeastSquares(20, "Watson 12", watson, (0,) * 12, (4.72238e-10,)),
    LeastSquares(21, "extended Rosenbrock 20", rosenbrock, (-1.2, 1) * 10, (0,)),
    LeastSquares(22, "extended Powell singular 20", powell_singular, (3, -1, 0, 1) * 5, (0,)),
    LeastSquares(23, "Penalty I 4", penalty_1, (1, 2, 3, 4), (2.24997e-5,)),
    LeastSquares(23, "Penalty I 10", penalty_1, tuple(range(1, 11)), (7.08765e-5,)),
    LeastSquares(24, "Penalty II 4", penalty_2, (0.5,) * 4, (9.37629e-6,)),
    LeastSquares(24, "Penalty II 10", penalty_2, (0.5,) * 10, (2.93660e-4,)),
    LeastSquares(25, "variably dimensioned 10", variably_dimensioned, tuple(1 - np.arange(1, 11) / 10), (0,)),
    # only the first is in the paper, and there may be more
    LeastSquares(
        26, "trigonometric 10", trigonometric, (0.1,) * 10, (0, 4.47357e-7, 2.79506e-5, 4.21863e-5, 8.78823e-4)
    ),
    # the second, at (0, ..., 0, n + 1), is flat in n - 2 directions
    LeastSquares(27, "Brown almost linear 10", brown_almost_linear, (0.5,) * 10, (0, 1)),
    LeastSquares(27, "Brown almost linear 40", brown_almost_linear, (0.5,) * 40, (0, 1)),
    LeastSquares(28, "discrete boundary value 10", discrete_boundary_value, curved_start(10), (0,)),
    LeastSquares(29, "discrete integral equation 10", discrete_integral_equation, curved_start(10), (0,)),
    LeastSquares(30, "Broyden tridiagonal 10", broyden_tridiagonal, (-1,) * 10, (0,)),
    LeastSquares(31, "Broyden banded 10", broyden_banded, (-1,) * 10, (0,)),
    LeastSquares(32, "linear, full rank", linear_full_rank(10), (1,) * 5, (5,)),
    LeastSquares(33, "linear, rank 1", linear_rank_1(10), (1,) * 5, (90 / 42,)),
    LeastSquares(34, "linear, rank 1 with zeros", linear_rank_1_with_zeros(10), (1,) * 5, (124 / 34,)),
    LeastSquares(35, "Chebyquad 7", chebyquad(7), tuple(grid(7)), (0,)),
    LeastSquares(35, "Chebyquad 8", chebyquad(8), tuple(grid(8)), (3.51687e-3,)),
    LeastSquares(35, "Chebyquad 9", chebyquad(9), tuple(grid(9)), (0,)),
    # the paper has the second only, which most methods find from this start
    LeastSquares(35, "Chebyquad 10", chebyquad(10), tuple(grid(10)), (4.77271e-3, 6.50395e-3)),
]
