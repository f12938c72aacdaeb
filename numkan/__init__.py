"""Kolmogorov-Arnold networks in NumPy and Numba: B-spline edges, hand-written gradients, no autodiff."""

from numkan._threads import get_threads as get_threads
from numkan._threads import set_threads as set_threads
from numkan.base import silu as silu
from numkan.kan import KAN as KAN
from numkan.layer import KANLayer as KANLayer
from numkan.search import search as search
from numkan.spline import SplineBasis as SplineBasis

__all__ = ["KAN", "KANLayer", "SplineBasis", "get_threads", "search", "set_threads", "silu"]

__version__ = "0.1.0"
