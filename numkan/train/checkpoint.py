"""Checkpoints, from which a stopped fit continues: one plain ``.npz``, written and read as carefully as models.

A file holds facts that identify its fit (:mod:`numkan.train.same_fit`), and the progress of the fit
(:mod:`numkan.train.journal`), as a tree (:mod:`numkan.train.tree`): the member ``config`` is JSON as bytes, whose
arrays are members of their own.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from numkan._npz import BROKEN, check_directory, members_of, read_array, reason, write_members
from numkan._replace_file import replace_file
from numkan._shown import shown
from numkan.train.tree import Tree, integer, items, put_together, real, take_apart

__all__ = ["Checkpoint", "broken", "read_checkpoint", "write_checkpoint"]

#: The version of the format, which the reader requires. A change of the format gets the next number.
FORMAT = 1

#: Largest size of the zip's list of members, in bytes: 128 for each array.
_LONGEST_DIRECTORY = 128 * 20_000

Path_ = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The content of a file."""

    facts: dict[str, Any]  #: identify the fit: see :mod:`numkan.train.same_fit`
    generator: str  #: the state of the random numbers when it began, as JSON
    entries: list[Tree]  #: finished parts, then the unfinished one: see :mod:`numkan.train.journal`
    events: int = 0  #: calls of the callback
    seconds: float = 0.0  #: that the fit has taken


def write_checkpoint(path: Path_, checkpoint: Checkpoint) -> None:
    """Write a file, which is complete under its name or not there at all."""
    arrays: dict[str, Any] = {}
    fit = {name: getattr(checkpoint, name) for name in ("facts", "generator", "entries", "events", "seconds")}
    config = {"program": "numkan", "checkpoint": FORMAT, "fit": take_apart(fit, arrays)}
    text = json.dumps(config, sort_keys=True, allow_nan=False).encode()
    members = {**arrays, "config": np.frombuffer(text, np.uint8)}
    replace_file(path, lambda file: write_members(file, members), "checkpoint")


def read_checkpoint(path: Path_) -> Checkpoint:
    """Read a file that :func:`write_checkpoint` wrote.

    Raises
    ------
    OSError
        If there is no such file, or reading it is not permitted.
    ValueError
        If it is not a complete checkpoint of a fit.
    """
    with open(path, "rb") as file:
        try:
            return _checkpoint(_tree(file))
        except BROKEN as error:
            raise broken(path, error) from error


def broken(path: Path_, error: Exception) -> ValueError:
    """Return the error for a file that no fit has written, or that was changed."""
    name = os.fspath(path)
    return ValueError(f"Argument `resume` must name a checkpoint that a fit wrote, not {name!r}: {reason(error)}")


def _tree(file: IO[bytes]) -> Any:
    check_directory(file, _LONGEST_DIRECTORY)
    with zipfile.ZipFile(file) as archive:
        index = members_of(archive, os.fstat(file.fileno()).st_size)
        if "config.npy" not in index:
            raise ValueError("it has no member config.npy.")
        text = read_array(archive, index.pop("config.npy"), np.dtype(np.uint8), None)
        config = json.loads(text.tobytes())
        if not isinstance(config, dict) or config.get("program") != "numkan":
            raise ValueError("it was not written by numkan.")
        if "checkpoint" not in config:
            raise ValueError("it holds a model, and no fit.")
        if config["checkpoint"] != FORMAT:
            raise ValueError(f"its format is {shown(config['checkpoint'])}, and this version of numkan reads {FORMAT}.")
        tree = put_together(config["fit"], archive, index)
    if index:
        raise ValueError(f"member {min(index)} is unknown.")
    return tree


def _checkpoint(tree: Tree) -> Checkpoint:
    facts, generator, entries = tree["facts"], tree["generator"], items(tree, "entries")
    if not isinstance(facts, dict) or not isinstance(generator, str):
        raise TypeError("it does not say which fit it is of.")
    for entry in entries:
        if not isinstance(entry["kind"], str) or not isinstance(entry["state"], dict):
            raise TypeError("an entry has no kind or state.")
        if entry["error"] is not None and [type(part) for part in items(entry, "error", 2)] != [str, str]:
            raise TypeError("an entry has an unknown error.")
    if not all(entry["ended"] is True for entry in entries[:-1]) or not all(
        isinstance(entry["ended"], bool) for entry in entries[-1:]
    ):
        raise ValueError("an entry in the middle has not ended.")
    return Checkpoint(facts, generator, entries, integer(tree, "events"), max(real(tree, "seconds"), 0.0))
