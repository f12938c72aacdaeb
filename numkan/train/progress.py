"""The progress bar of a fit, or a line that says that tqdm is not installed."""

from __future__ import annotations

import math
import sys
from typing import Any

__all__ = ["Progress"]


class Progress:
    """Steps of a fit, as tqdm shows them."""

    def __init__(self, wanted: bool, total: int) -> None:
        self._bar: Any = None
        if wanted:
            try:
                from tqdm.auto import tqdm  # optional: imported only where it is used
            except ImportError:
                print("numkan: no progress bar without tqdm. Install it: python -m pip install tqdm", file=sys.stderr)
                return
            self._bar = tqdm(total=total, unit="step")

    def step(self, grid: int, loss: float, validation: float) -> None:
        """Show one step."""
        if self._bar is None:
            return
        numbers = {"grid": grid, "loss": f"{loss:.3e}"}
        if not math.isnan(validation):
            numbers["validation"] = f"{validation:.3e}"
        self._bar.set_postfix(numbers, refresh=False)
        self._bar.update()

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()
