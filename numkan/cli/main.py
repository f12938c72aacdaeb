"""The command ``numkan``: from arguments to an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from numkan.cli.errors import INTERRUPTED, OK, USAGE, CommandError, one_line
from numkan.cli.parser import make_parser

__all__ = ["main"]

#: Errors that a command may raise because of its arguments; any other is a fault of numkan, and shows its traceback.
_EXPECTED = (CommandError, ImportError, MemoryError, OSError, TypeError, ValueError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of the process.

    Returns
    -------
    int
        0: all is well; 1: a law fails; 2: the arguments, a file or its data are wrong; 3: the fit was not successful;
        130: interrupted.
    """
    try:
        try:
            options = make_parser().parse_args(arguments)
            code: int = import_module(f"numkan.cli.{options.command}").run(options)
            sys.stdout.flush()
            return code
        except BrokenPipeError:  # the reader of the results has closed the pipe
            _leave_stdout()
            return OK
        except SystemExit as error:  # of the parser, after --help or an error
            return error.code if isinstance(error.code, int) else OK
        except _EXPECTED as error:
            _leave_stdout()
            print(f"numkan: {one_line(error)}", file=sys.stderr)
            return USAGE
        except Exception:  # exit code 1, which Python would give, stands for laws that fail
            traceback.print_exc()
            return USAGE
    except KeyboardInterrupt:
        _leave_stdout()
        print("numkan: interrupted.", file=sys.stderr)
        return INTERRUPTED


def _leave_stdout() -> None:
    """Flush the standard output, and replace it so that the interpreter does not try again at its end."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
