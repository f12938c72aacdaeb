"""What the kit finds in libraries with even knots: inkan and flashkan."""

from __future__ import annotations

from _finding import Finding, is_nan

EVEN = (
    "The library takes a range and a number of intervals, and makes its knots itself; the kit's knots are the same "
    "numbers rounded otherwise. Exactly on a knot a value of 1e-17 or less may then stand where the law wants 0, and a "
    "third derivative may be that of the neighbour. In absolute terms all is right (P-ORC)."
)

INKAN = (
    Finding(
        "A batch of no rows raises",
        ("N-SUB", "N-PURE", "N-DET"),
        "The dense path of the layer cannot reshape an empty batch; the direct one can.",
        """
import torch, inkan
for way in ("direct", "dense"):
    layer = inkan.KANLayer(2, 1, compile_basis=False, contraction=way)
    try: print(way, *layer(torch.zeros(0, 2)).shape)
    except RuntimeError as error: print(way, str(error)[:80])
""",
        lambda n: n[0] == 0 and n[1] == 1 and len(n) > 2,
        marks=lambda entry: "reshape" in entry["message"],
    ),
    Finding(
        "NaN is NaN in four functions only",
        ("P-NAN",),
        "The local basis gives NaN in four functions and 0 in the others. A layer's output is NaN all the same.",
        """
import torch, inkan
layer = inkan.KANLayer(1, 1)
x = torch.tensor([[float("nan")]])
print(inkan.bspline_basis_local_eager(x, layer.grid_starts, layer.inv_h, layer.n_bases)[0, 0].tolist())
""",
        lambda n: any(map(is_nan, n)) and 0.0 in n,
    ),
    Finding(
        "On a knot the third derivative is that of no side",
        ("P-DHI", "P-SMO"),
        "Each function decides for itself which polynomial holds on a knot, by mirror symmetry: some take the left "
        "one, some the right one. Third derivatives exactly on a knot then do not sum to 0. Who does not differentiate "
        "three times sees nothing.",
        """
import torch, inkan; from torch.func import jvp
layer = inkan.KANLayer(1, 1, grid_size=4)
basis = lambda x: inkan.bspline_basis_local_eager(x[:, None], layer.grid_starts, layer.inv_h, layer.n_bases)[:, 0]
slope = lambda f: lambda x: jvp(f, (x,), (torch.ones_like(x),))[1]
print(slope(slope(slope(basis)))(torch.tensor([0.0, 0.1])).sum(1).tolist())
""",
        lambda n: abs(n[-2]) > 1 and abs(n[-1]) < 1e-3,
    ),
    Finding(
        "Knots are its own, rounded otherwise",
        ("P-SUP", "P-REL", "P-RELD", "P-MAR", "P-POLY", "P-EXT"),
        EVEN,
        """
import torch, inkan
torch.set_default_dtype(torch.float64); layer = inkan.KANLayer(1, 1, grid_size=10)
x = torch.tensor([[-1 + 4 * 0.2]])
print(inkan.bspline_basis_local_eager(x, layer.grid_starts, layer.inv_h, layer.n_bases)[0, 0].tolist())
""",
        lambda n: any(0 < abs(number) < 1e-15 for number in n),
        held=False,
    ),
)

FLASHKAN = (
    Finding(
        "With many intervals the basis is noise",
        (
            "P-PoU",
            "P-POS",
            "P-SUP",
            "P-ORC",
            "P-REL",
            "P-ORD",
            "P-MIR",
            "P-D0",
            "P-GRV",
            "P-MAR",
            "P-POLY",
            "P-RELD",
            "P-RC",
            "P-TP",
            "P-AFF",
            "P-LIN",
            "P-HULL",
            "P-VD",
            "N-ORC",
            "N-NET",
            "N-GCS",
        ),
        "Truncated powers cancel: terms of size (G + 3)^3 add up to numbers below 1. In float32, which it is made "
        "for, the functions are off by 1e-5 for grid_size 5 (its documentation says 5e-5), by 0.07 for 50, and by more "
        "than their own size for 200; some are negative.",
        """
import torch, flashkan; from flashkan.basis import bspline_basis_eager as basis
for size in (5, 50, 200):
    layer = flashkan.KANLayer(1, 1, grid_size=size)
    B = basis(torch.linspace(-1, 1, 1001)[:, None], layer.grid_starts, layer.inv_h)
    print(size, "off by", (B.sum(-1) - 1).abs().max().item(), "least value", B.min().item())
""",
        lambda n: n[-2] > 1 and n[-1] < -0.1 and n[4] > 1e-2,
    ),
    Finding(
        "Far outside its grid a layer answers large numbers",
        ("P-EXT",),
        "Beyond the knots, where all functions should be 0, the same cancellation leaves noise that grows with the "
        "cube of the distance: an outlier, or a hidden activation that leaves the grid, is answered by hundreds.",
        """
import torch, flashkan; from flashkan.basis import bspline_basis_eager as basis
layer = flashkan.KANLayer(1, 1)
print(basis(torch.tensor([[1000.0]]), layer.grid_starts, layer.inv_h)[0, 0].tolist())
""",
        lambda n: max(map(abs, n)) > 10,
    ),
    Finding(
        "Infinity becomes NaN",
        ("P-NAN",),
        "An input that has overflowed gives NaN in every function, where the padded basis is 0.",
        """
import torch, flashkan; from flashkan.basis import bspline_basis_eager as basis
layer = flashkan.KANLayer(1, 1)
print(basis(torch.tensor([[float("inf")]]), layer.grid_starts, layer.inv_h)[0, 0].tolist())
""",
        lambda n: all(map(is_nan, n)),
    ),
    Finding(
        "spline_order is accepted and not heeded",
        (),
        "The layer documents `spline_order` as the degree of its splines, and takes any; the functions stay cubic, and "
        "there are too few or too many of them. With spline_order = 1 a layer whose weights are all 1, which should be "
        "the constant 1 on its grid, is 0.17 at its left end.",
        """
import torch, flashkan; from flashkan.basis import bspline_basis_eager as basis
layer = flashkan.KANLayer(1, 1, spline_order=1)
print(basis(torch.tensor([[-1.0]]), layer.grid_starts, layer.inv_h).sum().item())
""",
        lambda n: n[-1] < 0.5,
    ),
    Finding(
        "Knots are its own, rounded otherwise",
        ("P-DHI", "P-SMO"),
        EVEN,
        """
import torch, flashkan
starts = flashkan.KANLayer(1, 1, grid_size=5, grid_range=(-1.0, 0.6)).grid_starts
print((starts - (torch.arange(8) - 3) * torch.tensor(0.32) - torch.tensor(-1.0)).abs().max().item())
""",
        lambda n: 0 < n[-1] < 1e-6,
        held=False,
    ),
)
