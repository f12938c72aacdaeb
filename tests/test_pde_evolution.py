"""numkan.pde.march: windows that meet, and intervals that grow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numkan import KAN, pde
from numkan.conformance.adapter import Array


def decay(t0: float, t1: float, previous: Any) -> list[pde.Equation]:
    return [pde.Equation(pde.Interior([t0], [t1], 16), lambda x, u, du: du[:, 0] + u)]


def test_windows_meet_exactly_and_follow_the_solution() -> None:
    u = pde.march(KAN([1, 1], grid=3, k=5), decay, [0.0, 0.5, 1.0, 2.0], initial=lambda x: 1.0 + 0 * x[:, 0])
    assert u.success
    assert len(u.windows) == 3
    t = np.linspace(0, 2, 21)[:, None]
    np.testing.assert_allclose(u(t), np.exp(-t), atol=1e-6)
    np.testing.assert_allclose(u.derivatives(t, order=1)[1][:, :, 0], -np.exp(-t), atol=1e-5)
    for at, (one, other) in zip((0.5, 1.0), ((0, 1), (1, 2)), strict=True):
        np.testing.assert_allclose(u.windows[one]([[at]]), u.windows[other]([[at]]), rtol=0, atol=1e-14)


def test_previous_is_the_solution_at_the_beginning_of_a_window() -> None:
    seen = []

    def equations_of(t0: float, t1: float, previous: Any) -> list[pde.Equation]:
        seen.append(None if previous is None else float(previous(np.array([[7.0]]))[0, 0]))
        start = [] if previous else [pde.Equation([[t0]], lambda x, u: u - 1.0)]
        return decay(t0, t1, previous) + start

    pde.march(KAN([1, 1], grid=3, k=5), equations_of, [0.0, 0.5, 1.0])
    assert seen[0] is None
    assert seen[1] == pytest.approx(np.exp(-0.5), abs=1e-6)


@pytest.mark.jit
def test_a_wave_travels_through_windows() -> None:
    """u_t + u_x = 0, periodic in x: sin(2 pi (x - t)), in windows that keep a spline of x between them."""

    def transport(t0: float, t1: float, previous: Any) -> list[pde.Equation]:
        def residual(x: Array, u: Array, du: Array) -> Array:
            return du[:, 0] + du[:, 1]

        return [pde.Equation(pde.Interior([t0, 0.0], [t1, 1.0], 300), residual)]

    model = KAN([2, 3, 1], grid=[8, 4], k=5)
    u = pde.march(
        model, transport, [0.0, 0.1, 0.2], initial=lambda x: np.sin(2 * np.pi * x[:, 1]), periodic=[1], draws=1
    )
    x = np.random.default_rng(0).uniform([0, 0], [0.2, 1], (200, 2))
    np.testing.assert_allclose(u(x)[:, 0], np.sin(2 * np.pi * (x[:, 1] - x[:, 0])), atol=5e-3)
    here = np.column_stack([np.full(20, 0.1), np.linspace(0, 1, 20)])
    for one, other in zip(u.windows[0].derivatives(here), u.windows[1].derivatives(here), strict=True):
        np.testing.assert_allclose(one[..., -1], other[..., -1], atol=1e-2 * np.abs(one).max())


def test_growing_intervals_avoid_false_minima_of_a_pendulum() -> None:
    from scipy.integrate import solve_ivp

    def pendulum(t0: float, t1: float, previous: Any) -> list[pde.Equation]:
        n = int(np.ceil(24 * t1))
        return [
            pde.Equation(pde.Interior([t0], [t1], n), lambda x, u, du, d2u: d2u[:, 0] + 4 * np.sin(u)),
            pde.Equation([[0.0]], lambda x, u, du: np.stack([u - 2.5, du[:, 0]], axis=1)),
        ]

    model = KAN([1, 1], grid=60, k=7)
    u = pde.march(model, pendulum, np.linspace(0.0, 5.0, 6), growing=True)
    assert u.success
    assert model.grid == [60]
    t = np.linspace(0, 5, 40)
    exact = solve_ivp(lambda t, y: [y[1], -4 * np.sin(y[0])], (0, 5), [2.5, 0.0], "DOP853", t, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(u(t[:, None])[:, 0], exact.y[0], atol=1e-5)


def test_what_march_refuses() -> None:
    with pytest.raises(ValueError, match="Argument `times` must be at least two increasing numbers"):
        pde.march(KAN([1, 1], k=5), decay, [1.0, 0.0])
    with pytest.raises(ValueError, match="Argument `model` must have one input where windows grow, not 2"):
        pde.march(KAN([2, 1], k=5), decay, [0.0, 1.0], growing=True)
