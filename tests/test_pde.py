"""numkan.pde.solve: equations are solved, their partials are right, and what it refuses."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from numkan import KAN, pde
from numkan.conformance.adapter import Array
from numkan.layer.jets import Jets
from numkan.pde.descent import Descent, State
from numkan.pde.equation import Signature
from numkan.pde.hard import Hard, function_jets
from numkan.pde.solver import Solver
from numkan.pde.term import PointTerm
from numkan.train.splines import Splines

BOX = [-1.0, -1.0], [1.0, 1.0]


def start(n: int = 12) -> pde.Equation:
    """u'' + u = 0 as it goes on from u(0) = 1, u'(0) = 0."""
    return pde.Equation([[0.0]], lambda x, u, du: np.stack([u - 1.0, du[:, 0]], axis=1))


def oscillator(n: int = 30, **settings: Any) -> pde.Equation:
    return pde.Equation(pde.Interior([0.0], [2.0], n), lambda x, u, du, d2u: d2u[:, 0] + u, **settings)


def error(solution: Any) -> float:
    x = np.linspace(0, 2, 50)[:, None]
    return float(np.abs(solution(x) - np.cos(x)).max())


# --- partials -----------------------------------------------------------------------------------------------------


def wave(x: Array, u: Array, du: Array, d2u: Array, speed: float) -> Array:
    """Not linear, of two outputs, with mixed derivatives and an unknown."""
    first = d2u[:, 0, 0, 1] * u[:, 1] + np.sin(du[:, 1, 0]) - speed * x[:, 0]
    return np.stack([first, speed**2 * d2u[:, 1, 1, 1] + u[:, 0] ** 3], axis=1)


def term_of(residual: Any, *, n_out: int = 2, mixed: bool = True, transform: Any = None, **settings: Any) -> PointTerm:
    x = np.random.default_rng(0).uniform(-1, 1, (7, 2))
    equation = pde.Equation(x, residual, mixed=mixed, **settings)
    unknowns = ("speed",)
    return PointTerm(equation, Signature.of(equation, 0, unknowns), equation.sampled(), unknowns, n_out, transform)


def random_jets(term: PointTerm, n_out: int = 2) -> Jets:
    rng = np.random.default_rng(1)
    empty = Jets.zeros(len(term.x), n_out, term.pairs, term.order)
    return Jets(*(rng.normal(size=one.shape) for one in empty))


@pytest.mark.parametrize("transform", [None, (lambda x: np.sin(x), lambda x: x[:, 0] * np.exp(x[:, 1]))])
def test_partials_are_those_of_differences_also_under_hard_conditions(transform: Any) -> None:
    term = term_of(wave, transform=transform)
    jets, speed = random_jets(term), np.array([0.6])
    r, partials, by_unknowns = term.linearized(jets, speed)
    assert r.shape == (7, 2)
    for nu, jet in enumerate(jets):
        for column in np.ndindex(jet.shape[1:]):
            ends = []
            for sign in (1, -1):
                moved = [np.array(one) for one in jets]
                moved[nu][(slice(None), *column)] += sign * 1e-6
                ends.append(term.residuals(Jets(*moved), speed))
            difference = (ends[0] - ends[1]) / 2e-6
            for q in range(2):
                np.testing.assert_allclose(partials[q][nu][(slice(None), *column)], difference[:, q], atol=3e-8)
    difference = (term.residuals(jets, speed + 1e-6) - term.residuals(jets, speed - 1e-6)) / 2e-6
    np.testing.assert_allclose(by_unknowns[:, :, 0], difference, atol=1e-8)


def test_partials_that_are_given_take_the_place_of_complex_steps() -> None:
    def residual(x: Array, u: Array, du: Array, speed: float) -> Array:
        return du[:, 0] + speed * np.abs(u) * du[:, 1]

    def partials(x: Array, u: Array, du: Array, speed: float) -> Any:
        by_du = np.stack([np.ones(len(u)), speed * np.abs(u)], axis=1)
        return speed * np.sign(u) * du[:, 1], by_du, {"speed": np.abs(u) * du[:, 1]}

    term = term_of(residual, n_out=1, mixed=False, partials=partials)
    jets = random_jets(term, 1)
    term.check_partials(jets, np.array([0.5]), 0)
    _, (found,), by_unknowns = term.linearized(jets, np.array([0.5]))
    u, du = jets.value[:, 0], jets.first[:, 0]
    np.testing.assert_allclose(found.value[:, 0], 0.5 * np.sign(u) * du[:, 1])
    np.testing.assert_allclose(found.first[:, 0, 1], 0.5 * np.abs(u))
    np.testing.assert_allclose(by_unknowns[:, 0, 0], np.abs(u) * du[:, 1])


