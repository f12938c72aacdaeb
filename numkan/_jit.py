"""The one decorator for compiled functions."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FunctionType
from typing import Any, cast

from llvmlite.binding import Linkage
from numba import config
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher

from numkan._cache import KernelCache, kept_in
from numkan._interrupt import uninterrupted
from numkan._key import overload_key

__all__ = ["kernel", "notice"]


class _Notice:
    """One line on stderr, once a process, where it has compiled for some seconds in all and may seem to hang.

    Whoever compiles holds Numba's compiler lock, so this needs none.
    """

    patience = 3.0  # seconds

    def __init__(self) -> None:
        self._seconds, self._depth, self._began = 0.0, 0, 0.0
        self.is_due = True

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Count the time that is spent inside; kernels compile those that they call, within their own time."""
        if self._depth == 0:
            self._began = time.perf_counter()
        self._depth += 1
        try:
            self._look()
            yield
            self._look()
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._seconds += time.perf_counter() - self._began

    def _look(self) -> None:
        if self.is_due and self._seconds + time.perf_counter() - self._began >= self.patience:
            self.is_due = False
            if sys.stderr is not None:  # as under pythonw
                with suppress(OSError, ValueError):  # a pipe that is broken, a file that is closed
                    print(f"numkan compiles kernels for this machine ({kept_in()}).", file=sys.stderr, flush=True)


notice = _Notice()


class _CalleeLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code of a kernel that another kernel calls: it is linked into the caller's, and optimized there, once.

    Numba optimizes a function and generates its machine code before a caller copies it, and the caller optimizes the
    copy again: through five levels of calls that was two thirds of the time of a compilation.
    """

    def finalize(self) -> None:
        """Link what the kernel calls itself; optimize nothing, generate nothing."""
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = Linkage.linkonce_odr  # callers may copy it by several ways
        self._shared_module = self._final_module
        self._finalized = True


class _CalleeCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler, up to LLVM's unoptimized code, which is named after what it does.

    Numba tells functions of one name apart by a counter, which starts at 1 in every process. Here the counter's place
    is taken by the key of the function (code, closure, argument types): one function has one name in every process.
    """

    named_by_key = True
    library = _CalleeLibrary

    def compile_extra(self, function: Any) -> Any:
        """Compile, and say so where all compiling of this process has taken long."""
        with notice.compiling():
            return super().compile_extra(function)

    def define_pipelines(self) -> Any:
        """Name the function, and say where its code goes: this is the first hook that knows the argument types."""
        identity = self.state.func_id
        identity.unique_id = int(overload_key(identity.func, self.state.args)[:15], 16)
        identity.unique_name = f"{identity.func_qualname}${identity.unique_id}"
        self.state.library = self.library(self.state.targetctx.codegen(), identity.func_qualname)
        self.state.library.enable_object_caching()
        self.state.flags.no_compile = self.library is _CalleeLibrary
        return super().define_pipelines()


class _KernelLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Machine code of a kernel with its own copies of the kernels that it calls.

    The copies become private: the linker takes the first symbol of a name that the process has, which may be that of
    another kernel's copy, compiled for other registers.
    """

    def _finalize_final_module(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal
        super()._finalize_final_module()


class _KernelCompiler(_CalleeCompiler):
    """The same for a kernel that Python calls: optimized, with machine code and a wrapper."""

    library = _KernelLibrary


class _Dispatcher(CPUDispatcher):  # type: ignore[misc]
    """Numba's dispatcher, but no signal ends compiling in its middle.

    LLVM calls back into Python to hand over machine code; what is raised there is lost, and the machine code too.
    """

    def compile(self, sig: Any) -> Any:
        """Compile for a signature; handlers of signals run afterwards."""
        with uninterrupted():
            return super().compile(sig)


class _Callee(_Dispatcher):
    """The forms of a kernel that other kernels call."""

    def add_overload(self, cres: Any) -> None:
        """Make the form known to callers; there is none that Python could call."""
        cres = cres._replace(entry_point=object())
        self.targetctx.insert_user_function(cres.entry_point, cres.fndesc, [cres.library])
        self.overloads[tuple(cres.signature.args)] = cres


class _Kernel(_Dispatcher):
    """The forms of a kernel that Python calls, and those that other kernels call."""

    def __init__(self, function: FunctionType, options: dict[str, Any]) -> None:
        super().__init__(function, targetoptions=options, pipeline_class=_KernelCompiler)
        unwrapped = {**options, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
        self._callee = _Callee(function, targetoptions=unwrapped, pipeline_class=_CalleeCompiler)
        self._cache = KernelCache(function)

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Return how another kernel calls this one."""
        return self._callee.get_call_template(args, kws)

    def get_overload(self, sig: Any) -> Any:
        """Return what another kernel calls."""
        return self._callee.get_overload(sig)

    #: Recursion is not supported: Numba refuses it where this is False.
    is_compiling = False


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
        Numba's dispatcher; with ``NUMBA_DISABLE_JIT=1`` the function itself. The last bits of a result may differ
        between the two, and between kernels with and without ``NUMBA_BOUNDSCHECK=1``: sums are contracted differently.

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
    if config.DISABLE_JIT:
        return function
    options = {"nogil": True, "error_model": "numpy", "_nrt": False, "forceinline": inline}
    return cast(
        Callable[..., Any], _Kernel(cast(FunctionType, function), {"nopython": True, "boundscheck": None} | options)
    )
