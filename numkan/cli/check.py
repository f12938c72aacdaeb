"""``numkan check``: the conformance kit's command."""

from __future__ import annotations

import argparse
import os
import sys

from numkan.conformance.__main__ import run as run_kit

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Check an adapter, which may lie in the working folder, as for ``python -m numkan.conformance``."""
    here = os.getcwd()
    if not {"", here} & set(sys.path):
        sys.path.insert(0, here)
    return run_kit(options)