@pytest.mark.parametrize(
    "residual",
    [
        lambda x, u: np.abs(u) - 1,
        lambda x, u: np.where(u.real > 0, u, 0) * np.conj(u),
        lambda x, u: np.array(u, dtype=float),
        lambda x, u: np.interp(u, [0, 1], [0, 2]),
    ],
)
def test_a_residual_that_a_complex_step_does_not_see_through_is_refused(residual: Any) -> None:
    model = KAN([1, 1], k=5)
    before = model.params
    with pytest.raises(ValueError, match=r"Argument `equations\[0\].residual` must be made of analytic functions"):
        pde.solve(model, [pde.Equation([[0.1], [0.5]], residual)])
    assert model.params.tobytes() == before.tobytes()


def test_wrong_partials_are_found() -> None:
    equation = pde.Equation([[0.1], [0.5]], lambda x, u: u**2, partials=lambda x, u: (u,))
    with pytest.raises(ValueError, match=r"Argument `equations\[0\].partials` must be the derivatives of its residual"):
        pde.solve(KAN([1, 1], k=5), [equation])


# --- hard conditions ----------------------------------------------------------------------------------------------


def test_derivatives_of_formulas_are_exact_to_rounding() -> None:
    from numkan.layer.jets import Pairs

    x = np.random.default_rng(0).uniform(-1, 1, (9, 2))
    found = function_jets(lambda x: np.exp(x[:, 0]) * np.sin(3 * x[:, 1]), x, 3, Pairs.of(2, mixed=True))
    e, s, c = np.exp(x[:, 0]), np.sin(3 * x[:, 1]), np.cos(3 * x[:, 1])
    np.testing.assert_allclose(found.first[:, 0], np.stack([e * s, 3 * e * c], axis=1), atol=1e-11)
    np.testing.assert_allclose(found.second[:, 0], np.stack([e * s, -9 * e * s, 3 * e * c], axis=1), atol=1e-9)
    np.testing.assert_allclose(found.third[:, 0], np.stack([e * s, -27 * e * c], axis=1), atol=1e-6)


def test_a_transform_with_a_kink_is_refused() -> None:
    with pytest.raises(ValueError, match="Argument `transform` must have analytic functions"):
        pde.solve(KAN([1, 1], k=5), [oscillator()], transform=(lambda x: np.abs(x[:, 0] - 1.0), lambda x: x[:, 0]))


def test_hard_conditions_of_ones_and_zeros_change_nothing() -> None:
    term = term_of(wave)
    jets = random_jets(term)
    zero, one = (Jets(*(0 * part for part in jets)) for _ in range(2))
    one.value[...] = 1.0
    for found, own in zip(Hard(zero, one).apply(jets, term.pairs), jets, strict=True):
        np.testing.assert_array_equal(found, own)
    for found, own in zip(Hard(zero, one).pull(jets, term.pairs), jets, strict=True):
        np.testing.assert_array_equal(found, own)


def test_a_solution_keeps_its_hard_conditions() -> None:
    solution = pde.solve(
        KAN([1, 1], k=7), [oscillator()], transform=(lambda x: 1 + 0 * x[:, 0], lambda x: x[:, 0] ** 2)
    )
    assert error(solution) < 1e-6
    u, du = solution.derivatives([[0.0]], order=1)
    assert u[0, 0] == 1.0
    assert abs(du[0, 0, 0]) < 1e-12


# --- solutions ----------------------------------------------------------------------------------------------------


def test_an_ordinary_equation_is_solved() -> None:
    model = KAN([1, 1], k=7)
    solution = pde.solve(model, [oscillator(60), start()])
    assert solution.success
    assert solution.regime == "exact"
    assert error(solution) < 1e-8
    np.testing.assert_array_equal(solution([[0.3]]), model([[0.3]]))
    u, _, d2u = solution.derivatives([[0.3]])
    assert abs(d2u[0, 0, 0] + u[0, 0]) < 1e-5
    assert solution.fresh_residuals[0] < 1e-6
    assert np.isnan(solution.fresh_residuals[1])
    assert solution.coverage == 1.0


