"""The 27 problems of nonlinear regression in NIST's Statistical Reference Datasets.

Starts, certified values and data are read from NIST's own files, in tests/data/nist_strd, as they are at
https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml: a work of the US government, in the public domain.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.more_garbow_hillstrom import complex_step

__all__ = ["MODELS", "PROBLEMS", "Regression", "digits", "read"]

FOLDER = Path(__file__).parent / "data" / "nist_strd"


def misra1a(b, x):
    return b[0] * (1 - np.exp(-b[1] * x))


def misra1b(b, x):
    return b[0] * (1 - (1 + b[1] * x / 2) ** -2)


def misra1c(b, x):
    return b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5)


def misra1d(b, x):
    return b[0] * b[1] * x / (1 + b[1] * x)


def chwirut(b, x):
    return np.exp(-b[0] * x) / (b[1] + b[2] * x)


def lanczos(b, x):
    return b[0] * np.exp(-b[1] * x) + b[2] * np.exp(-b[3] * x) + b[4] * np.exp(-b[5] * x)


def gauss(b, x):
    first = b[2] * np.exp(-((x - b[3]) ** 2) / b[4] ** 2)
    second = b[5] * np.exp(-((x - b[6]) ** 2) / b[7] ** 2)
    return b[0] * np.exp(-b[1] * x) + first + second


def danwood(b, x):
    return b[0] * x ** b[1]


def kirby2(b, x):
    return (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2)


def cubic_over_cubic(b, x):
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def nelson(b, x):
    """Of log(y), with the times and the temperatures as columns of x."""
    return b[0] - b[1] * x[:, 0] * np.exp(-b[2] * x[:, 1])


def mgh17(b, x):
    return b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4])


def mgh09(b, x):
    return b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3])


def mgh10(b, x):
    return b[0] * np.exp(b[1] / (x + b[2]))


def roszman1(b, x):
    return b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / np.pi


def enso(b, x):
    def cycle(period, cosine, sine):
        return cosine * np.cos(2 * np.pi * x / period) + sine * np.sin(2 * np.pi * x / period)

    return b[0] + cycle(12, b[1], b[2]) + cycle(b[3], b[4], b[5]) + cycle(b[6], b[7], b[8])


def rat42(b, x):
    return b[0] / (1 + np.exp(b[1] - b[2] * x))


def rat43(b, x):
    return b[0] / (1 + np.exp(b[1] - b[2] * x)) ** (1 / b[3])


def eckerle4(b, x):
    return b[0] / b[1] * np.exp(-0.5 * ((x - b[2]) / b[1]) ** 2)


def bennett5(b, x):
    return b[0] * (b[1] + x) ** (-1 / b[2])


MODELS = {
    # of the lower level of difficulty
    "Misra1a": misra1a,
    "Chwirut2": chwirut,
    "Chwirut1": chwirut,
    "Lanczos3": lanczos,
    "Gauss1": gauss,
    "Gauss2": gauss,
    "DanWood": danwood,
    "Misra1b": misra1b,
    # average
    "Kirby2": kirby2,
    "Hahn1": cubic_over_cubic,
    "Nelson": nelson,
    "MGH17": mgh17,
    "Lanczos1": lanczos,
    "Lanczos2": lanczos,
    "Gauss3": gauss,
    "Misra1c": misra1c,
    "Misra1d": misra1d,
    "Roszman1": roszman1,
    "ENSO": enso,
    # higher
    "MGH09": mgh09,
    "Thurber": cubic_over_cubic,
    "BoxBOD": misra1a,
    "Rat42": rat42,
    "MGH10": mgh10,
    "Eckerle4": eckerle4,
    "Rat43": rat43,
    "Bennett5": bennett5,
}


@dataclass(frozen=True, eq=False)
class Regression:
    """Data, a model of them, two starts (the first one far), the certified parameters and sum of squares.

    Far from the starts a model may overflow or leave the reals: inf and nan come out, without warnings.
    """

    name: str
    level: str
    model: Callable
    x: np.ndarray
    y: np.ndarray
    starts: tuple[np.ndarray, np.ndarray]
    certified: np.ndarray
    deviations: np.ndarray
    sum_of_squares: float

    def residuals(self, b):
        with np.errstate(all="ignore"):
            return self.model(np.asarray(b), self.x) - self.y

    def jacobian(self, b):
        return complex_step(self.residuals, b)

    def residuals_and_jacobian(self, b):
        return self.residuals(b), self.jacobian(b)

    def __repr__(self):
        return self.name


def digits(got, certified):
    """The least number of figures of a parameter that are right, at most 11: as many as are certified."""
    error = np.abs(np.asarray(got) - certified) / np.abs(certified)
    worst = np.where(np.isnan(error), np.inf, error).max()
    return float(-np.log10(max(worst, 1e-11)))


def read(name):
    """The problem in the file of that name."""
    path = FOLDER / f"{name}.dat"
    text = path.read_text(encoding="ascii")
    rows = re.findall(r"^\s*b\d+ =\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*$", text, re.MULTILINE)
    first, second, certified, deviations = np.array(rows, dtype=float).T
    (level,) = re.findall(r"(\w+) Level of Difficulty", text)
    (sum_of_squares,) = re.findall(r"Residual Sum of Squares:\s+(\S+)", text)
    (begin,) = re.findall(r"Data +\(lines (\d+) to +\d+\)", text)
    y, *x = np.loadtxt(path, skiprows=int(begin) - 1, unpack=True)
    return Regression(
        name=name,
        level=level,
        model=MODELS[name],
        x=x[0] if len(x) == 1 else np.stack(x, axis=1),
        y=np.log(y) if name == "Nelson" else y,
        starts=(first, second),
        certified=certified,
        deviations=deviations,
        sum_of_squares=float(sum_of_squares),
    )


PROBLEMS = [read(name) for name in MODELS]
