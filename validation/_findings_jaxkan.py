"""What the kit finds in jaxkan."""

from __future__ import annotations

from _finding import AUTODIFF, DERIVATIVES, Entry, Finding, example, is_nan


def flushed(entry: Entry) -> bool:
    """Tell whether a case has subnormal points; P-SMO makes one itself, the neighbour of a knot at 0."""
    points = [x for name in ("inside", "anywhere") for x in example(entry, name)]
    return (entry["id"] == "P-SMO" and "at 0.0" in entry["message"]) or any(0 < abs(x) < 1e-307 for x in points)


JAXKAN = (
    Finding(
        "Coincident knots, or fewer samples than coefficients, make all coefficients NaN",
        ("G-MONO", "G-TIES", "G-CONST", "G-IDEM", "G-PRES", "G-DUP", "G-RANK"),
        "The fit solves normal equations, documented as a fast stand-in for `linalg.lstsq`. Where the samples do not "
        "determine the coefficients, the matrix is singular: the layer answers NaN from then on, and nothing "
        "is raised.",
        """
import jax.numpy as jnp; from jaxkan.layers.Spline import SplineLayer
layer = SplineLayer(1, 1); x = jnp.linspace(-1, 1, 6)[:, None]
layer.update_grid(x, 10)
print(layer(x).ravel().tolist())
""",
        lambda n: all(map(is_nan, n)),
    ),
    Finding(
        "Normal equations lose twice the digits",
        ("G-LSQ", "G-PERM"),
        "Where the matrix of the fit has the condition number 1e8, `linalg.lstsq` finds eight digits of the "
        "coefficients, and the normal equations none. For the same reason another order of the samples shows in more "
        "digits than it should.",
        """
import jax; jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp; from jaxkan.layers.utils import solve_single_lstsq
A = jnp.array([[1.0, 1], [0, 1e-8], [0, 1e-8]]); y = A @ jnp.ones((2, 1))
print(jnp.linalg.lstsq(A, y)[0].ravel().tolist(), solve_single_lstsq(A, y).ravel().tolist())
""",
        lambda n: abs(n[1] - 1) < 1e-6 and not abs(n[3] - 1) < 1e-4,
    ),
    Finding(
        "The margin is an absolute number",
        ("G-AFF",),
        "The even part of a new grid reaches 0.01 beyond the samples, whatever their size: features of size 1e-6 get a "
        "grid ten thousand times as wide as they are, and all of them lie in one interval.",
        """
import jax.numpy as jnp; from jaxkan.layers.Spline import SplineLayer
layer = SplineLayer(1, 1, grid_e=1.0); x = 1e-6 * jnp.linspace(-1, 1, 50)[:, None]
layer.update_grid(x, 3)
print("domain / range of the data:", ((layer.grid.item[0, -4] - layer.grid.item[0, 3]) / jnp.ptp(x)).item())
""",
        lambda n: n[-1] > 1000,
        marks=lambda entry: "knots of" in entry["message"],
    ),
    Finding(
        "Subnormal numbers count as zero",
        ("P-EXT", "P-DHI", "P-RELD", "P-SMO", "P-DCS"),
        "XLA flushes them: a point 5e-324 left of a knot is on the knot. No user of JAX expects anything else.",
        """
import jax; jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp; from jaxkan.layers.Spline import SplineLayer
layer = SplineLayer(1, 1, k=1, G=2)
left, at = layer.basis(jnp.array([[-5e-324], [0.0]]))[:, 0]
print((left - at).tolist(), (jnp.array(-5e-324) < 0).astype(int).item())
""",
        lambda n: n[-1] == 0,
        marks=flushed,
        held=False,
    ),
    Finding(
        "Infinity becomes NaN",
        ("P-NAN",),
        "An input that has overflowed gives NaN in every function, where the padded basis is 0.",
        """
import jax.numpy as jnp; from jaxkan.layers.Spline import SplineLayer
print(SplineLayer(1, 1).basis(jnp.array([[jnp.inf]])).ravel().tolist())
""",
        lambda n: all(map(is_nan, n)),
    ),
    Finding(
        "At repeated knots all is NaN",
        ("P-REP",),
        "Divisions are not guarded: where a knot is double the functions around it are NaN, also at points that are "
        "not on the knot.",
        """
import jax.numpy as jnp; from jaxkan.layers.Spline import SplineLayer
layer = SplineLayer(1, 1, k=2, G=2)
layer.grid.item = jnp.array([[-2.0, -1, 0, 1, 1, 2, 3]])
print(layer.basis(jnp.array([[0.5]])).ravel().tolist())
""",
        lambda n: any(map(is_nan, n)),
    ),
    Finding(
        "NaN in samples is accepted, and the layer answers NaN",
        ("G-ERR",),
        "One missing value in a batch makes the grid and all coefficients NaN; nothing is raised.",
        """
import jax.numpy as jnp; from jaxkan.layers.Spline import SplineLayer
layer = SplineLayer(1, 1); x = jnp.linspace(-1, 1, 50)[:, None].at[7].set(jnp.nan)
layer.update_grid(x, 3)
print(layer.grid.item[0, -1].item(), layer(jnp.array([[0.3]])).item())
""",
        lambda n: all(map(is_nan, n)),
    ),
    Finding(
        "A grid_e outside [0, 1] is accepted, and knots go backwards",
        ("G-MONOX",),
        "grid_e is a mix between 0 and 1; other values give knots that are not sorted.",
        """
import jax; import jax.numpy as jnp; from jaxkan.layers.Spline import SplineLayer
layer = SplineLayer(1, 1, grid_e=-4.0)
layer.update_grid(jax.random.uniform(jax.random.key(0), (50, 1)) ** 3, 3)
print(jnp.diff(layer.grid.item[0]).min().item())
""",
        lambda n: n[-1] < 0,
    ),
    Finding(
        "Derivatives lose digits on very uneven knots",
        DERIVATIVES,
        AUTODIFF,
        """
import jax; jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp; from jaxkan.layers.Spline import SplineLayer
layer = SplineLayer(1, 1, k=2, G=1); layer.grid.item = jnp.array([[-1001.0, -1000, 0, 1, 2, 3]])
slope = jax.jacfwd(lambda x: layer.basis(x[None, None])[0, 0])(0.0)
print(slope.tolist(), (slope.sum() / abs(slope).max()).item())
""",
        lambda n: 1e-15 < abs(n[-1]) < 1e-6,
        held=False,
    ),
)