def test_a_solved_network_has_the_ends_of_its_policy() -> None:
    model = KAN([1, 1], k=7)
    pde.solve(model, [oscillator(60), start()])  # with end polynomials that have no end
    far = np.linspace(-20.0, 20.0, 41)[:, None]
    np.testing.assert_array_equal(model(far), pickle.loads(pickle.dumps(model))(far))


@pytest.mark.jit
def test_poisson_is_solved_with_a_hidden_layer() -> None:
    def poisson(x: Array, u: Array, du: Array, d2u: Array) -> Array:
        return (d2u[:, 0] + d2u[:, 1]) / (2 * np.pi**2) + np.sin(np.pi * x[:, 0]) * np.sin(np.pi * x[:, 1])

    equations = [pde.Equation(pde.Interior(*BOX, 400), poisson), pde.Equation(pde.Boundary(*BOX, 24), lambda x, u: u)]
    solution = pde.solve(KAN([2, 2, 1], k=5), equations, ladder=[4, 8])
    x = np.random.default_rng(9).uniform(-1, 1, (500, 2))
    truth = np.prod(np.sin(np.pi * x), axis=1)
    assert np.abs(solution(x)[:, 0] - truth).max() < 2e-3
    assert solution.coverage == 1.0


@pytest.mark.jit
def test_a_stage_that_no_step_helps_is_found_out_once() -> None:
    """Six poor steps end a stage; steps on fixed grids, which follow those between regrids, do not take six more."""

    def residual(x: Array, u: Array, du: Array) -> Array:
        return du[:, 0] - np.cos(x[:, 0]) * u

    inside, edge = pde.Interior(*BOX, 150), pde.Boundary(*BOX, 20, faces=[(0, 0)])
    equations = [
        pde.Equation(inside, residual),
        pde.Equation(edge, lambda x, u: u - np.exp(np.sin(x[:, 0]) + np.sin(x[:, 1]))),
    ]
    solution = pde.solve(KAN([2, 1, 1], k=5, seed=0), equations, ladder=[4, 8], draws=1)
    stages = [state.stage for state in solution.history]
    assert stages.count(2) < 10
    assert solution.fresh_residuals.max() < 1e-4


def test_where_no_step_leads_on_a_descent_is_not_run_again() -> None:
    evaluated = []

    def residual(x: Array, u: Array, du: Array) -> Array:
        evaluated.append(len(x))
        return du[:, 0] + u

    equations = [pde.Equation(pde.Interior([0.0], [1.0], 20), residual), pde.Equation([[0.0]], lambda x, u: u - 1.0)]
    solver = Solver(KAN([1, 1], k=5), equations, {}, None, ({}, ()), np.random.default_rng(0))
    descent = Descent(solver.terms, solver.descent.first, lambda grid, loss: None)
    splines = Splines.of(solver.model, base=False)
    ended = descent.down(State(splines, np.zeros(0)), 200)
    assert ended.loss < 1e-12
    before = len(evaluated)
    assert descent.down(ended, 200, poor=ended.poor) is ended
    assert len(evaluated) == before


def test_a_periodic_solution_has_the_same_values_at_both_ends() -> None:
    equation = pde.Equation(pde.Interior([0.0], [1.0], 60), lambda x, u, du: du[:, 0] + u - np.sin(2 * np.pi * x[:, 0]))
    solution = pde.solve(KAN([1, 1], k=5), [equation], periodic=[0], ladder=[8, 16])
    for one in solution.derivatives([[0.0], [1.0]], order=3):
        np.testing.assert_allclose(one[0], one[1], atol=1e-9)
    x = np.linspace(0, 1, 20)
    w = 2 * np.pi
    truth = (np.sin(w * x) - w * np.cos(w * x)) / (1 + w * w)
    np.testing.assert_allclose(solution(x[:, None])[:, 0], truth, atol=1e-5)


def test_knots_are_where_they_are_told_and_points_follow() -> None:
    knots = np.array([0.0, 0.1, 0.3, 0.8, 2.0])
    model = KAN([1, 1], k=5)
    pde.solve(model, [oscillator(40), start()], knots={0: knots}, ladder=[4])
    np.testing.assert_allclose(model.act_fun[0].grid[0, 5:-5], knots)
    seen = []
    equation = pde.Equation(pde.Interior([0.0], [2.0], 40), lambda x, u, du: seen.append(x) or du[:, 0] + u)
    pde.solve(KAN([1, 1], k=5), [equation], knots={0: knots}, ladder=[4])
    counts = np.histogram(seen[0][:, 0], knots)[0]
    assert counts.min() >= 8


