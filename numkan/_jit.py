"""The one decorator for compiled functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite.binding import Linkage
from numba import njit
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

from numkan._cache import KernelCache
from numkan._key import overload_key

__all__ = ["kernel"]


class _KernelLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Machine code of a kernel that calls its own copies of other kernels.

    Numba gives the copies the names of the originals, and the linker takes the first of a name that the process has.
    Where a kernel was compiled, that is the callee compiled on its own, for other registers: the gradient of a wide
    layer took up to a third longer there, where a thread's stack lay badly, than where it was loaded from the disk.
    """

    def _finalize_final_module(self) -> None:
        self._shared_module = self._final_module.clone()  # what callers copy: names that may be defined many times
        for function in self._shared_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = Linkage.linkonce_odr
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal
        super()._finalize_final_module()


class _KernelCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler, but machine code is named after what it does, and calls no other kernel's.

    Numba tells functions of one name apart by a counter, which starts at 1 in every process. Two kernels from one
    factory, cached by two processes and loaded by a third, would then call helpers of the same symbol, and the linker
    would silently give both kernels the helpers of one. Here the counter's place is taken by the key of the function
    (code, closure, argument types).
    """

    named_by_key = True

    def define_pipelines(self) -> Any:
        """Name the function, and say where its code goes: this is the first hook that knows the argument types."""
        identity = self.state.func_id
        identity.unique_id = int(overload_key(identity.func, self.state.args)[:15], 16)
        identity.unique_name = f"{identity.func_qualname}${identity.unique_id}"
        self.state.library = _KernelLibrary(self.state.targetctx.codegen(), identity.func_qualname)
        self.state.library.enable_object_caching()
        return super().define_pipelines()


def kernel(function: Callable[..., Any], *, inline: bool = False) -> Callable[..., Any]:
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
    * not ``cache=True`` but :class:`numkan._cache.KernelCache`: Numba's own cache raises at import where it finds no
      folder, fails on a truncated file, does not see a change in a called function of another file, can mix up two
      signatures that two processes write at once, and never finds kernels again that hold other kernels in a closure.

    A kernel may be made by a factory: what its closure and its globals hold is part of its key
    (:func:`numkan._key.function_key`), as the constants that they are in the machine code. Numbers, strings, tuples,
    dtypes, arrays, other kernels and Numba intrinsics can be held; anything else is a `TypeError` at the first call.

    Parameters
    ----------
    function : callable
        Loops over arrays, in the part of Python that Numba compiles; nothing allocated, nothing raised.
    inline : bool
        Whether the code goes into that of kernels that call it. To pass `Work`, 17 arrays of seven numbers each, costs
        as much as 50 samples; but where all goes into one function, loops find too few registers.

    Returns
    -------
    callable
        Numba's dispatcher; with ``NUMBA_DISABLE_JIT=1`` the function itself.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan._jit import kernel
    >>> @kernel
    ... def double(x, out):
    ...     for i in range(x.size):
    ...         out[i] = x[i] + x[i]
    >>> out = np.empty(2)
    >>> double(np.array([1.0, 2.5]), out)
    >>> out
    array([2., 5.])
    """
    compiled: Any = njit(
        nogil=True, error_model="numpy", _nrt=False, forceinline=inline, pipeline_class=_KernelCompiler
    )(function)
    if compiled is not function:
        compiled._cache = KernelCache(function)
    return cast(Callable[..., Any], compiled)
