"""Options of the conformance kit's command, for ``python -m numkan.conformance`` and ``numkan check`` alike."""

from __future__ import annotations

import argparse

__all__ = ["add_options"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the kit's arguments to a parser."""
    parser.add_argument("adapter", nargs="?", help="package.module:name of an object or a class")
    parser.add_argument("--only", action="append", default=[], metavar="ID", help="a law or a pattern; may be repeated")
    parser.add_argument("--soak", type=_seconds, default=0.0, metavar="SECONDS", help="continue with new cases")
    parser.add_argument("--seed", type=int, default=0, help="seed of the cases (0)")
    parser.add_argument("--timeout", type=_seconds, default=60.0, metavar="SECONDS", help="for one call (60)")
    parser.add_argument("--known", metavar="FILE", help='lines of "id: reason" for laws that are known to fail')
    parser.add_argument("--json", metavar="FILE", help="write the report, with failing examples, as JSON")
    parser.add_argument("--markdown", metavar="FILE", help="write the report as Markdown")
    parser.add_argument("--replay", metavar="FILE", help="run the failing examples of such a JSON file again")
    parser.add_argument("--list", action="store_true", help="print all laws, and check nothing")


def _seconds(text: str) -> float:
    """Return a number of seconds that is positive."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number of seconds, not {text}")
    return seconds