def test_normals_reach_a_residual_that_asks_for_them() -> None:
    """u'' = 2 with u'(0) = 0 at the low end and u + u' = 3 at the high one: u = x^2."""
    ends = pde.Boundary([0.0], [1.0], 1)
    np.testing.assert_array_equal(ends.draw().normal, [[-1.0], [1.0]])

    def robin(x: Array, u: Array, du: Array, normal: Array) -> Array:
        high = normal[:, 0] > 0
        return normal[:, 0] * du[:, 0] + high * (u - 3.0)

    equations = [
        pde.Equation(pde.Interior([0.0], [1.0], 20), lambda x, u, du, d2u: d2u[:, 0] - 2.0),
        pde.Equation(ends, robin),
    ]
    solution = pde.solve(KAN([1, 1], k=5), equations, ladder=[3])
    x = np.linspace(0, 1, 9)[:, None]
    np.testing.assert_allclose(solution(x), x**2, atol=1e-9)


@pytest.mark.jit
def test_the_same_seed_gives_the_same_bits() -> None:
    found = [pde.solve(KAN([1, 2, 1], k=5), [oscillator(), start()], draws=1, ladder=[3]) for _ in range(2)]
    assert found[0].model.params.tobytes() == found[1].model.params.tobytes()


def test_a_model_that_has_learned_goes_on() -> None:
    model = KAN([1, 1], k=7)
    pde.solve(model, [oscillator(), start()], ladder=[4])
    coarse = error(model)
    again = pde.solve(model, [oscillator(), start()], ladder=[16])
    assert error(again) < 0.05 * coarse
    assert len(again.history) < 30


def test_a_callback_can_end_it_and_sees_every_step() -> None:
    seen = []

    def stop(state: pde.PDEState) -> None:
        seen.append(state)
        if len(seen) == 2:
            raise StopIteration

    solution = pde.solve(KAN([1, 1], k=7), [oscillator(), start()], callback=stop)
    assert solution.status == "callback"
    assert [state.step for state in seen] == [1, 2]
    assert len(solution.history) == 2


# --- unknowns -----------------------------------------------------------------------------------------------------


def decay_data(noise: float, n: int = 40, seed: int = 0) -> tuple[Array, Array]:
    t = np.linspace(0.0, 3.0, n)[:, None]
    return t, np.exp(-0.7 * t[:, 0]) + noise * np.random.default_rng(seed).normal(size=n)


def law(x: Array, u: Array, du: Array, rate: float) -> Array:
    return du[:, 0] + rate * u


@pytest.mark.filterwarnings("ignore:.* of the fresh points leave")
def test_data_that_a_network_fits_exactly_have_the_least_noise_that_numbers_know() -> None:
    data = pde.Equation([[0.5, 0.5], [0.5, 0.2]], lambda x, u: u - 1.0, noise="estimate")
    box = pde.Interior([0.0, 0.0], [1.0, 1.0], 40)
    heat = pde.Equation(box, lambda x, u, du, d2u, rate: du[:, 0] - rate * d2u[:, 1])
    solution = pde.solve(KAN([2, 2, 1], k=5), [heat, data], unknowns={"rate": 1.0}, ladder=[2], draws=1)
    assert 0.0 < solution.deviations[1] < 1e-10
    assert np.isfinite(solution.unknowns["rate"])


@pytest.mark.parametrize("noise", ["estimate", 0.02])
def test_a_rate_is_found_from_noisy_data_with_its_standard_error(noise: Any) -> None:
    """Beside the least-squares fit of a exp(-rate t), which knows the solution's form."""
    from scipy.optimize import curve_fit

    t, y = decay_data(0.02)
    best, covariance = curve_fit(lambda t, a, r: a * np.exp(-r * t), t[:, 0], y, [1.0, 1.0])
    equations = [
        pde.Equation(pde.Interior([0.0], [3.0], 60), law),
        pde.Equation(t, lambda x, u: u - y, noise=noise),
    ]
    solution = pde.solve(KAN([1, 1], k=5), equations, unknowns={"rate": 1.5}, ladder=[4])
    error = np.sqrt(covariance[1, 1])
    assert solution.regime == "converged"
    assert abs(solution.unknowns["rate"] - best[1]) < 0.2 * error
    assert 0.75 < solution.standard_errors["rate"] / error < 1.3
    assert 0.015 < solution.deviations[1] < 0.026


