"""What the last bits of a fit depend on beside its arguments: the processor, versions, and settings of compilers."""

from __future__ import annotations

import os
import socket
from functools import cache
from importlib.metadata import version
from typing import NamedTuple

from numkan._blas import blas_builds

__all__ = ["Build", "differences", "this_build"]

_PACKAGES = ("numkan", "numpy", "scipy", "numba", "llvmlite")
_SETTINGS = ("NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK", "NUMBA_OPT", "NUMKAN_VECTOR_WIDTH")


class Build(NamedTuple):
    """Where a fit runs."""

    host: str
    parts: tuple[tuple[str, str], ...]  # name and value


@cache
def this_build() -> Build:
    """Return the build of this process."""
    import llvmlite.binding as llvm

    parts = [("processor", llvm.get_host_cpu_name())]
    parts += [(name, version(name)) for name in _PACKAGES]
    parts += [("BLAS", ", ".join(blas_builds()))]
    parts += [(name, os.environ.get(name, "")) for name in _SETTINGS]
    return Build(socket.gethostname(), tuple(parts))


def differences(there: Build, here: Build) -> list[str]:
    """Return the parts that differ, each as "name there, not here"."""
    return [
        f"{name} {theirs or 'unset'}, not {ours or 'unset'}"
        for (name, theirs), (_, ours) in zip(there.parts, here.parts, strict=True)
        if theirs != ours
    ]
