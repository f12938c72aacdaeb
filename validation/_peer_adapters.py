"""The peers that can be judged, by name, and how their adapters are loaded: only when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Name -> module of this folder, and the adapter in it.
PEERS = {
    "pykan": ("_adapter_pykan", "adapter"),
    "efficient-kan": ("_adapter_efficient_kan", "adapter"),
    "jaxkan": ("_adapter_jaxkan", "adapter"),
    "inkan": ("_adapter_uniform", "inkan_adapter"),
    "flashkan": ("_adapter_uniform", "flashkan_adapter"),
    "scipy": ("_adapter_scipy", "adapter"),
}


def peer(name: str) -> Any:
    """Return the adapter of a peer; ImportError where its packages are missing."""
    module, attribute = PEERS[name]
    return getattr(import_module(module), attribute)
