"""The class that users see: a network that can be trained and saved."""

from __future__ import annotations

from numkan.model.network import Network

__all__ = ["KAN"]


class KAN(Network):
    """A Kolmogorov-Arnold network."""
