"""Machine code on disk: one self-contained file for each kernel and signature.

Files lie in a folder whose name is a hash of everything that decides the machine code of all kernels at once (numkan's
sources, versions, compiler settings); a file's name is a hash of what is its own (:mod:`numkan.compile.key`, the
processor).
There is no index, hence nothing that processes could write at the same time and nothing that could name the wrong file.
A file begins with a checksum and appears by renaming: it is whole, or it is thrown away and written anew.

The cache may fail at any point, for lack of a folder, of space or of permission. Kernels are then compiled in every
process, and one warning a process says why. Nothing here touches the disk before a kernel is called.

What is private in Numba and used here, and why: ``CompileResult`` with ``_reduce`` and ``_rebuild`` (what of a compiled
function goes into a file, and comes out of it), ``serialize`` (pickles what ``_reduce`` gives), ``sigutils`` (the types
of a signature), ``magic_tuple`` of the code generator (the processor) and ``has_dynamic_globals`` of a library (machine
code with addresses of this process). Numba's own cache uses them in the same way.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import llvmlite
import numba
import numpy as np
from numba import config
from numba.core import serialize, sigutils
from numba.core.compiler import CompileResult

from numkan.compile.cache_folder import private_folder
from numkan.compile.key import overload_key

__all__ = ["KernelCache", "NumkanCacheWarning", "kept_in", "source_hash"]

_MAGIC = b"numkan kernel 1\n"
_DIGEST_SIZE = hashlib.sha256().digest_size

#: Folders of older sources and other settings are kept up to this number, the last used first.
_KEPT_FOLDERS = 16

_PACKAGE = Path(__file__).parents[1]

#: What stands above all kernels: nothing here is compiled, and nothing that is compiled imports it.
_ABOVE_KERNELS = frozenset(
    {
        "__main__.py",
        "cli",
        "conformance",
        "data.py",
        "export",
        "interop",
        "kan.py",
        "pde",
        "plot",
        "search.py",
        "sklearn",
        "symbolic",
        "train",
    }
)


class NumkanCacheWarning(RuntimeWarning):
    """Compiled kernels could not be read from or written to the disk, and are compiled again."""


class KernelCache:
    """The cache of one kernel, in the form that Numba's dispatchers ask for.

    Numba calls :meth:`load_overload` before it compiles and :meth:`save_overload` after, holding its compiler lock, for
    kernels that Python calls. The file of such a kernel holds the machine code of all the kernels that it calls.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        assert isinstance(function, FunctionType)
        self._function = function

    @property
    def cache_path(self) -> str:
        """The folder in use, or an empty string where nothing is cached: part of what a dispatcher's ``stats`` tell."""
        return str(_folder() or "")

    def flush(self) -> None:
        """Forget what is cached: Numba's ``recompile`` asks for this."""
        folder = _folder()
        for path in folder.glob(f"{self._stem}-*.kernel") if folder else ():
            with suppress(OSError):
                path.unlink()

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Return the compiled form for a signature, or None where it must be compiled."""
        target_context.refresh()  # makes all types known that the file may speak of
        arguments, _ = sigutils.normalize_signature(signature)
        path = self._path(arguments, target_context.codegen())
        payload = None if path is None else _read(path)
        if path is None or payload is None:
            return None
        try:
            parts = serialize.loads(payload)
            if tuple(parts[3].args) != tuple(arguments):  # two types of one name, say named tuples of two modules
                return None
            return CompileResult._rebuild(target_context, *parts)
        except Exception as error:  # whole but unreadable: whatever the reason, compiling is the remedy
            _discard(path, f"does not load ({type(error).__name__}: {error})")
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Write the compiled form of a signature; where that fails, warn once and go on."""
        if _holds_addresses(compiled):
            return
        arguments, _ = sigutils.normalize_signature(signature)
        path = self._path(arguments, compiled.codegen)
        if path is None:
            return
        # The annotated source serves `inspect_types` only; spelling it out would take longer than all the rest.
        try:
            payload = serialize.dumps(compiled._replace(type_annotation="")._reduce())
        except RuntimeError:  # no machine code: an exception (no memory, say) hit the callback that LLVM hands it to
            return
        try:
            _write(path, _MAGIC + hashlib.sha256(payload).digest() + payload)
        except OSError as error:
            _warn("access", f"Compiled kernels cannot be written to {path.parent} ({error}): they are compiled anew.")

    def _path(self, arguments: Any, codegen: Any) -> Path | None:
        key = overload_key(self._function, arguments)  # first, since its errors must not depend on the folder
        folder = _folder()
        if folder is None:
            return None
        processor = repr(codegen.magic_tuple())
        return folder / f"{self._stem}-{hashlib.sha256((key + processor).encode()).hexdigest()[:32]}.kernel"

    @property
    def _stem(self) -> str:
        return re.sub(r"\W+", ".", f"{self._function.__module__}.{self._function.__qualname__}")[-80:]


