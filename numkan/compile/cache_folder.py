"""Where the cache may lie: a folder that nobody else can write to.

Cached kernels are pickles and machine code: whoever can write one runs code in the process that loads it. A folder in
a shared place is therefore used only if it is the user's own (or root's) and closed to all others.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from numba import config

__all__ = ["private_folder"]

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def private_folder() -> tuple[Path | None, list[str]]:
    """Return numkan's cache folder, made if it was missing, or None; and why the places before it were refused.

    ``NUMBA_CACHE_DIR`` (or Numba's configuration file) decides alone if it is set, and may be read-only. Otherwise it
    is the user's cache folder, or, where there is no writable one, a folder in the system's place for temporary files.
    """
    reasons = []
    for folder in _candidates():
        try:
            _make_private(folder)
            if not config.CACHE_DIR and not os.access(folder, os.W_OK):
                raise PermissionError(f"{folder} is read-only")
        except OSError as error:
            reasons.append(str(error))
        else:
            return folder, reasons
    return None, reasons


def _candidates() -> Iterator[Path]:
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR).absolute() / "numkan"
        return
    user = _user_cache()
    if user is not None:
        yield user / "numkan"
    yield Path(tempfile.gettempdir()) / f"numkan-cache-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


def _user_cache() -> Path | None:
    """Return the folder for caches that the platform gives each user, or None where HOME and the like are unset."""
    variable, *below = {"win32": ("LOCALAPPDATA",), "darwin": ("HOME", "Library", "Caches")}.get(
        sys.platform, ("HOME", ".cache")
    )
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(chosen) and sys.platform != "win32":
        return Path(chosen)
    home = os.environ.get(variable, "")
    return Path(home, *below) if os.path.isabs(home) else None


def _make_private(folder: Path) -> None:
    """Make a folder that is closed to others, or raise an `OSError` that says what is wrong with the one there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode):
        raise NotADirectoryError(f"{folder} is not a folder")
    if not hasattr(os, "getuid"):  # Windows: the user's cache folder is private by inheritance
        return
    if facts.st_uid not in (0, os.getuid()):
        raise PermissionError(f"{folder} belongs to another user")
    if facts.st_mode & _OTHERS_WRITE:
        raise PermissionError(f"other users can write to {folder}")
    around = folder.parent.stat().st_mode
    if around & stat.S_IWOTH and not around & stat.S_ISVTX:
        raise PermissionError(f"other users can replace {folder}")
