"""The command line, ``numkan`` or ``python -m numkan``: fit, predict, show, check, info.

``main`` parses arguments and turns what happens into exit codes; a module of each command's name does its work, and
imports what that takes. So ``--help`` imports neither NumPy nor Numba.
"""

from numkan.cli.main import main as main

__all__ = ["main"]
