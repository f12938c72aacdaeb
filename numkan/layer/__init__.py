"""One KAN layer: its parameters, its grid, and the kernels that evaluate and differentiate it."""

from numkan.layer.layer import KANLayer as KANLayer

__all__ = ["KANLayer"]
