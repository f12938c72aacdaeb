"""The class that users see: a network that can be trained and saved."""

from __future__ import annotations

import os
from typing import Self

from numkan.base import Function
from numkan.model.archive import load, save
from numkan.model.network import Network

__all__ = ["KAN"]


class KAN(Network):
    """A Kolmogorov-Arnold network."""

    # --- files ----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one plain ``.npz`` file, exact in every bit and without pickle.

        The same model makes the same bytes. The file is written beside its place and then renamed, so that a crash
        never leaves half of it, nor loses an older one.

        Parameters
        ----------
        path : str or path
            Taken as it is.

        Examples
        --------
        >>> import tempfile
        >>> from numkan import KAN
        >>> model = KAN([2, 5, 1])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.npz")
        ...     again = KAN.load(f"{folder}/model.npz")
        >>> again.params.tobytes() == model.params.tobytes()
        True
        """
        save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, base_fun: tuple[Function, Function] | None = None) -> Self:
        """Read a model that :meth:`save` wrote. The file is checked, as a whole, before anything is built from it.

        Parameters
        ----------
        path : str or path
        base_fun : (callable, callable), optional
            The pair (value, derivative) of a model that was made with one: functions are not in the file.

        Raises
        ------
        OSError
            If there is no such file, or it may not be read.
        ValueError
            If it is not a whole file that numkan wrote, or `base_fun` is missing or not wanted.
        """
        return load(path, cls, base_fun)
