"""Arguments of the commands, and the help that teaches them. Nothing here needs NumPy or Numba."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from numkan._conformance_options import add_options
from numkan.cli.errors import USAGE

__all__ = ["make_parser"]

_DESCRIPTION = """\
Fit Kolmogorov-Arnold networks to tables, and predict with them.

  numkan fit data.csv --target y --out m.npz      fit a model and keep it
  numkan predict m.npz new.csv > predicted.csv    predict, one line for each row
  numkan show m.npz                               print a model's layers, and its columns
  numkan explore m.npz data.csv page.html         write a page to explore a model with, for any browser
  numkan check mine.adapter:adapter               hold another KAN to the laws that numkan is tested with
  numkan info                                     versions, BLAS, threads, vectors, cache
"""

_EXIT_CODES = """\
Results go to the standard output, and nothing else does; an error is one line on the standard error. Exit codes: 0 all
is well; 1 a law fails (check); 2 the arguments, a file or its data are wrong; 3 the fit was not successful;
130 interrupted by Ctrl-C. "numkan COMMAND --help" says more.
"""

_DATA = """\
Data:
  CSV      The first line names the columns. Text in UTF-8; separated by commas, semicolons or tabs, whichever the first
           line has most of. Empty cells, NA, N/A, NaN, null and None are gaps. "-" is the standard input (predict).
  .npy     A matrix of numbers; its columns are named 0, 1, 2, ... (-1 is the last one). NaN is a gap.
  .parquet Needs pyarrow: python -m pip install pyarrow
"""

_FIT = """\
Fit a model to a table: all columns but the targets are inputs.

Columns of numbers are standardised. A column with text in it is a category: each of its texts becomes an input that is
0 or 1, and texts that the fit has not seen count as gaps. Where the data have gaps in a column, one more input tells
where, and what a gap means is learned; elsewhere a gap becomes the mean of each of the column's inputs. Rows without a
target are left out. All of this is kept in the model file, so that predict takes a table of the same columns.

A target that is text or true/false is one of several classes; a target of integers is a number unless --classify says
that it is a class. Classes are fitted by cross-entropy, numbers by least squares.
"""

_FIT_EXAMPLES = f"""\
{_DATA}
Examples:
  numkan fit data.csv --target y --out m.npz
  numkan fit iris.csv --target species --out iris.npz --plot iris.pdf
  numkan fit data.csv --target y --out m.npz --posterior
  numkan fit data.npy --target -1 --width 3 2 1 --json
  numkan fit law.csv --target force --formula

