"""What the kit finds in libraries with even knots: inkan and flashkan."""

from __future__ import annotations

from typing import Any

from _finding import Entry, Finding, example, is_nan

BESIDE = (
    "Points are measured from a knot that may be far away, and lose their last bits: a point one rounding beside a "
    "knot counts as the knot itself, where a value that should be 1e-48 is 0, and a third derivative is that of the "
    "other side."
)


def third(entry: Entry) -> bool:
    """Tell whether a third derivative is wrong."""
    return entry["id"] == "P-DHI" or "nu = 3" in entry["message"]


def beyond(entry: Entry) -> bool:
    """Tell whether a sample of a network lies beyond the knots of its first layer."""
    grids = [layer["grid"] for layer in (example(entry, "layers") or ())[:1]]
    samples = example(entry, "x") or ()
    return any(not t[0] <= x <= t[-1] for grid in grids for row in samples for x, t in zip(row, grid, strict=True))


def noisy(entry: Entry) -> bool:
    """Tell whether functions are off where they are seen: in the padding, inside, or on many intervals."""
    if entry["id"] == "P-SMO":
        return len(example(entry, "knots")) > 50
    return not beyond(entry) and (entry["id"] != "P-EXT" or "in the padding" in entry["message"])


OUTLIER: dict[str, Any] = {
    "dtype": "float32",
    "knots": [-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0],
    "k": 3,
    "inside": [0.5],
    "anywhere": [1000.3],
    "coef": [0.0] * 5,
    "closed": False,
}

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
        ("P-DHI", "P-EXT", "P-RELD"),
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
        marks=third,
    ),
    Finding(
        "Points beside a knot count as the knot",
        ("P-REL", "P-RELD", "P-MAR", "P-POLY", "P-SMO", "P-SUP"),
        BESIDE + " In absolute terms all is right (P-ORC).",
        """
import torch, inkan
torch.set_default_dtype(torch.float64); layer = inkan.KANLayer(1, 1, grid_size=2, grid_range=(-1.0, -0.5))
x = torch.nextafter(torch.tensor([[-0.75]]), torch.tensor(0.0))
values = inkan.bspline_basis_local_eager(x, layer.grid_starts, layer.inv_h, layer.n_bases)
print("beyond the knot:", (x + 0.75).item(), "the function that begins there:", values[0, 0, -1].item())
""",
        lambda n: n[-2] > 0 == n[-1],
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
            "P-EXT",
            "P-RC",
            "P-TP",
            "P-AFF",
            "P-LIN",
            "P-HULL",
            "P-VD",
            "P-DCS",
            "P-DFD",
            "P-INT",
            "P-SMO",
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
        marks=noisy,
    ),
    Finding(
        "Far outside its grid a layer answers large numbers",
        ("P-EXT", "N-ORC", "N-NET", "N-GCS"),
        "Beyond the knots, where all functions should be 0, the same cancellation leaves noise that grows with the "
        "cube of the distance: an outlier, or a hidden activation that leaves the grid, is answered by hundreds.",
        """
import torch, flashkan; from flashkan.basis import bspline_basis_eager as basis
layer = flashkan.KANLayer(1, 1)
print(basis(torch.tensor([[1000.0]]), layer.grid_starts, layer.inv_h)[0, 0].tolist())
""",
        lambda n: max(map(abs, n)) > 10,
        marks=lambda entry: beyond(entry) or "beyond the knots" in entry["message"],
        case=("P-EXT", OUTLIER),
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
        "Points beside a knot count as the knot",
        ("P-DHI", "P-SMO"),
        BESIDE,
        """
import torch; from flashkan import KANLayer; from flashkan.basis import bspline_basis_eager as basis
from torch.func import jvp; layer = KANLayer(1, 1, grid_size=2)
values = lambda x: basis(x[:, None], layer.grid_starts, layer.inv_h)[:, 0]
slope = lambda f: lambda x: jvp(f, (x,), (torch.ones_like(x),))[1]
print(slope(slope(slope(values)))(torch.tensor([-1e-8, -0.1])).sum(1).tolist())
""",
        lambda n: abs(n[-2]) > 0.5 and abs(n[-1]) < 1e-3,
        held=False,
    ),
)