def test_without_noise_there_are_no_standard_errors_and_the_message_says_so() -> None:
    t, y = decay_data(0.0)
    equations = [pde.Equation(pde.Interior([0.0], [3.0], 60), law), pde.Equation(t, lambda x, u: u - y)]
    solution = pde.solve(KAN([1, 1], k=5), equations, unknowns={"rate": 1.5}, ladder=[4, 8])
    assert solution.unknowns["rate"] == pytest.approx(0.7, abs=1e-4)
    assert np.isnan(solution.standard_errors["rate"])
    assert "Standard errors need an equation with `noise`" in solution.message


# --- what it refuses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "settings", "text"),
    [
        (
            KAN([1, 1], k=2),
            {},
            "Argument `model` must have splines of a degree k above 2, the order of the equations, not 2",
        ),
        (KAN([1, 1], k=5, dtype=np.float32), {}, "Argument `model` must be of float64, not float32"),
        (KAN([2, 1], k=5), {}, "Argument `points` must have 2 columns as the model has inputs, not 1"),
        (KAN([1, 1], k=5), {"unknowns": {"rate": np.nan}}, r"Argument `unknowns\['rate'\]` must be finite"),
        (KAN([1, 1], k=5), {"ladder": []}, "Argument `ladder` must be 'auto' or a list of integers"),
        (
            KAN([1, 1], k=5),
            {"knots": {0: [1.0, 0.0]}},
            r"Argument `knots\[0\]` must be at least two increasing numbers",
        ),
        (KAN([1, 1], k=5), {"periodic": [1]}, r"Argument `periodic\[0\]` must be an input, below 1, not 1"),
        (KAN([1, 1], k=5), {"transform": 3}, r"Argument `transform` must be a pair \(g, d\) of functions, not 3"),
    ],
)
def test_what_solve_refuses(model: KAN, settings: Any, text: str) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        pde.solve(model, [oscillator()], **settings)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([[0.0]], 3), "Argument `residual` must be callable, not 3"),
        (([0.0], lambda x, u: u), r"Argument `points` must have shape \(n, n_columns\)"),
        (([[np.nan]], lambda x, u: u), "Argument `points` must be finite"),
        (([[0.0]], lambda x, u: u, 0.0), "Argument `weight` must be greater than 0"),
        (([[0.0]], lambda x, u: u, 1.0, -1.0), "Argument `noise` must be positive and finite"),
        (([[0.0]], lambda x, u: u, 1.0, "guess"), "Argument `noise` must be None, 'estimate' or deviations"),
    ],
)
def test_what_an_equation_refuses(arguments: Any, text: str) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        pde.Equation(*arguments)


def test_a_residual_says_what_it_takes() -> None:
    with pytest.raises(ValueError, match=r"Argument `equations\[0\].residual` must take \(x, u\)"):
        pde.solve(KAN([1, 1], k=5), [pde.Equation([[0.0]], lambda x: x)])
    with pytest.raises(ValueError, match="must be a Boundary for a residual with normals"):
        pde.solve(KAN([1, 1], k=5), [pde.Equation([[0.0]], lambda x, u, normal: u)])


def test_samplers_fill_their_box() -> None:
    x = pde.Interior([0.0, 2.0], [1.0, 4.0], 64).draw().x
    counts = np.histogram2d(x[:, 0], x[:, 1], bins=4, range=[[0, 1], [2, 4]])[0]
    assert counts.min() >= 2
    faces = pde.Boundary([0.0, 2.0], [1.0, 4.0], 8)
    sampled = faces.draw()
    assert sampled.x.shape == (32, 2)
    for i, end, value in ((0, 0, 0.0), (0, 1, 1.0), (1, 0, 2.0), (1, 1, 4.0)):
        rows = slice(8 * (2 * i + end), 8 * (2 * i + end + 1))
        assert (sampled.x[rows, i] == value).all()
        assert (sampled.normal[rows] == (2 * end - 1) * np.eye(2)[i]).all()
    assert not np.array_equal(faces.draw(np.random.default_rng(0)).x, sampled.x)


