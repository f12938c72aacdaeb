"""The output of commands: one JSON object, files that must be writable before the work begins, notes."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numkan.cli.errors import CommandError

__all__ = ["check_writable", "note", "print_json"]


def print_json(content: Mapping[str, Any]) -> None:
    """Print one object in one line; numbers that are not finite, which JSON does not have, are null."""
    print(json.dumps(_plain(content), allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def note(text: str) -> None:
    """Print a note, neither a result nor an error, on the standard error."""
    print(f"numkan: {text}", file=sys.stderr)


def check_writable(option: str, name: str | None, data: str) -> None:
    """Raise an error, before the work begins, if its result cannot be written."""
    if name is None:
        return
    path = Path(name)
    if path.exists() and Path(data).exists() and path.samefile(data):
        raise CommandError(f"Argument `{option}` must not name the table itself, {name!r}.")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise CommandError(f"Argument `{option}` must name a file that can be written, not {name!r}.")
