"""Files that are complete under their name or not there at all, with the owner and mode that `open` would give."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

__all__ = ["replace_file"]

#: Start of the name of an unfinished file. The name of the final file is no part of it, because that may be as long as
#: the system allows.
_PREFIX, _SUFFIX = ".numkan-", ".tmp"

#: Age in seconds above which an unfinished file must come from a process that was killed.
_ABANDONED = 86_400.0


def replace_file(path: str | os.PathLike[str], write: Callable[[IO[bytes]], object], name: str = "path") -> None:
    """Let `write` write to a new file, which then takes the place of the one under `path`, an argument of that name.

    If `path` is a symbolic link, the file that it points to is replaced. Mode and owner of an older file stay; other
    hard links to it keep the older content.

    Raises
    ------
    OSError
        As `open` would raise it, for example if an older file is read-only.
    ValueError
        If there is something that is neither a file nor a folder.
    """
    target = Path(os.path.realpath(path))
    is_there = _may_be_written(target, name)
    _remove_abandoned(target.parent)
    unfinished = target.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")
    try:
        with open(unfinished, "xb") as file:
            if is_there:
                _make_alike(unfinished, target)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, target)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
    _sync_folder(target.parent)


def _may_be_written(target: Path, name: str) -> bool:
    """Return whether the file exists, or raise the error of `open` if it must not be replaced."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return False
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ValueError(f"Argument `{name}` must name a file, not {os.fspath(target)!r}, which is a pipe or a device.")
    with open(target, "r+b"):
        return True


def _make_alike(unfinished: Path, target: Path) -> None:
    """Give the new file the owner and the mode of the old one, as far as the system allows."""
    if hasattr(os, "chown"):
        facts = target.stat()
        with suppress(OSError):
            os.chown(unfinished, facts.st_uid, facts.st_gid)
    shutil.copymode(target, unfinished)


def _sync_folder(folder: Path) -> None:
    """Flush the new name to the disk, if the system can do that."""
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):  # the file is complete under its name; some file systems cannot do more
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _remove_abandoned(folder: Path) -> None:
    """Remove the unfinished files of killed processes: those that have not been written to for a day."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX):
                with suppress(OSError):
                    facts = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(facts.st_mode) and time.time() - facts.st_mtime > _ABANDONED:
                        os.unlink(entry.path)