def test_a_network_that_cannot_obey_a_law_says_that_its_standard_errors_are_too_small() -> None:
    """One parabola for exp(-0.7 t), whose error is a thousand times the noise."""
    t, y = decay_data(1e-5)
    equations = [
        pde.Equation(pde.Interior([0.0], [3.0], 60), law),
        pde.Equation(t, lambda x, u: u - y, noise=1e-5),
    ]
    solution = pde.solve(KAN([1, 1], grid=1, k=2), equations, unknowns={"rate": 1.0}, ladder=[1])
    assert solution.regime == "limited"
    assert "standard errors may be too small" in solution.message
    finer = pde.solve(KAN([1, 1], k=7), equations, unknowns={"rate": 1.0}, ladder=[4])
    assert finer.regime == "converged"
    assert abs(finer.unknowns["rate"] - 0.7) < 3 * finer.standard_errors["rate"] < 1e-3


def test_a_time_limit_ends_it_and_an_unfinished_first_stage_leaves_the_model() -> None:
    model = KAN([1, 2, 1], k=5)
    before = model.params
    solution = pde.solve(model, [oscillator(), start()], time_limit=1e-9)
    assert solution.status == "time limit"
    assert model.params.tobytes() == before.tobytes()


def law_free(x: Array, u: Array, du: Array) -> Array:
    return du[:, 0] + u


def test_activations_that_leave_their_grids_at_fresh_points_are_a_warning() -> None:
    model = KAN([1, 1, 1], k=3, base_fun="zero")
    model.act_fun[0].coef[...] = np.arange(8.0)  # a line whose values hidden grids do not reach
    solver = Solver(
        model, [pde.Equation(pde.Interior([0.0], [1.0], 9), law_free)], {}, None, ({}, ()), np.random.default_rng(0)
    )
    with pytest.warns(UserWarning, match=r"100.00% of the fresh points leave the hidden grids"):
        assert solver._coverage(model, warn=True) == 0.0


def test_two_outputs_and_four_rates_of_a_system() -> None:
    """Two decays that feed each other, of which the data see both."""
    from scipy.linalg import expm

    matrix = np.array([[-0.5, 0.2], [0.3, -0.8]])
    t = np.linspace(0, 4, 30)
    exact = np.array([expm(matrix * s) @ [1.0, 2.0] for s in t])
    y = exact + 0.01 * np.random.default_rng(0).normal(size=exact.shape)

    def system(x: Array, u: Array, du: Array, a: float, b: float) -> Array:
        return du[:, :, 0] - u @ np.array([[a, 0.2], [0.3, b]]).T

    equations = [
        pde.Equation(pde.Interior([0.0], [4.0], 60), system),
        pde.Equation(t[:, None], lambda x, u: u - y, noise="estimate"),
    ]
    solution = pde.solve(KAN([1, 2], k=5), equations, unknowns={"a": 0.0, "b": 0.0}, ladder=[6])
    for name, truth in (("a", -0.5), ("b", -0.8)):
        assert abs(solution.unknowns[name] - truth) < 3 * solution.standard_errors[name] < 0.05
    assert 0.007 < solution.deviations[1] < 0.013


def test_third_derivatives_of_what_is_linear_over_a_short_window_are_0() -> None:
    from numkan.layer.jets import Pairs

    x = np.random.default_rng(0).uniform([0.2, -1], [0.225, 1], (50, 2))
    found = function_jets(lambda x: (x[:, 0] - 0.2) / 0.025, x, 3, Pairs.of(2))
    np.testing.assert_allclose(found.first[:, 0], np.tile([40.0, 0.0], (50, 1)), atol=1e-9)
    np.testing.assert_allclose(found.second, 0, atol=1e-6)
    np.testing.assert_allclose(found.third[:, 0, 1], 0, atol=1e-8)


def test_too_few_points_are_told() -> None:
    wave = pde.Equation(
        pde.Interior([0.0], [1.0], 9),
        lambda x, u, du: du[:, 0] - np.cos(40 * x[:, 0]),
        fresh=np.linspace(0, 1, 200)[:, None],
    )
    solution = pde.solve(KAN([1, 1], k=5), [wave], ladder=[16])
    assert "Between its points equation 0 holds" in solution.message
    assert "Between" not in pde.solve(KAN([1, 1], k=7), [oscillator(60), start()]).message
