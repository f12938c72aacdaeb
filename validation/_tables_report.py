"""What tables.json says: ranks, goals, and the score of every table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("tables.json")


def summary_line(found: dict[str, Any]) -> str:
    """Say what one contender reached on one table."""
    if "error" in found:
        return str(found["error"])
    folds = found["folds"]
    means = {key: float(np.mean([fold[key] for fold in folds])) for key in folds[0] if key != "calibration"}
    return "  ".join(f"{key} {value:.4g}" for key, value in means.items())


def goals(data):
    return []


def report_text(data):
    return ""
