"""``numkan info``: versions and settings."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import threadpoolctl

import numkan
from numkan.cli.errors import OK
from numkan.cli.output import print_json
from numkan.compile import jit_is_off
from numkan.compile.cache_folder import private_folder
from numkan.simd.vectors import vector_width

__all__ = ["run"]

_PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "pyarrow", "tqdm")


def run(options: argparse.Namespace) -> int:
    """Print them."""
    facts = _facts()
    if options.json:
        print_json(facts)
        return OK
    for name, value in facts.items():
        if name == "blas":
            value = "; ".join(f"{blas['library']} {blas['version']}, {blas['threads']} threads" for blas in value)
        print(f"{name}: {'none' if value in (None, '') else value}")
    return OK


def _facts() -> dict[str, Any]:
    folder, _ = private_folder()
    return {
        "numkan": numkan.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: _version(name) for name in _PACKAGES},
        "blas": _blas(),
        "threads": numkan.get_threads(),
        "vector_width": vector_width(),
        "jit": not jit_is_off(),
        "cache": None if folder is None else str(folder),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _blas() -> list[dict[str, Any]]:
    import scipy.linalg  # noqa: F401  # loads SciPy's own BLAS

    return [
        {"library": lib["internal_api"], "version": lib["version"], "threads": lib["num_threads"]}
        for lib in threadpoolctl.threadpool_info()
        if lib["user_api"] == "blas"
    ]
