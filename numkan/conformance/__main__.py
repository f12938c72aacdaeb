"""The command line: ``python -m numkan.conformance package.module:adapter``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numkan._conformance_options import add_options
from numkan.conformance.child import imported as imported
from numkan.conformance.laws import LAWS
from numkan.conformance.report import Report
from numkan.conformance.runner import check, replay
from numkan.conformance.scope import AdapterError

__all__ = ["imported", "main", "read_known", "run"]


def read_known(path: str) -> dict[str, str]:
    """Return the laws that a file lists as known to fail: lines of "id: reason"; empty lines and # are passed over."""
    known = {}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        raise ValueError(f"Argument `--known` must name a file of laws and reasons, not {path!r}.") from None
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            id, colon, reason = line.partition(":")
            if not colon or not reason.strip() or id.strip() not in LAWS:
                raise ValueError(f"Line {number} of {path} must be the id of a law and a reason, not {line!r}.")
            known[id.strip()] = reason.strip()
    return known


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m numkan.conformance", description=__doc__)
    add_options(parser)
    return parser.parse_args(arguments)


def _check_writable(option: str, name: str | None) -> None:
    """Raise an error, before the run begins, if its report cannot be written."""
    if name is None:
        return
    path = Path(name)
    held = path.parent.is_dir() and not path.is_dir()
    if not held or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise AdapterError(f"Argument `{option}` must name a file that can be written, not {name!r}.")


def _read_report(name: str) -> Any:
    try:
        return json.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise AdapterError(f"Argument `--replay` must name a report that --json wrote, not {name!r}.") from None


def _report(options: argparse.Namespace) -> Report:
    if not options.adapter:
        raise AdapterError("Argument `adapter` must be given: package.module:name of an object or a class.")
    _check_writable("--json", options.json)
    _check_writable("--markdown", options.markdown)
    if options.json and options.markdown and Path(options.json).resolve() == Path(options.markdown).resolve():
        raise AdapterError(f"Argument `--markdown` must name another file than `--json`, not {options.markdown!r}.")
    if options.replay:
        return replay(options.adapter, _read_report(options.replay), options.timeout)
    known = read_known(options.known) if options.known else {}
    some = {"only": options.only, "soak": options.soak, "seed": options.seed, "timeout": options.timeout}
    return check(options.adapter, **some, known=known)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a check, and return 0 where all claimed laws hold, 1 where some fail, 2 where they could not be tried."""
    return run(_arguments(arguments))


def run(options: argparse.Namespace) -> int:
    """Do what parsed arguments ask for, and return the exit code of `main`."""
    if options.list:
        for law in LAWS.values():
            print(f"{law.id:<9}{law.statement}\n{'':9}within: {law.tolerance}\n{'':9}source: {law.reference}")
        return 0
    try:
        report = _report(options)
        print(report.text())
        for path, text in ((options.json, report.json), (options.markdown, report.markdown)):
            if path:
                Path(path).write_text(text(), encoding="utf-8")
    except (AdapterError, ValueError, OSError) as error:
        print(f"numkan.conformance: {error}", file=sys.stderr)
        return 2
    except Exception:  # exit code 1 is only for laws that fail
        traceback.print_exc()
        return 2
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
