"""Pictures: networks, edges, grids, fits and bases.

Every function draws on matplotlib axes and returns them; without axes it makes a figure with one. Nothing is shown and
nothing is written. Matplotlib is imported when a picture is drawn, not before: it takes longer to import than numkan
itself.
"""

from numkan.plot.basis import plot_basis
from numkan.plot.coverage import plot_coverage
from numkan.plot.edge import plot_edge
from numkan.plot.effects import plot_effects
from numkan.plot.fit import plot_fit
from numkan.plot.grid_update import plot_grid_update
from numkan.plot.history import plot_history
from numkan.plot.network import plot_network
from numkan.plot.values import edge_values

__all__ = [
    "edge_values",
    "plot_basis",
    "plot_coverage",
    "plot_edge",
    "plot_effects",
    "plot_fit",
    "plot_grid_update",
    "plot_history",
    "plot_network",
]
