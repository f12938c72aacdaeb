"""Protection from misspelled attributes: setting one that a class does not have is an error."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

__all__ = ["KnownAttributes"]


class KnownAttributes:
    """A base class whose instances refuse public attributes that their class does not have.

    A class has the attributes that its body, or that of a base class, defines or annotates. So a subclass declares its
    own attributes in its body, for instance ``history: list[float]``. Names that begin with an underscore are free.
    """

    if not TYPE_CHECKING:  # for type checkers, a class that has this method takes any attribute

        def __setattr__(self, name: str, value: Any) -> None:
            """Set an attribute that the class knows."""
            if not (name.startswith("_") or hasattr(type(self), name) or name in _annotated(type(self))):
                raise AttributeError(f"{type(self).__name__} has no attribute `{name}`.{self._hint(name)}")
            object.__setattr__(self, name, value)

    def _hint(self, name: str) -> str:
        """Return a hint for an unknown name, with a space before it, or an empty string."""
        cls = type(self)
        known = [known for known in {*dir(cls), *_annotated(cls)} if not known.startswith("_")]
        near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
        own = cls.__module__.partition(".")[0] != __name__.partition(".")[0]
        return (f" Did you mean `{near[0]}`?" if near else "") + (
            f" (A subclass declares its own attributes in its body: `{name}: Any`.)" if own else ""
        )


def _annotated(cls: type) -> set[str]:
    return {name for base in cls.__mro__ for name in getattr(base, "__annotations__", ())}
