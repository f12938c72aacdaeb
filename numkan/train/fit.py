"""``model.fit``: arguments are checked before anything changes, then the fit is carried out in one of three ways."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from numkan._check import check_effort, check_flag, check_integer, check_number, check_seed
from numkan._shown import shown
from numkan.model.network import Network
from numkan.model.regularization import Penalties
from numkan.train.arguments import Asked, as_called
from numkan.train.climbs import fit_by_least_squares
from numkan.train.curves import WEIGHT
from numkan.train.exclusive import one_at_a_time
from numkan.train.gradient import fit_by_gradients
from numkan.train.history import FitResult, FitState
from numkan.train.likelihood import fit_by_likelihood
from numkan.train.many_rows import RowClimbs
from numkan.train.prepared import Prepared, prepare
from numkan.train.robust import tuned
from numkan.train.row_batches import Streamed
from numkan.train.same_fit import Files
from numkan.train.samples import merged
from numkan.train.scale import Scale
from numkan.train.session import Settings

__all__ = ["fit"]


@one_at_a_time
def fit(
    self: Network,
    x: Any,
    y: Any = None,
    *,
    method: str = "auto",
    steps: int | str = "auto",
    grids: int | Sequence[int] | str | None = "auto",
    loss: Any = "mse",
    sample_weight: Any = None,
    validation: Any = "auto",
    patience: int | None = None,
    start: str = "auto",
    restarts: int | str = "auto",
    penalty: float | str | None = "auto",
    monotonic: Any = None,
    convex: Any = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    lamb: float = 0.0,
    lamb_l1: float = 1.0,
    lamb_entropy: float = 2.0,
    lamb_coef: float = 0.0,
    lamb_coefdiff: float = 0.0,
    update_grid: bool = True,
    grid_update_num: int = 5,
    callback: Callable[[FitState], object] | None = None,
    progress: bool = False,
    effort: float = 1.0,
    time_limit: float | None = None,
    random_state: int | np.random.Generator | None = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int = 10,
    resume: str | os.PathLike[str] | None = None,
) -> FitResult:
    """Train the model on samples, in place.

    By default, losses with a curvature are fitted by Levenberg-Marquardt. It draws parameters on coarse grids, in place
    of those that the constructor drew, until a draw does not get stuck (if all do, the best of them are compared on
    finer grids). It then refines the grids, keeping the function, as long as the error at held-out samples falls.
    Penalties on roughness, whose weights are estimated from the data, keep the fit from following noise and fill empty
    cells smoothly. At the end all samples are fitted once more. With one layer, classes, counts and a user's loss need
    no draws (:mod:`numkan.train.likelihood`). Larger problems and other losses are fitted by L-BFGS or Adam, which
    begin from the model's parameters. Inputs and targets may be in any units.

    Parameters
    ----------
    x : array_like, shape (n, n_in), or numkan.data.Rows, or an array or data frame of dask
        Rows in files or memory maps have their targets with them, and are fitted in bounded memory by sums over blocks:
        of squares, by Levenberg-Marquardt, which climbs the ladder on a sample of 50,000 rows and takes all of them in
        the last stage, or with method "adam" on mini-batches of all rows. So are arrays of more than 200,000 rows where
        the first method is the default for the sample, and collections of dask, whose rows stay with its workers.
    y : array_like, shape (n, n_out), or (n,) where there is one output
        Integer labels (n,) for cross-entropy.
    method : {"auto", "lm", "lbfgs", "adam"}
        Levenberg-Marquardt in effective coefficients (losses with a curvature, without `lamb`), L-BFGS on all samples,
        or Adam on mini-batches. By default the first whose steps are cheap enough; `chosen` of the result says which
        and why.
    steps : int or "auto"
        The largest number of steps in a stage. By default 80 of Levenberg-Marquardt, 2000 of L-BFGS, 60 passes of Adam.
        A stage ends earlier if steps gain less than 1 %, or with L-BFGS 50 steps less than 2 %.
    grids : list of int, int, "auto" or None
        Intervals G of the stages, such as ``[3, 5, 10, 20]``; None keeps the model's. By default up to as many
        coefficients as the samples can determine: Levenberg-Marquardt from G = 5 (or the model's own G, if training
        continues) in ratios of about 5, the others from the model's G in doublings.
    loss : {"mse", "cross_entropy", "huber", "logistic", "poisson"}, or a user's own
        ``"logistic"`` is of one output, a logit, and targets 0 or 1; ``"poisson"`` of logarithms of rates, and counts.
        A user's own is a tuple (value, derivative) or (value, derivative, curvature) of functions of (prediction,
        target), each (n, n_out) in and out, one value an entry. ``"huber"`` takes its delta from the residuals with
        Levenberg-Marquardt (`chosen` of the result says it), and else 1; :class:`numkan.Huber` has one given. See
        :mod:`numkan.model.losses`.
    sample_weight : array_like, shape (n,), optional
        Only ratios matter, but where Levenberg-Marquardt fits a likelihood (``"cross_entropy"``, ``"logistic"``,
        ``"poisson"``): there a weight is a number of equal samples.
    validation : "auto", None, float, (x, y) or (x, y, sample_weight)
        Validation samples, which the training does not use: given, or that share of the samples, drawn with
        `random_state`; copies (rows of equal x) stay on one side, and shares and numbers of samples count them once. By
        default 15 % with ``grids="auto"`` (from 40 samples on), none otherwise, and none with Levenberg-Marquardt for
        classes, counts or a user's loss and one layer, where evidence is enough. With validation samples, the best
        parameters are those of the least validation loss, and a finer grid that does not lower it ends the ladder. If
        Levenberg-Marquardt held the samples out itself, it then fits all of them. If their error shows that it has
        fitted noise, it climbs the ladder once more, with at least that estimate of the noise.
    patience : int, optional
        A stage ends if this many steps in a row have not lowered the validation loss; 100 by default (Adam: 20 epochs).
        Stages of Levenberg-Marquardt end by themselves.
    start : {"auto", "keep", "redraw"}
        Whether Levenberg-Marquardt may draw new parameters. "auto" does so only if parameters, grids and masks are byte
        for byte those that the constructor drew; it continues from any other model (fitted, loaded, written into,
        regridded, refined, pruned, imported). "redraw" always draws. Masks are kept; trainable base scales become 0,
        because splines need no base function; `scale_sp` is kept. L-BFGS and Adam begin from the model's parameters;
        those of a new model are scaled to the units of the targets, unless "keep" is given. With every method: if an
        input is constant in the training samples, a fit of a new model sets its edges to 0 (except base scales that are
        not trained), so that the input has no effect when it varies later. If training continues, the edges keep their
        curves.
    restarts : int or "auto"
        The largest number of draws; 30 by default. Fewer are made if one of them is good, or three agree. By default
        the ladder is climbed up to twice more, from other draws, if the last refinement has hardly lowered the error
        although the residuals are not noise (:mod:`numkan.train.order`). `status` is "stuck" if that did not help.
    penalty : "auto", None or float
        "auto" weighs roughness by evidence (:mod:`numkan.train.evidence`); None leaves it out; a number is one weight
        for the jumps of the highest derivative, in units of a target's deviation, a node's range and the number of
        samples (without noise 1e-20, say). With cross-entropy, the weight of a penalty on curves that rise, 0.1 by
        default (:mod:`numkan.train.curves`): without it, classes that can be told apart without error get
        probabilities of 0 and 1. `loss` of the result is without it, `objective` with it, and where samples are held
        out it counts in the choice of the best parameters. Sums of squares by L-BFGS or Adam have none.
    monotonic : list of -1, 0 and 1, optional
        For every input, whether the outputs rise with it (1), fall (-1), or neither is known (0): everywhere, outside
        the data too, in all layers, and to rounding (:mod:`numkan.model.shapes` has the proof). With cross-entropy and
        two classes, the odds of the second one. By Levenberg-Marquardt alone, for the policies "linear" and "clamp".
        With hidden layers, edges that could break it are set to 0. Posteriors do not know of it.
    convex : list of -1, 0 and 1, optional
        The same for models of one layer that are convex (1) or concave (-1) in an input, for the policy "linear".
    batch_size : int, optional
        Of Adam's mini-batches; 256 by default.
    learning_rate : float, optional
        Of Adam; 0.01 by default. It falls to 0 along a cosine in every stage. L-BFGS has none.
    lamb : float
        Weight of the regularization in the objective, loss + lamb * regularization. In mini-batches the regularization
        is that of the batch.
    lamb_l1, lamb_entropy, lamb_coef, lamb_coefdiff : float
        Weights of its terms, pykan's; see :mod:`numkan.model.regularization` for the formulas.
    update_grid : bool
        Whether grids are laid over the data, and follow them. If False, only `grids` changes them.
    grid_update_num : int
        Updates of the hidden grids in a stage: L-BFGS after 5, 10, 20, 40, ... steps; Adam's last after a quarter.
    callback : callable, optional
        Called as ``callback(state)`` after every accepted step, with a :class:`numkan.train.FitState`; the model is at
        that step. To stop the fit, raise StopIteration in it.
    progress : bool
        Whether to show a bar, which needs tqdm.
    effort : float
        Scales the work that Levenberg-Marquardt may spend on starts: the draws, and the further climbs.
    time_limit : float, optional
        Seconds, checked at every step. If samples are held out, the ladder may use at most half of the time.
    random_state : int, numpy.random.Generator or None
        Source of the random numbers (starts, validation samples, mini-batches). The same one gives the same bits on one
        machine with one build of BLAS and the same settings of Numba, for any number of threads of numkan and of BLAS,
        and on a busy machine too (unless `time_limit` is given).
    checkpoint : str or path, optional
        A file from which the fit can be resumed after Ctrl-C, a crash or a kill. It is written when the fit begins and
        ends, and after every `every` accepted steps, before `callback` is called. The file under this name is always
        complete.
    every : int
    resume : str or path, optional
        A checkpoint to resume from, with the same model as when that fit began, and the same data and settings: a
        ValueError names a difference. (`checkpoint`, `every`, `callback`, `progress` and `time_limit` may differ.) The
        fit ends with the same bits as without the stop; `callback` is called for new steps only, of which fewer than
        `every` are repeated. Seconds before the stop count, also against `time_limit`. A fit that had ended ends at
        once.

    Returns
    -------
    FitResult
        See :class:`numkan.train.FitResult`. Its `history` has the losses by step; printed, it is a table of the stages.

    Raises
    ------
    OSError
        If a checkpoint cannot be read or written. As the fit begins, the model is as it was; later, at the last
        accepted step.
    ValueError, TypeError
        If an argument is not as said; the model is as it was. A loss that becomes NaN or infinite is no error: the fit
        ends with the best parameters met, and the result says where it began.
    RuntimeError
        If another call of `fit`, in another thread or around this one, is fitting the model.

    Notes
    -----
    Ctrl-C, like any other exception of a signal handler, leaves the model at the last accepted step, perhaps with grids
    already laid anew for the next steps, which may change the loss by a fraction of a percent. While a kernel compiles,
    signals wait for its end, a few seconds at most. To continue, resume from a checkpoint, as if the fit had never
    stopped, or call it again (the memory of the optimizer begins empty).

    BLAS has one thread while a fit runs, in `callback` too, and in other threads of Python; afterwards its number of
    threads is restored. (Accelerate, on macOS, cannot be limited.)

    L-BFGS and Adam measure targets in a power of two near their deviation. On a model as drawn, targets times 2^m give
    predictions times 2^m, to the bit, while no number leaves the range of the dtype (for targets of size 1, abs(m) up
    to 400 in float64, to 60 in float32). It does not hold with `lamb`, which weighs the regularization against losses
    in the caller's units, nor if base scales are not trainable and not 0. Losses and `lamb` are always in the caller's
    units. If values do leave the range, so that the model is not finite, explains nothing or has a loss too large for a
    float, `success` is False.

    Points in the box of the data can leave the grids of hidden layers, where curves are extrapolated: in its corners
    the activations of a node can exceed those at all samples. Levenberg-Marquardt extends hidden grids over the whole
    box (with `update_grid`, without given validation samples, and as far as curves allow it: :mod:`numkan.train.box`).
    If points leave a grid nevertheless, by any method, `message` says by how much. With more than 64 inputs the box is
    ignored, because nearly all of it is far from any sample.

    Under the policies "nan" and "raise" training uses "continue" outside the grids. At the end the hidden grids are
    laid over all training samples once more (with `update_grid`), so that the policy refuses none of them.

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    >>> model = KAN([2, 2, 1], grid=3, seed=0)
    >>> result = model.fit(x, np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2), grids=[3, 6])
    >>> result.loss < 1e-3, model.grid, [stage.grid for stage in result.stages]
    (True, [6, 6], [3, 6])
    """
    if callback is not None and not callable(callback):
        raise TypeError(f"Argument `callback` must be callable or None, not {shown(callback)}.")
    settings = Settings(
        penalties=Penalties(lamb, lamb_l1, lamb_entropy, lamb_coef, lamb_coefdiff),
        update_grid=check_flag("update_grid", update_grid),
        grid_update_num=check_integer("grid_update_num", grid_update_num, 0),
        callback=None if callback is None else as_called(callback),
        progress=check_flag("progress", progress),
        time_limit=None if time_limit is None else check_number("time_limit", time_limit, 0.0),
    )
    asked = Asked(
        method, steps, grids, loss, sample_weight, validation, patience, start, restarts, penalty, monotonic, convex,
        batch_size, learning_rate, check_effort(effort),
    )  # fmt: skip
    rng = check_seed("random_state", random_state)
    files = Files(checkpoint, every, resume)
    files.begin(rng, is_anew=random_state is None)
    prepared = prepare(self, x, y, asked, settings, rng, files)
    with np.errstate(all="ignore"):  # values that are not finite are checked for
        if prepared.plan.method != "lm":
            return _by_gradients(prepared, rng)
        return _by_likelihood(prepared, rng) if prepared.samples.has_fixed_units else _by_squares(prepared, rng)


def _by_gradients(prepared: Prepared, rng: np.random.Generator) -> FitResult:
    """Fit by L-BFGS or Adam."""
    settings, train, rows = prepared.settings, prepared.train, prepared.rows
    session = prepared.session(Scale.of(train, settings.penalties, drawn=settings.anew))
    source = None if rows is None else Streamed.of(rows, train, prepared.rule)
    result = fit_by_gradients(session, rng, source)
    if not (result.success and "penalty" in prepared.plan.chosen):
        return result
    note = f"Curves that rise were penalised by a weight of {WEIGHT:g} (`penalty`), to keep probabilities off 0 and 1."
    return replace(result, message=f"{result.message} {note}")


def _by_likelihood(prepared: Prepared, rng: np.random.Generator) -> FitResult:
    """Fit classes, counts or a user's loss by generalized Gauss-Newton."""
    return fit_by_likelihood(prepared.session(), prepared.everything, prepared.options, rng)


def _by_squares(prepared: Prepared, rng: np.random.Generator) -> FitResult:
    """Fit squares, or Huber's loss with a scale from the targets to begin with, by Levenberg-Marquardt."""
    if prepared.options.tunes:
        y = prepared.samples.goal.y
        first = tuned(prepared.samples, y.astype(np.float64) - np.median(y, axis=0)).goal.loss
        prepared = prepared.with_loss(first)
    prepared = replace(prepared, train=merged(prepared.train), everything=merged(prepared.everything))
    course = None if prepared.rows is None else partial(RowClimbs, rows=prepared.rows)
    return fit_by_least_squares(prepared.session(), prepared.everything, prepared.options, rng, course)