--json prints one object: data, rows, skipped (rows without a target), columns (the tables' inputs), inputs and outputs
(of the network), classes (a list or null), width, grid, k, parameters, loss, loss_name, score (R2, or the accuracy for
classes) and rmse (null for classes), all three of the data that were fitted; validation_loss (of rows held out, or
null), noise (deviation, or null), success, status, message, seconds, out, plot (file names or null), formulas (null
without --formula; else an object for each output: output, formula, status, held_out, its RMSE on rows held out,
constants, objects with value, exact, a text or null, and error, and stopped, a sentence or null).
Numbers that are not finite are null.
"""

_PREDICT = """\
Predict each row of a table. The result is CSV on the standard output: a line of names, then one line for each row, in
order, with one column for each target; or, for classes, with the probability of each class. Columns are found by their
names, and those that the model does not take are passed over. Tables of any length are read in blocks.

A model that was saved in Python, without names, takes all columns, in order, as numbers.
"""

_SHOW = """\
Print the layers of a saved model, and the columns that it was fitted to.

--json prints one object: file, width, k, grid, dtype, extrapolate, parameters, layers (objects with n_in, n_out, grid,
k, base_fun, extrapolate, and edges: how many are not masked), columns (objects with name, kind "number" or "category",
gaps (whether the data had some), and mean and scale, or levels and shares), targets, classes, inputs, outputs; the last
five are null for a model saved in Python without names.
"""

_EXPLORE = """\
Write a page to explore a saved model with: one HTML file that needs no server and no network. It shows the network, the
curve of each edge, how the samples of the table go through it, and sliders for the inputs with the prediction, and its
interval if the model has a posterior (fit --posterior). Columns are found by their names; rows without a target are
left out.

A model that was saved in Python, without names, takes all columns as numbers: first its inputs, then its outputs.
"""

_CHECK = """\
Hold an implementation of B-splines or KANs to the laws that numkan is tested with: exact values, derivatives, knot
insertion, grid updates, gradients, files. An adapter is an object with a method basis(x, knots, k) and whatever else
the implementation has: help(numkan.conformance.adapter) says what each method gets and returns. It is imported in a
process of its own, which may crash or hang.

  numkan check mine.adapter:adapter                    all laws; exit code 1 where one that is claimed fails
  numkan check mine.adapter:adapter --only P-PoU       one of them
  numkan check --list                                  the statements of all laws
"""

_INFO = """\
Print versions and settings, for a bug report say.

--json prints one object: numkan, python, platform, numpy, scipy, numba, llvmlite, pyarrow, tqdm (versions, null where
not installed), blas (objects with library, version, threads), threads, vector_width (bits), jit (whether kernels are
compiled), cache (folder of compiled kernels, or null).
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {' '.join(message.split())} ({self.prog} --help says more.)", file=sys.stderr)
        raise SystemExit(USAGE)


class _Version(argparse.Action):
    """Print the version."""

    def __call__(self, parser: argparse.ArgumentParser, *arguments: object) -> NoReturn:
        from numkan import __version__

        print(f"numkan {__version__}")
        parser.exit()


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    style = argparse.RawDescriptionHelpFormatter
    parser = _Parser(prog="numkan", description=_DESCRIPTION, epilog=_EXIT_CODES, formatter_class=style)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, summary: str, description: str, epilog: str = "") -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=summary, description=description, epilog=epilog, formatter_class=style, allow_abbrev=False
        )
        assert isinstance(made, argparse.ArgumentParser)
        return made

    _add_fit(add("fit", "fit a model to a table", _FIT, _FIT_EXAMPLES))
    predict = add("predict", "predict each row of a table", _PREDICT, _DATA)
    predict.add_argument("model", help="file that fit --out, or KAN.save, wrote")
    predict.add_argument("data", help="table: .csv, .npy or .parquet, or - for CSV from the standard input")
    show = add("show", "print a saved model", _SHOW)
    show.add_argument("model", help="file that fit --out, or KAN.save, wrote")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    explore = add("explore", "write a page to explore a model with", _EXPLORE, _DATA)
    explore.add_argument("model", help="file that fit --out, or KAN.save, wrote")
    explore.add_argument("data", help="table with the targets: .csv, .npy or .parquet")
    explore.add_argument("page", help="the file to write (.html)")
    add_options(add("check", "hold another KAN to numkan's laws", _CHECK))
    info = add("info", "print versions and settings", _INFO)
    info.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _add_fit(fit: argparse.ArgumentParser) -> None:
    fit.add_argument("data", help="table: .csv, .npy or .parquet")
    fit.add_argument("--target", required=True, action="append", metavar="COLUMN", help="repeat it for several outputs")
    fit.add_argument("--out", metavar="FILE", help="keep the model in this file (.npz); without it, it is only judged")
    fit.add_argument("--classify", action="store_true", help="integers of the target are classes")
    fit.add_argument("--ignore", action="append", default=[], metavar="COLUMN", help="no input; may be repeated")
    fit.add_argument("--category", action="append", default=[], metavar="COLUMN", help="numbers there are names")
    fit.add_argument(
        "--width", nargs="+", type=_positive, metavar="N", help="nodes: inputs, hidden layers, outputs (5 hidden nodes)"
    )
    fit.add_argument("--k", type=int, default=3, metavar="N", help="degree of the splines (3)")
    fit.add_argument("--seed", type=int, default=0, metavar="N", help="of all random numbers (0)")
    fit.add_argument("--time-limit", type=float, metavar="SECONDS", help="stop the fit after so long")
    fit.add_argument("--posterior", action="store_true", help="keep how sure the fit is, for the intervals of explore")
    fit.add_argument("--plot", metavar="FILE", help="draw the network (.pdf, .png, .svg)")
    fit.add_argument("--formula", action="store_true", help="find a formula for each target (needs sympy)")
    fit.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    fit.add_argument("--progress", action=argparse.BooleanOptionalAction, help="a bar (where stderr is a terminal)")


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be positive integers, not {text!r}")
    return int(text)
