"""Optional packages, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["needed", "reason"]


def needed(module: str, purpose: str) -> Any:
    """Import a module of the extra `peers`, or say in one sentence what it is needed for and how to get it.

    >>> needed("no_such_module", "An example")
    Traceback (most recent call last):
    ImportError: An example needs `no_such_module`, which the extra `peers` installs (pip install "numkan[peers]"): \
No module named 'no_such_module'.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f'{purpose} needs `{module}`, which the extra `peers` installs (pip install "numkan[peers]"): '
            f"{reason(error)}."
        ) from error


def reason(error: Exception) -> str:
    r"""Return the text of an error, on one line and without its full stop.

    >>> reason(ValueError("No.\n  Not so."))
    'No. Not so'
    """
    return " ".join(str(error).split()).rstrip(".")
