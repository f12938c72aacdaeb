"""The result of a check for each law, and the report of all, as text, as JSON and as Markdown."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections import Counter
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np

from numkan.conformance.law import Law

__all__ = ["Report", "Result", "environment"]

FORMAT = "numkan.conformance report, version 1"
PASS, FAIL, NOT_CLAIMED, KNOWN = "PASS", "FAIL", "NOT CLAIMED", "KNOWN"


@dataclass(frozen=True)
class Result:
    """One law, and what came of it.

    Examples
    --------
    >>> from numkan.conformance import check
    >>> from numkan.spline import B_batch
    >>> class Mine:
    ...     dtype, extrapolation, right_end, degenerate_knots, bits = "float64", "fade", "closed", "limit", "exact"
    ...     def basis(self, x, knots, k):
    ...         return B_batch(x[:, None], knots[None, :], k)[:, 0]
    >>> (result,) = check(Mine(), only=["P-PoU"]).results
    >>> result.outcome, result.law.id, result.cases > 0
    ('PASS', 'P-PoU', True)
    """

    law: Law
    outcome: str  #: PASS, FAIL, NOT CLAIMED or KNOWN
    worst: float | None = None  #: largest error, in units of its bound; None where only exact things were compared
    message: str = ""  #: why it is not PASS
    example: dict[str, Any] | None = None  #: the smallest failing case, as plain numbers
    cases: int = 0  #: how many were tried

    @property
    def line(self) -> str:
        """The result on one line."""
        worst = "" if self.worst is None else f"{self.worst:.2g}"
        said = self.message if self.message else self.law.statement
        return f"{self.outcome:<12}{self.law.id:<9}{worst:>8}  {said}"


@dataclass(frozen=True)
class Report:
    """All results, and what they were found with.

    Examples
    --------
    >>> from numkan.conformance import check
    >>> from numkan.spline import B_batch
    >>> class Mine:
    ...     dtype, extrapolation, right_end, degenerate_knots, bits = "float64", "fade", "closed", "limit", "exact"
    ...     def basis(self, x, knots, k):
    ...         return B_batch(x[:, None], knots[None, :], k)[:, 0]
    >>> report = check(Mine(), only=["P-PoU", "P-POS"])
    >>> report.ok, report.counts["PASS"]
    (True, 2)
    """

    adapter: str  #: its name and version
    results: tuple[Result, ...]  #: one for each law
    environment: dict[str, Any]  #: versions, machine, BLAS, threads, and what cases were tried

    @property
    def counts(self) -> dict[str, int]:
        """The number of laws with each outcome."""
        found = Counter(result.outcome for result in self.results)
        return {outcome: found[outcome] for outcome in (PASS, FAIL, KNOWN, NOT_CLAIMED)}

    @property
    def failed(self) -> tuple[Result, ...]:
        """The results of laws that fail."""
        return tuple(result for result in self.results if result.outcome == FAIL)

    @property
    def ok(self) -> bool:
        """Whether all claimed laws hold, except those that are known to fail."""
        return not self.failed

    @property
    def total(self) -> str:
        """The last line."""
        counts = self.counts
        claimed = counts[PASS] + counts[FAIL] + counts[KNOWN]
        known = f", {counts[KNOWN]} known to fail" if counts[KNOWN] else ""
        held = f"{counts[PASS]} of {claimed} claimed laws hold, {counts[FAIL]} fail{known}"
        return f"{held}; {counts[NOT_CLAIMED]} not claimed"

    def text(self) -> str:
        """Return the report as lines of text."""
        head = [f"{self.adapter}", *(f"    {name}: {value}" for name, value in self.environment.items()), ""]
        lines = [f"{'outcome':<12}{'law':<9}{'error':>8}  (in units of its bound)"]
        for result in self.results:
            lines.append(result.line)
            if result.example is not None:
                lines += [f"{'':12}{name} = {value}" for name, value in result.example.items()]
        return "\n".join([*head, *lines, "", self.total])

    def plain(self) -> dict[str, Any]:
        """Return the report as plain values for JSON; an infinite error is the text "inf"."""
        return {
            "format": FORMAT,
            "adapter": self.adapter,
            "environment": self.environment,
            "total": self.total,
            "counts": self.counts,
            "results": [
                {
                    "id": result.law.id,
                    "outcome": result.outcome,
                    "worst": str(result.worst) if result.worst == float("inf") else result.worst,
                    "message": result.message,
                    "cases": result.cases,
                    "statement": result.law.statement,
                    "tolerance": result.law.tolerance,
                    "reference": result.law.reference,
                    "example": result.example,
                }
                for result in self.results
            ],
        }

    def json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(self.plain(), indent=1, allow_nan=False) + "\n"

    def markdown(self) -> str:
        """Return the report as a table."""
        rows = [f"## {self.adapter}", "", "| law | outcome | error / bound | tolerance | |", "|---|---|---|---|---|"]
        for result in self.results:
            worst = "" if result.worst is None else f"{result.worst:.2g}"
            cells = (result.law.id, result.outcome, worst, result.law.tolerance, result.message or result.law.statement)
            rows.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
        facts = ", ".join(f"{name} {value}" for name, value in self.environment.items())
        return "\n".join([*rows, "", self.total + ".", "", facts + "."]) + "\n"


def environment(**more: Any) -> dict[str, Any]:
    """Return the environment of a run: versions, machine, BLAS, threads; and `more`."""

    def version(name: str) -> str:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return "not installed"

    from numkan import __version__

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[index,call-overload,unused-ignore]
    threads = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if name in os.environ}
    return {
        "numkan": __version__,
        "numpy": np.__version__,
        "python": sys.version.split()[0],
        "blas": f"{blas.get('name')} {blas.get('version')}",
        "cpus": os.cpu_count(),
        "threads": ", ".join(f"{name}={value}" for name, value in threads.items()) or "not limited",
        "machine": f"{platform.system()} {platform.machine()}",
        **more,
    }
