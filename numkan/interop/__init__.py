"""Models from and for other implementations. Nothing of theirs is imported before it is needed."""

from numkan.interop.pykan import from_pykan as from_pykan
from numkan.interop.pykan import to_pykan as to_pykan

__all__ = ["from_pykan", "to_pykan"]
