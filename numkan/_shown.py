"""Values as error messages show them: one short line for any value."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np

__all__ = ["shortened", "shown"]

_MAX_LENGTH = 100  # characters


class _Short(reprlib.Repr):
    """The repr of a few entries of each list, and of the ends of long texts."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxdict, self.maxset = 3, 4, 4
        self.maxstring = self.maxother = self.maxlong = 80

    def repr_int(self, x: int, level: int) -> str:
        """Return the bits of an integer of many thousand digits, because Python refuses to write it out."""
        return super().repr_int(x, level) if x.bit_length() < 10_000 else f"an integer of {x.bit_length()} bits"


_SHORT = _Short()


def shown(value: object) -> str:
    """Return `value` as messages show it: arrays by shape and dtype, the rest by the beginning of its repr."""
    try:
        text = _array(value) or _SHORT.repr(value)
    except Exception:  # a user's repr that fails must not hide the error
        text = f"<{type(value).__name__}>"
    return shortened(text)


def shortened(text: str, longest: int = _MAX_LENGTH) -> str:
    """Return the beginning of a text, in one line."""
    line = " ".join(part.strip() for part in text[: 4 * longest].splitlines())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def _array(value: Any) -> str:
    """Return a description of an array, a frame or a tensor; None for a single number, which is short."""
    shape = getattr(value, "shape", ())
    if isinstance(value, type) or not isinstance(shape, tuple) or not shape:
        return ""
    kind = "array" if type(value) is np.ndarray else type(value).__name__
    dtype = f" and dtype {value.dtype}" if hasattr(value, "dtype") else ""
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind} of shape {tuple(shape)}{dtype}"