def _holds_addresses(compiled: Any) -> bool:
    """Return whether machine code is of use to this process only, as Numba's own cache says it."""
    return bool(compiled.lifted or compiled.library.has_dynamic_globals)


def kept_in() -> str:
    """Say where compiled kernels are kept, if they are."""
    folder = _folder()
    return f"once: later runs load them from {folder.parent}" if folder else "in every run: they cannot be kept on disk"


# --- files --------------------------------------------------------------------------------------------------------


def _read(path: Path) -> bytes | None:
    """Return the payload of a file whose checksum is right. A damaged file is removed, with a warning."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            is_regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            data = file.read() if is_regular else b""
    except FileNotFoundError:
        return None
    except OSError as error:
        _warn("access", f"Compiled kernels cannot be read from {path.parent} ({error}): they are compiled anew.")
        return None
    start = len(_MAGIC) + _DIGEST_SIZE
    if data[:start] != _MAGIC + hashlib.sha256(data[start:]).digest():
        _discard(path, "is damaged")
        return None
    _mark_used(path.parent)
    return data[start:]


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting, as one would for the writer of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _write(path: Path, data: bytes) -> None:
    """Write a file so that other processes see all of it or nothing."""
    folder = path.parent
    if not folder.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        _prune(folder.parent)
    handle, temporary = tempfile.mkstemp(suffix=".tmp", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _discard(path: Path, fault: str) -> None:
    with suppress(OSError):
        path.unlink()
    _warn("damaged", f"The compiled kernel {path} {fault}: it is compiled anew.")


_warned: set[str] = set()


def _warn(kind: str, message: str) -> None:
    """Warn once a process about each kind of trouble."""
    if kind not in _warned:
        _warned.add(kind)
        warnings.warn(message, NumkanCacheWarning, stacklevel=2)


# --- folders ------------------------------------------------------------------------------------------------------


@cache
def _folder() -> Path | None:
    """Return the folder for kernels compiled as in this process, or None, with a warning. It may not exist yet."""
    parent, reasons = private_folder()
    if parent is None:
        advice = "set NUMBA_CACHE_DIR to a folder of your own"
        _warn("folder", f"Compiled kernels are not kept on disk: {'; '.join(reasons)} ({advice}).")
        return None
    return parent / _settings_key()[:24]


def _settings_key() -> str:
    """Return a hash of all that decides the machine code of every kernel, but for the processor.

    The version of numkan is one of its sources. Numba's settings are taken as they are at the first call.
    """
    settings = [
        source_hash(_PACKAGE),
        numba.__version__,
        llvmlite.__version__,
        np.__version__,
        sys.implementation.cache_tag,
        os.environ.get("NUMKAN_VECTOR_WIDTH", ""),
        config.BOUNDSCHECK,
        config.OPT,
        config.DEBUGINFO_DEFAULT,
        config.LOOP_VECTORIZE,
        config.SLP_VECTORIZE,
        config.USING_SVML,
    ]
    return hashlib.sha256("\n".join(map(str, settings)).encode()).hexdigest()


def source_hash(package: Path) -> str:
    """Return a hash over the sources of a package that kernels may come from: it sees a change in any callee."""
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0] in _ABOVE_KERNELS:
            continue
        with suppress(FileNotFoundError):  # an editor's temporary file, gone again
            source = path.read_bytes()
            total.update(f"{path.relative_to(package).as_posix()} {len(source)}\n".encode())
            total.update(source)
    return total.hexdigest()


@cache
def _mark_used(folder: Path) -> None:
    with suppress(OSError):
        os.utime(folder)


def _prune(parent: Path) -> None:
    """Remove the folders that were not used for longest. A process that is using one compiles what it misses."""

    def last_used(folder: Path) -> float:
        try:
            return folder.stat().st_mtime
        except OSError:
            return 0.0

    with suppress(OSError):
        for folder in sorted(parent.iterdir(), key=last_used, reverse=True)[_KEPT_FOLDERS:]:
            shutil.rmtree(folder, ignore_errors=True)
