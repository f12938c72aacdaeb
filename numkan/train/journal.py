"""The journal of a fit, by which a stopped fit continues where it was and ends with the same bits.

A fit is deterministic: run again from its beginning, it makes the same decisions. Only two parts of it take long, the
search for a start and the stages of steps. A journal has an entry for each finished part, with its result, and one for
the unfinished stage, with the state of its optimizer. A resumed fit runs from its beginning, and takes results from the
entries instead of computing them. As long as there are entries, the clock does not stop it and the caller's model does
not change.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from numkan._npz import BROKEN
from numkan.train.checkpoint import Checkpoint, Path_, broken, write_checkpoint
from numkan.train.history import Ended, FitStatus
from numkan.train.start import NotFiniteError
from numkan.train.tree import Tree

__all__ = ["Journal", "Part"]


class Part(Protocol):
    """A part of a fit that takes long."""

    def run(self, state: Tree | None) -> None:
        """Run the part; with the state of a resumed fit, continue from there."""

    def state(self, *, under_way: bool) -> Tree:
        """Return its result, or its present state while it runs."""

    def restore(self, state: Tree) -> None:
        """Take over its result."""


class Journal:
    """The entries of one fit.

    Parameters
    ----------
    checkpoint : Checkpoint, optional
        The one of the fit that is resumed, or an empty one.
    path : str or path, optional
        File for checkpoints, which are written at intervals.
    resumed : str or path, optional
        File that the checkpoint was read from.
    """

    def __init__(
        self,
        checkpoint: Checkpoint | None = None,
        path: Path_ | None = None,
        every: int = 1,
        resumed: Path_ | None = None,
    ) -> None:
        self._checkpoint = Checkpoint({}, "", []) if checkpoint is None else checkpoint
        self._path, self._every, self._resumed = path, every, resumed
        self._ended: list[Tree] = []
        self._left = list(self._checkpoint.entries)
        self._part: tuple[str, Part] | None = None
        self._events = self._checkpoint.events
        self.seconds_before = self._checkpoint.seconds  #: that the fit had taken when it was stopped

    @property
    def is_replaying(self) -> bool:
        """Whether the fit has not yet reached the point where it was stopped."""
        return bool(self._left)

    def do(self, kind: str, part: Part) -> None:
        """Run a part of the fit, or take over its result from a resumed fit."""
        known = self._left[0] if self._left else None
        if known is not None and known["kind"] != kind:
            assert self._resumed is not None
            raise broken(self._resumed, ValueError(f"a {known['kind']} stands where a {kind} belongs."))
        if known is not None and known["ended"]:
            self.restore(part, known["state"])
            self._ended.append(self._left.pop(0))
            _raise_again(known["error"])
            return
        self._part = kind, part
        try:
            part.run(None if known is None else known["state"])
        except Ended as end:
            if end.status is FitStatus.TIME:
                self._keep(kind, part, [end.status.value, str(end)])
            raise
        except NotFiniteError as error:
            self._keep(kind, part, [FitStatus.NONFINITE.value, str(error)])
            raise
        self._keep(kind, part, None)

    def restore(self, part: Part, state: Tree) -> None:
        """Let a part take over its state, which is checked because the file may have been changed."""
        try:
            part.restore(state)
        except BROKEN as error:
            assert self._resumed is not None
            raise broken(self._resumed, error) from error

    def go_on(self) -> None:
        """Note that the fit has reached the point where it was stopped."""
        self._left.clear()

    def _keep(self, kind: str, part: Part, error: list[str] | None) -> None:
        self._part = None
        if self._path is not None:
            self._ended.append(_entry(kind, part.state(under_way=False), error, ended=True))

    # --- checkpoints ----------------------------------------------------------------------------------------------

    def event(self, seconds: float) -> None:
        """Count the next call of the callback, and write a checkpoint if one is due."""
        self._events += 1
        if self._path is not None and self._events % self._every == 0:
            self._write(seconds)

    def end(self, status: FitStatus, seconds: float) -> None:
        """Write the last checkpoint, from which the fit ends at once, unless another try could get further."""
        if self._path is not None and status not in (FitStatus.TIME, FitStatus.CALLBACK):
            self._write(seconds)

    def begin(self) -> None:
        """Write the first checkpoint, so that a file that cannot be written is known before anything is changed."""
        if self._path is not None:
            write_checkpoint(self._path, self._checkpoint)

    def _write(self, seconds: float) -> None:
        assert self._path is not None
        entries = self._ended.copy()
        if self._part is not None:
            kind, part = self._part
            entries.append(_entry(kind, part.state(under_way=True), None, ended=False))
        write_checkpoint(self._path, replace(self._checkpoint, entries=entries, events=self._events, seconds=seconds))


def _entry(kind: str, state: Tree, error: list[str] | None, *, ended: bool) -> Tree:
    return {"kind": kind, "state": state, "error": error, "ended": ended}


def _raise_again(error: list[str] | None) -> None:
    """Raise the error that ended a part early."""
    if error is not None and error[0] == FitStatus.TIME:
        raise Ended(FitStatus.TIME, error[1])
    if error is not None:
        raise NotFiniteError(error[1])
