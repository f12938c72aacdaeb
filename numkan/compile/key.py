"""A name for a compiled function that is the same in every process: a hash of all that its machine code depends on.

Numba takes what a function's closure and globals hold for constants, so they belong to the name. ``id``, ``repr`` with
an address and pickles of functions differ from process to process and are of no use here: each kind of value that a
kernel may hold is spelled out in its own way, and other kinds are refused rather than guessed at.

What is *not* seen: attributes of modules and classes that a kernel names (``np.pi``, ``base.SILU``), and what a plain
function or an intrinsic refers to globally. For numkan itself the hash of its sources covers these
(:mod:`numkan.compile.cache`), as long as they do not depend on the environment.

What is private in Numba and used here, and why: ``_Intrinsic`` (tells an intrinsic from a function) and ``_compiler``
of a dispatcher (tells kernels of numkan from functions that another decorator compiled).
"""

from __future__ import annotations

import dis
import hashlib
from collections.abc import Iterable
from enum import Enum
from functools import cache
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numba import types
from numba.core.dispatcher import Dispatcher
from numba.extending import _Intrinsic

__all__ = ["function_key", "overload_key"]

#: Functions of these packages are known by name; their versions are part of the cache folder's name.
_KNOWN_PACKAGES = frozenset({"builtins", "cmath", "llvmlite", "math", "numba", "numpy", "operator"})


def overload_key(function: FunctionType, argument_types: Iterable[types.Type]) -> str:
    """Return the hexadecimal key of a function compiled for some argument types.

    Raises
    ------
    TypeError
        If the function holds, or is called with, something that cannot be told from process to process.
    """
    spelled = [str(argument) for argument in argument_types]
    for text in spelled:
        if " at 0x" in text:
            raise TypeError(
                f"Kernel {function.__qualname__} cannot take an argument of type {text}: "
                "functions are passed to kernels by closure, so that they can be cached."
            )
    return _digest([function_key(function), *spelled])


def function_key(function: FunctionType) -> str:
    """Return the hexadecimal key of a kernel's Python function: its code and all that it holds, recursively."""
    return _digest([_spell_function(function, {}, with_globals=True)])


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _spell(value: Any, seen: dict[int, int]) -> str:
    """Spell out a value that a function holds. `seen` numbers the functions on the way, so that recursion ends."""
    kind = type(value)
    if value is None or kind in (bool, int, str, bytes):
        return f"{kind.__name__}:{value!r}"
    if kind is float:
        return f"float:{value.hex()}"
    if kind is complex:
        return f"complex:{value.real.hex()},{value.imag.hex()}"
    if isinstance(value, Enum):
        return f"enum:{_name(kind)}.{value.name}"
    if isinstance(value, tuple):
        return f"{_name(kind)}({', '.join(_spell(item, seen) for item in value)})"
    if isinstance(value, set | frozenset):
        return f"set({', '.join(sorted(_spell(item, seen) for item in value))})"
    if isinstance(value, np.dtype | np.generic | np.ndarray):
        return _spell_numpy(value)
    if isinstance(value, types.Type):
        return f"type:{_name(kind)}:{value}"
    return _spell_callable(value, seen)


def _spell_numpy(value: Any) -> str:
    if isinstance(value, np.dtype):
        return f"dtype:{value!r}"
    if not value.dtype.hasobject:
        order = "F" if value.flags.f_contiguous else "C"
        content = hashlib.sha256(value.tobytes(order)).hexdigest()
        return f"{_name(type(value))}:{value.dtype!r}:{value.shape}:{order}:{content}"
    raise TypeError(f"A kernel cannot hold an array of dtype {value.dtype}.")


def _spell_callable(value: Any, seen: dict[int, int]) -> str:
    if isinstance(value, Dispatcher):
        _check_named(value)
        options = tuple(sorted(value.targetoptions.items()))
        return f"kernel:{_spell(options, seen)}:{_spell_function(value.py_func, seen, with_globals=True)}"
    if isinstance(value, _Intrinsic):
        return f"intrinsic:{_spell_function(value.__wrapped__, seen, with_globals=False)}"
    if isinstance(value, ModuleType):
        return f"module:{value.__name__}"
    module = str(getattr(value, "__module__", None))
    known = module.partition(".")[0] in _KNOWN_PACKAGES and hasattr(value, "__name__")
    if known or isinstance(value, np.ufunc | BuiltinFunctionType):
        return f"known:{module}.{value.__name__}"
    if isinstance(value, FunctionType):
        return f"function:{_spell_function(value, seen, with_globals=False)}"
    if isinstance(value, type) and "<locals>" not in value.__qualname__:
        return f"class:{_name(value)}"
    raise TypeError(
        f"A kernel cannot hold {value!r} in its closure or globals: it has no name that is the same in every process."
    )


def _spell_function(function: FunctionType, seen: dict[int, int], *, with_globals: bool) -> str:
    """Spell out a function once; where it comes up again (recursion, a diamond of calls) its number will do."""
    if id(function) in seen:
        return f"again:{seen[id(function)]}"
    seen[id(function)] = len(seen)
    held = [_spell(default, seen) for default in function.__defaults__ or ()]
    held.append(f"noalias={getattr(function, '_noalias', False)}")
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            held.append(f"{name}={_spell(cell.cell_contents, seen)}")
        except ValueError:  # assigned after the function was made, and not yet
            held.append(f"{name} is empty")
    if with_globals:
        for name in _global_names(function.__code__):
            if name in function.__globals__:  # the others are builtins
                held.append(f"{name}={_spell(function.__globals__[name], seen)}")
    return f"{_name(function)}:{_code_digest(function.__code__)}:[{'; '.join(held)}]"


def _name(named: Any) -> str:
    return f"{named.__module__}.{named.__qualname__}"


@cache
def _global_names(code: CodeType) -> tuple[str, ...]:
    """Return the global names that a function reads, those of the functions inside it included, sorted."""
    names = {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names.update(_global_names(constant))
    return tuple(sorted(names))


@cache
def _code_digest(code: CodeType) -> str:
    """Hash the bytecode, its constants and its names; not file and line, so that a moved function stays itself."""
    facts = (code.co_argcount, code.co_flags, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return _digest([code.co_code.hex(), repr(facts), *map(_spell_constant, code.co_consts)])


def _spell_constant(constant: Any) -> str:
    if isinstance(constant, CodeType):
        return _code_digest(constant)
    if isinstance(constant, frozenset):
        return _digest(sorted(map(repr, constant)))
    return repr(constant)


def _check_named(dispatcher: Any) -> None:
    """Refuse closures that another decorator compiled: nothing tells their machine code apart in a cached caller."""
    if dispatcher.py_func.__closure__ and not getattr(dispatcher._compiler.pipeline_class, "named_by_key", False):
        raise TypeError(f"A kernel cannot hold {dispatcher!r}: a compiled closure must be a kernel itself.")
