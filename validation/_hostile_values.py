"""Values that nobody should pass, and somebody will: made anew each time, for some of them can be used once."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["VALUES"]


class _Refuses:
    """An object that refuses to be an array, a number or a text."""

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        raise RuntimeError("This object refuses to be an array.")

    def __float__(self) -> float:
        raise RuntimeError("This object refuses to be a number.")

    __int__ = __index__ = __float__  # type: ignore[assignment]


class _Endless:
    """A sequence that claims to be very long."""

    def __len__(self) -> int:
        return 1 << 40

    def __getitem__(self, place: Any) -> Any:
        raise IndexError("There is nothing here.")


def _itself() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


def _nested(depth: int) -> Any:
    value: Any = 1.0
    for _ in range(depth):
        value = [value]
    return value


def _with(value: float, shape: tuple[int, ...] = (60, 2)) -> Any:
    array = np.random.default_rng(0).uniform(-1, 1, shape)
    array.reshape(-1)[array.size // 2] = value
    return array


VALUES: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "-1": lambda: -1,
    "0": lambda: 0,
    "1": lambda: 1,
    "10^30": lambda: 10**30,
    "2^63": lambda: 1 << 63,
    "-0.5": lambda: -0.5,
    "0.5": lambda: 0.5,
    "NaN": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "1e308": lambda: 1e308,
    "5e-324": lambda: 5e-324,
    "1j": lambda: 1j,
    "Decimal": lambda: Decimal("NaN"),
    "Fraction": lambda: Fraction(10**400, 3),
    "float32 NaN": lambda: np.float32("nan"),
    "int8": lambda: np.int8(-3),
    "empty text": lambda: "",
    "text": lambda: "odd",
    "long text": lambda: "x" * 100_000,
    "surrogate": lambda: "\udcff",
    "zero byte": lambda: "a\0b",
    "bytes": lambda: b"abc",
    "path": lambda: Path("no/such/file"),
    "empty list": list,
    "list": lambda: [1, "a", None],
    "ragged": lambda: [[1.0, 2.0], [1.0]],
    "itself": _itself,
    "nested": lambda: _nested(90),
    "tuple": lambda: (1, 2, 3, 4),
    "dict": lambda: {"a": float("nan")},
    "set": lambda: {1, 2},
    "range": lambda: range(5),
    "generator": lambda: (value for value in (1.0, 2.0)),
    "object": object,
    "class": lambda: int,
    "function": lambda: lambda *arguments, **options: None,
    "exception": lambda: ValueError("x"),
    "refuses": _Refuses,
    "endless": _Endless,
    "no numbers": lambda: np.array([]),
    "no rows": lambda: np.zeros((0, 2)),
    "no columns": lambda: np.zeros((60, 0)),
    "0-D": lambda: np.array(1.0),
    "1-D": lambda: np.ones(3),
    "wide": lambda: np.ones((60, 7)),
    "3-D": lambda: np.ones((60, 2, 2)),
    "one NaN": lambda: _with(np.nan),
    "one infinity": lambda: _with(-np.inf),
    "all NaN": lambda: np.full((60, 2), np.nan),
    "very large": lambda: np.full((60, 2), 1e308),
    "very small": lambda: np.full((60, 2), 5e-324),
    "constant": lambda: np.zeros((60, 2)),
    "complex": lambda: np.ones((60, 2), complex),
    "objects": lambda: np.array([[1.0, None]] * 60, object),
    "texts": lambda: np.array([["1", "x"]] * 60),
    "dates": lambda: np.zeros((60, 2), "M8[D]"),
    "masked": lambda: np.ma.masked_array(np.ones((60, 2)), np.eye(60, 2)),
    "large integers": lambda: np.full((60, 2), (1 << 62) + 1),
    "float16": lambda: np.full((60, 2), 1.0, "f2"),
    "strided": lambda: np.broadcast_to(np.float64(0.5), (60, 2)),
    "structured": lambda: np.zeros(60, [("a", "f8"), ("b", "f8")]),
}
