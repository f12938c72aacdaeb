"""Task d: the fifteen special functions of the KAN paper, with domains, because the paper's are not known.

Orders are in [0, 5], arguments of Bessel functions in [0.5, 10]; Legendre functions have x in [-0.95, 0.95]; sn has u
in [0, 8], m in [0, 0.99]; the incomplete elliptic integrals have phi in [0, pi/2], m in [0, 0.99]; spherical harmonics
are real parts, with the polar angle in [0, pi] and the azimuth in [0, 2 pi].
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from _accuracy_problems import Array, Problem
from scipy import special

ORDER, ARGUMENT, LEGENDRE, MODULUS = (0.0, 5.0), (0.5, 10.0), (-0.95, 0.95), (0.0, 0.99)
ANGLE, POLAR, AZIMUTH = (0.0, math.pi / 2), (0.0, math.pi), (0.0, 2 * math.pi)


def sn(u: Array, m: Array) -> Array:
    """Return Jacobi's elliptic function sn(u | m)."""
    return np.asarray(special.ellipj(u, m)[0])


def legendre(m: int) -> Callable[..., Array]:
    """Return the associated Legendre function of order m, of any degree v, by scipy's sign."""
    return lambda v, x: np.asarray(special.lpmv(m, v, x))


def harmonic(m: int, n: int) -> Callable[..., Array]:
    """Return the real part of the spherical harmonic of order m and degree n, of polar angle and azimuth."""
    size = math.sqrt((2 * n + 1) / (4 * math.pi) * math.factorial(n - m) / math.factorial(n + m))
    return lambda polar, azimuth: size * special.lpmv(m, n, np.cos(polar)) * np.cos(m * azimuth)


def _bessel(name: str) -> Problem:
    return Problem(name, f"{name}(v, x)", getattr(special, name), (ORDER, ARGUMENT))


def _legendre(m: int) -> Problem:
    return Problem(f"lpmv {m}", f"lpmv({m}, v, x)", legendre(m), (ORDER, LEGENDRE))


def _harmonic(m: int, n: int) -> Problem:
    formula = f"Re Y of order {m}, degree {n} (polar, azimuth)"
    return Problem(f"sph_harm {m},{n}", formula, harmonic(m, n), (POLAR, AZIMUTH))


SPECIAL = {
    problem.name: problem
    for problem in (
        Problem("ellipj", "sn(u, m)", sn, ((0.0, 8.0), MODULUS)),
        Problem("ellipkinc", "ellipkinc(phi, m)", special.ellipkinc, (ANGLE, MODULUS)),
        Problem("ellipeinc", "ellipeinc(phi, m)", special.ellipeinc, (ANGLE, MODULUS)),
        *map(_bessel, ("jv", "yv", "kv", "iv")),
        *map(_legendre, (0, 1, 2)),
        *(_harmonic(m, n) for m, n in ((0, 1), (1, 1), (0, 2), (1, 2), (2, 2))),
    )
}

# name -> RMSE of the best KAN and of the best MLP: Liu et al., arXiv 2404.19756, table 1
PUBLISHED = {
    "ellipj": (1.33e-4, 6.48e-4),
    "ellipkinc": (1.24e-4, 5.52e-4),
    "ellipeinc": (8.26e-5, 3.04e-4),
    "jv": (1.64e-3, 5.52e-3),
    "yv": (1.49e-5, 3.45e-4),
    "kv": (2.52e-5, 1.67e-4),
    "iv": (9.28e-3, 1.07e-2),
    "lpmv 0": (5.25e-5, 1.74e-2),
    "lpmv 1": (6.90e-4, 1.50e-3),
    "lpmv 2": (2.26e-4, 9.43e-4),
    "sph_harm 0,1": (2.21e-7, 1.25e-6),
    "sph_harm 1,1": (1.22e-4, 6.70e-4),
    "sph_harm 0,2": (1.95e-7, 2.85e-6),
    "sph_harm 1,2": (1.50e-5, 1.84e-3),
    "sph_harm 2,2": (9.45e-5, 6.21e-4),
}

RERUN = ("ellipj", "ellipeinc", "jv", "yv", "kv", "lpmv 0", "lpmv 2", "sph_harm 0,1")  # by pykan, on the same data
