"""What the kit finds in pykan."""

from __future__ import annotations

from _finding import AUTODIFF, DERIVATIVES, STALE_PIVOTS, Finding, coincident, is_nan

RANKS = ("G-DUP", "G-RANK", "G-DRV", "G-PERM", "G-AFF", "N-REF", "G-IDEM", "G-PRES", "G-CONST", "G-TIES")

PYKAN = (
    Finding(
        "A constant input collapses its grid, and the spline there is gone",
        ("G-MONO", "G-TIES", "G-CONST", "G-IDEM", "G-PRES"),
        "After `update_grid_from_samples` on a feature that has one value (or on one sample, or with grid_eps = 0 on "
        "tied samples) all knots coincide, every basis function is 0, and what the spline had learned is lost. pykan's "
        "tutorial promises a margin of 0.01; the code has 0.",
        """
import torch; from kan.KANLayer import KANLayer
layer = KANLayer(1, 1, noise_scale=1); x = torch.full((50, 1), 0.7)
before = layer(x)[3]; layer.update_grid_from_samples(x)
print(before[0].item(), layer(x)[3][0].item(), "distinct knots:", layer.grid.unique().numel())
""",
        lambda n: n[-3] != 0 and n[-2] == 0 and n[-1] == 1,
        marks=coincident,
    ),
    Finding(
        "A spline is erased where the first basis functions have no samples",
        RANKS,
        STALE_PIVOTS
        + "pykan's `curve2coef` is built on it. A model on the grid [-1, 1] whose data lie in [0, 1] becomes the zero "
        "function when it is refined, without a word; in other fits of short rank the coefficients are not those of "
        "least norm, and the last bits are not the same each time.",
        """
import torch; from kan import KAN
model = KAN([1, 3], grid=5, base_fun="zero", noise_scale=1, auto_save=False)
x = torch.linspace(0, 1, 100)[:, None]; before = model(x)
after = model.refine(10)(x)
print(before.abs().max().item(), after[:, 1:].abs().max().item())
""",
        lambda n: n[-2] > 1e-3 and n[-1] == 0,
    ),
    Finding(
        "NaN becomes 0",
        ("P-NAN", "P-NANC"),
        "`B_batch` and `coef2curve` turn a NaN input into zeros: a missing value is a number like any other. (A whole "
        "model still answers NaN, because its base function does.)",
        """
import torch; from kan.spline import B_batch, extend_grid
grid = extend_grid(torch.linspace(-1, 1, 6)[None], 3)
print(B_batch(torch.tensor([[float("nan")]]), grid, 3).abs().sum().item())
""",
        lambda n: n[-1] == 0,
    ),
    Finding(
        "At repeated knots half of the functions is missing",
        ("P-REP",),
        "`nan_to_num` repairs 0/0 after the sum, where the healthy term beside it is lost too: at a double knot the "
        "functions sum to 0.5 or less, and nothing is raised.",
        """
import torch; from kan.spline import B_batch
grid = torch.tensor([[-2.0, -1, 0, 1, 1, 2, 3, 4]])
print(B_batch(torch.tensor([[0.5]]), grid, 2).sum().item(), B_batch(torch.tensor([[1.5]]), grid, 2).sum().item())
""",
        lambda n: min(n[-2:]) < 0.99,
    ),
    Finding(
        "NaN in samples is accepted, and the grid becomes NaN",
        ("G-ERR",),
        "One missing value in a batch makes the last knots NaN and the fit of all coefficients with it; nothing is "
        "raised, and the spline is zero from then on.",
        """
import torch; from kan.KANLayer import KANLayer
layer = KANLayer(1, 1); x = torch.linspace(-1, 1, 50)[:, None]; x[7] = float("nan")
layer.update_grid_from_samples(x)
print(layer.grid[0, -1].item(), layer(torch.tensor([[0.3]]))[3].item())
""",
        lambda n: is_nan(n[-2]),
    ),
    Finding(
        "A grid_eps outside [0, 1] is accepted, and knots go backwards",
        ("G-MONOX",),
        "grid_eps is documented as a mix between 0 and 1; 1.5 or -0.25 gives knots that are not sorted.",
        """
import torch; from kan.KANLayer import KANLayer
layer = KANLayer(1, 1, grid_eps=-4.0); torch.manual_seed(0)
layer.update_grid_from_samples(torch.rand(50, 1) ** 3)
print(layer.grid[0].diff().min().item())
""",
        lambda n: n[-1] < 0,
    ),
    Finding(
        "Derivatives lose digits on very uneven knots",
        DERIVATIVES,
        AUTODIFF,
        """
import torch; from kan.spline import B_batch; from torch.func import jvp
torch.set_default_dtype(torch.float64); x = torch.zeros(1)
grid = torch.tensor([[-1001.0, -1000, 0, 1, 2, 3]])
slope = jvp(lambda x: B_batch(x[:, None], grid, 2)[0, 0], (x,), (x + 1,))[1]
print(slope.tolist(), (slope.sum() / slope.abs().max()).item())
""",
        lambda n: 1e-15 < abs(n[-1]) < 1e-6,
        held=False,
    ),
)
