"""Errors that end a command, and their texts."""

from __future__ import annotations

__all__ = ["FAILED_LAW", "INTERRUPTED", "NO_SUCCESS", "OK", "USAGE", "CommandError", "one_line"]

OK, FAILED_LAW, USAGE, NO_SUCCESS, INTERRUPTED = 0, 1, 2, 3, 130


class CommandError(Exception):
    """A fault of the arguments, of a file or of its data, in one sentence."""


def one_line(error: BaseException) -> str:
    """Return the text of an error in one line, with the file's name if the system gave one."""
    if isinstance(error, MemoryError):
        return "there is not enough memory."
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror}."
    return " ".join(str(error).split()) or type(error).__name__
