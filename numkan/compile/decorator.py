"""The one decorator for compiled functions."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

from numba import config

from numkan.compile.dispatchers import KernelDispatcher

__all__ = ["jit_is_off", "kernel"]


def jit_is_off() -> bool:
    """Return whether kernels run as plain Python (``NUMBA_DISABLE_JIT=1``)."""
    return bool(config.DISABLE_JIT)


def kernel(function: Callable[..., Any], *, inline: bool = False, noalias: bool = False) -> Callable[..., Any]:
    """Compile a function with Numba at its first call, and keep the machine code on disk for the next process.

    The flags, and why they are the only ones:

    * ``nogil=True``: a kernel touches arrays only, so threads may run kernels side by side.
    * ``error_model="numpy"``: a division by zero gives inf or NaN, as in NumPy. The other model raises, and the branch
      that raises keeps a loop from being vectorized.
    * no ``fastmath``: as a whole it lets the compiler assume that there are no NaNs, and NaN in must give NaN out; it
      reorders sums, and one row must give the same bits in any batch.
    * no ``parallel``: threads share what adds nothing up (``numkan._threads``), so their number changes no bit.
    * no signature: compiling at the first call, for the dtype in use only, costs nothing at import. Callers pass
      canonical arrays (C-contiguous, writable), so that there is one signature for each dtype.
    * ``_nrt=False``: without Numba's memory manager. A kernel that would allocate an array does not compile, and no
      references are counted where arrays are passed on.
    * ``forceinline`` only where `inline` says so.
    * not ``cache=True`` but :class:`numkan.compile.cache.KernelCache`: Numba's own cache raises at import if it finds
      no folder, fails on a truncated file, does not see a change in a called function of another file, can mix up two
      signatures that two processes write at once, and never finds kernels again that hold other kernels in a closure.

    A kernel may be made by a factory: what its closure and its globals hold is part of its key
    (:func:`numkan.compile.key.function_key`), as the constants that they are in the machine code. Numbers, strings,
    tuples, dtypes, arrays, other kernels and Numba intrinsics can be held; anything else is a `TypeError` at the first
    call.

    Parameters
    ----------
    function : callable
        Loops over arrays, in the part of Python that Numba compiles; nothing allocated, nothing raised.
    inline : bool
        Whether the code goes into that of kernels that call it. To pass `Work`, 17 arrays of seven numbers each, costs
        as much as 50 samples; but where all goes into one function, loops find too few registers.

    noalias : bool
        Whether no two of the arrays that the kernel is given overlap where it writes one of them: then the compiler
        keeps in registers what a loop reads again and again. With `inline` that holds in the caller's loops too.

    Returns
    -------
    callable
        Numba's dispatcher; with ``NUMBA_DISABLE_JIT=1`` the function itself. The last bits of a result may differ
        between the two, and between kernels with and without ``NUMBA_BOUNDSCHECK=1``: sums are contracted differently.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan.compile import kernel
    >>> @kernel
    ... def double(x, out):
    ...     for i in range(x.size):
    ...         out[i] = x[i] + x[i]
    >>> out = np.empty(2)
    >>> double(np.array([1.0, 2.5]), out)
    >>> out
    array([2., 5.])
    """
    if config.DISABLE_JIT:
        return function
    function._noalias = noalias  # type: ignore[attr-defined]
    options = {"nopython": True, "nogil": True, "error_model": "numpy", "_nrt": False, "forceinline": inline}
    return cast(Callable[..., Any], KernelDispatcher(cast(FunctionType, function), {"boundscheck": None, **options}))
