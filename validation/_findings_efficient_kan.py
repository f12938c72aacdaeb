"""What the kit finds in efficient-kan's formulas."""

from __future__ import annotations

from typing import Any

from _finding import AUTODIFF, DERIVATIVES, STALE_PIVOTS, Finding, coincident, is_nan

EFFICIENT_CASE: dict[str, Any] = {
    "dtype": "float64",
    "x": [[n / 10 - 0.95, (7 * n % 20) / 10 - 0.95] for n in range(20)],
    "grid": [[0.5 * i - 2.5 for i in range(11)]] * 2,
    "coef": [[[(5 * p + 3 * o + i) % 7 / 4 - 0.75 for p in range(7)] for o in range(2)] for i in range(2)],
    "k": 3,
    "G": 4,
    "grid_eps": 0.5,
    "extrapolate": "fade",
    "flavour": "efficient-kan",
}

EFFICIENT_KAN = (
    Finding(
        "A grid update multiplies the splines by their scale once more",
        ("G-PRES", "G-CONST", "G-IDEM"),
        "`update_grid` fits the scaled splines and stores them in `spline_weight`, which the forward pass scales "
        "again. With the default setting every update changes the function: where `spline_scaler` is 0.5, splines are "
        "halved. (The original at commit 7b6ce1c has the same forward pass and the same new knots bit for bit, and the "
        "same change of the function.)",
        """
import torch; from _efficient_kan_formulas import KANLinear
layer = KANLinear(1, 1); layer.base_weight.data.zero_(); layer.spline_scaler.data.fill_(0.5)
x = torch.linspace(-1, 1, 200)[:, None]; before = layer(x); layer.update_grid(x)
print((layer(x).abs().max() / before.abs().max()).item())
""",
        lambda n: n[-1] < 0.7,
        marks=lambda entry: "lstsq" not in entry["message"] and not coincident(entry),
        case=("G-PRES", EFFICIENT_CASE),
    ),
    Finding(
        "Coincident knots end in an error of LAPACK's",
        (
            *("G-MONO", "G-COV", "G-BLEND", "G-PAD", "G-QNT", "G-PERM", "G-IDEM", "G-AFF", "G-TIES", "G-CONST"),
            *("G-PRES", "G-KEEP", "G-UDTYPE"),
        ),
        "With grid_eps = 0, tied samples (or fewer samples than knots) give coincident knots, all functions become "
        "NaN, and the fit stops with an internal error of torch's that speaks of an illegal argument, after the grid "
        "has been replaced. With the default grid_eps = 0.02 knots stay apart.",
        """
import torch; from _efficient_kan_formulas import KANLinear
layer = KANLinear(1, 1, grid_eps=0.0)
try: layer.update_grid(torch.tensor([[0.0], [0], [0], [0], [1], [1], [1]]))
except RuntimeError as error: print(str(error)[:60])
print("distinct knots of the domain:", layer.grid[0, 3:-3].unique().numel(), "of", 6)
""",
        lambda n: n[-2] < n[-1],
        marks=lambda entry: "lstsq" in entry["message"] or coincident(entry),
    ),
    Finding(
        "Spans of the adaptive grid hold unequal numbers of samples",
        ("G-QNT",),
        "The adaptive part takes its knots from the sorted column at indices that are cut to integers. Spans can "
        "differ by two samples where one would do: of 20 samples three spans hold 6, 6 and 8.",
        """
import torch; from _efficient_kan_formulas import KANLinear
layer = KANLinear(1, 1, grid_size=3, grid_eps=0.0); x = torch.arange(20.0)[:, None]
layer.update_grid(x)
print(torch.histogram(x[:, 0], layer.grid[0, 3:-3].contiguous()).hist.tolist())
""",
        lambda n: max(n) - min(n) > 1,
        marks=lambda entry: "spans of input" in entry["message"],
    ),
    Finding(
        "Fits of short rank are not of least norm",
        ("G-DUP", "G-RANK", "G-DRV"),
        STALE_PIVOTS + "`curve2coeff` is built on it: a layer fitted on samples that leave its first functions empty "
        "gets zeros for all coefficients, in some of five calls.",
        """
import torch; from _efficient_kan_formulas import KANLinear
layer = KANLinear(1, 3); x = torch.linspace(0, 1, 100)[:, None]
for _ in range(5):
    print(layer.curve2coeff(x, torch.ones(100, 1, 3))[1:].abs().max().item())
""",
        lambda n: min(n) == 0,
    ),
    Finding(
        "The margin is an absolute number",
        ("G-AFF",),
        "The even part of a new grid reaches `margin` beyond the samples, 0.01 unless the caller says otherwise, "
        "whatever the size of the samples: features of size 1e-6 all lie in one interval.",
        """
import torch; from _efficient_kan_formulas import KANLinear
layer = KANLinear(1, 1, grid_eps=1.0); x = 1e-6 * torch.linspace(-1, 1, 50)[:, None]
layer.update_grid(x)
print("domain / range of the data:", ((layer.grid[0, -4] - layer.grid[0, 3]) / (x.max() - x.min())).item())
""",
        lambda n: n[-1] > 1000,
        marks=lambda entry: "knots of" in entry["message"],
        held=False,
    ),
    Finding(
        "Infinity becomes NaN",
        ("P-NAN",),
        "An input that has overflowed gives NaN in every function, where the padded basis is 0.",
        """
import torch; from _efficient_kan_formulas import KANLinear, b_splines
print(b_splines(torch.tensor([[float("inf")]]), KANLinear(1, 1).grid, 3)[0, 0].tolist())
""",
        lambda n: all(map(is_nan, n)),
    ),
    Finding(
        "At repeated knots all is NaN",
        ("P-REP",),
        "Divisions are not guarded: where a knot is double the functions around it are NaN, also at points that are "
        "not on the knot.",
        """
import torch; from _efficient_kan_formulas import b_splines
print(b_splines(torch.tensor([[0.5]]), torch.tensor([[-2.0, -1, 0, 1, 1, 2, 3]]), 2)[0, 0].tolist())
""",
        lambda n: any(map(is_nan, n)),
    ),
    Finding(
        "NaN in samples ends in an error of LAPACK's, or is accepted",
        ("G-ERR",),
        "One missing value in a batch stops the update with an internal error of torch's, after the grid has become "
        "NaN.",
        """
import torch; from _efficient_kan_formulas import KANLinear
layer = KANLinear(1, 1); x = torch.linspace(-1, 1, 50)[:, None]; x[7] = float("nan")
try: layer.update_grid(x)
except RuntimeError as error: print(str(error)[:60])
print("last knot:", layer.grid[0, -1].item())
""",
        lambda n: is_nan(n[-1]),
    ),
    Finding(
        "A grid_eps outside [0, 1] is accepted, and knots go backwards",
        ("G-MONOX",),
        "grid_eps is a mix between 0 and 1; other values give knots that are not sorted.",
        """
import torch; from _efficient_kan_formulas import KANLinear
layer = KANLinear(1, 1, grid_eps=-4.0); torch.manual_seed(0)
layer.update_grid(torch.rand(50, 1) ** 3)
print(layer.grid[0].diff().min().item())
""",
        lambda n: n[-1] < 0,
    ),
    Finding(
        "Derivatives lose digits on very uneven knots",
        DERIVATIVES,
        AUTODIFF,
        """
import torch; from _efficient_kan_formulas import b_splines; from torch.func import jvp
torch.set_default_dtype(torch.float64); x = torch.zeros(1)
grid = torch.tensor([[-1001.0, -1000, 0, 1, 2, 3]])
slope = jvp(lambda x: b_splines(x[:, None], grid, 2)[0, 0], (x,), (x + 1,))[1]
print(slope.tolist(), (slope.sum() / slope.abs().max()).item())
""",
        lambda n: 1e-15 < abs(n[-1]) < 1e-6,
        held=False,
    ),
)
