"""Kolmogorov-Arnold networks in NumPy and Numba: B-spline edges, hand-written gradients, no autodiff."""

from numkan._threads import get_threads as get_threads
from numkan._threads import set_threads as set_threads
from numkan.base import silu as silu
from numkan.kan import KAN as KAN
from numkan.layer import KANLayer as KANLayer
from numkan.model.losses import Huber as Huber
from numkan.search import search as search

__all__ = ["KAN", "Huber", "KANLayer", "get_threads", "search", "set_threads", "silu"]

__version__ = "0.1.0"
