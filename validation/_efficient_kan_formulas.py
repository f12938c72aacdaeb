"""The formulas of efficient-kan, written anew as a torch module.

efficient-kan is not on a package index, so that it cannot be installed like the other peers. `KANLinear` has its
attributes (`grid`, `base_weight`, `spline_weight`, `spline_scaler`, `update_grid` with a margin of 0.01). What is found
here is found in formulas, and is to be checked against a copy of the original before it is reported there.
"""

from __future__ import annotations

from typing import Any

import torch


def b_splines(x: Any, grid: Any, k: int) -> Any:
    """Return all functions of all inputs (n, n_in, G + k), degree by degree; divisions are not guarded."""
    z = x[..., None]
    value = ((z >= grid[:, :-1]) & (z < grid[:, 1:])).to(x.dtype)
    for d in range(1, k + 1):
        rising = (z - grid[:, : -d - 1]) / (grid[:, d:-1] - grid[:, : -d - 1])
        falling = (grid[:, d + 1 :] - z) / (grid[:, d + 1 :] - grid[:, 1:-d])
        value = rising * value[..., :-1] + falling * value[..., 1:]
    return value


class KANLinear(torch.nn.Module):
    """A layer: base_weight @ silu(x) + (spline_scaler * spline_weight) @ bases."""

    def __init__(
        self, n_in: int, n_out: int, grid_size: int = 5, spline_order: int = 3, grid_eps: float = 0.02
    ) -> None:
        super().__init__()
        self.grid_size, self.spline_order, self.grid_eps = grid_size, spline_order, grid_eps
        self.base_activation = torch.nn.functional.silu
        knots = torch.arange(-spline_order, grid_size + spline_order + 1) * (2 / grid_size) - 1
        self.register_buffer("grid", knots.expand(n_in, -1).contiguous())
        self.base_weight = torch.nn.Parameter(torch.randn(n_out, n_in))
        self.spline_weight = torch.nn.Parameter(torch.randn(n_out, n_in, grid_size + spline_order))
        self.spline_scaler = torch.nn.Parameter(torch.randn(n_out, n_in))

    @property
    def scaled_spline_weight(self) -> Any:
        """The coefficients that the splines have in the end."""
        return self.spline_weight * self.spline_scaler[..., None]

    def forward(self, x: Any) -> Any:
        bases = b_splines(x, self.grid, self.spline_order).flatten(1)
        spline = torch.nn.functional.linear(bases, self.scaled_spline_weight.flatten(1))
        return torch.nn.functional.linear(self.base_activation(x), self.base_weight) + spline

    def curve2coeff(self, x: Any, y: Any) -> Any:
        """Least squares, one problem an input: y (n, n_in, n_out) -> (n_out, n_in, G + k)."""
        bases = b_splines(x, self.grid, self.spline_order).transpose(0, 1)
        return torch.linalg.lstsq(bases, y.transpose(0, 1)).solution.permute(2, 0, 1).contiguous()

    @torch.no_grad()
    def update_grid(self, x: Any, margin: float = 0.01) -> None:
        """Lay knots over the samples; the targets of the fit are the *scaled* splines, written to `spline_weight`."""
        G, k, n = self.grid_size, self.spline_order, len(x)
        curves = torch.einsum("nip,oip->nio", b_splines(x, self.grid, k), self.scaled_spline_weight)
        ordered = torch.sort(x, dim=0)[0]
        adaptive = ordered[torch.linspace(0, n - 1, G + 1, dtype=torch.int64)]
        step = (ordered[-1] - ordered[0] + 2 * margin) / G
        uniform = torch.arange(G + 1, dtype=torch.float32)[:, None] * step + ordered[0] - margin
        inner = self.grid_eps * uniform + (1 - self.grid_eps) * adaptive
        counts = torch.arange(1, k + 1)[:, None]
        self.grid = torch.cat([inner[:1] - counts.flip(0) * step, inner, inner[-1:] + counts * step]).T.contiguous()
        self.spline_weight.data = self.curve2coeff(x, curves)
