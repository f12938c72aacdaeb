"""The class that users see: a network that can be trained and saved."""

from __future__ import annotations

import os
from typing import Self

from numkan.base import Function
from numkan.export import explore, to_c, to_numpy, to_scipy
from numkan.model.archive import load, save
from numkan.model.network import Network
from numkan.model.posterior import predict_std, sample
from numkan.model.prune import edge_scores, prune
from numkan.model.score import predict, score
from numkan.train.fit import fit

__all__ = ["KAN"]


class KAN(Network):
    r"""A Kolmogorov-Arnold network: nodes add, and every edge is a function of one variable that is learned.

    .. math::

        y_o = \sum_i \phi_{io}(x_i), \qquad
        \phi_{io}(x) = m_{io} \left( s^{base}_{io}\, b(x) + s^{sp}_{io} \sum_p c_{iop}\, B_{p,k}(x; t_i) \right)

    in each layer, with B-splines of degree k on a grid of its own for every input.

    Parameters
    ----------
    width : list of int
        Number of nodes: inputs, hidden layers, outputs.
    grid, k : int or list of int
        Grid intervals G and degree, for all layers or one for each.
    noise_scale, scale_base_mu, scale_base_sigma, base_fun, grid_eps, grid_range
        As for every layer, see :class:`numkan.KANLayer`.
    sp_trainable, sb_trainable, extrapolate, init, seed, dtype
        The same; `seed` feeds one local generator for all layers.

    Attributes
    ----------
    act_fun : tuple of KANLayer
        The layers. ``act_fun[0].coef`` and the like are live views; they become read-only when the model changes its
        shape.
    width, depth, grid, k, dtype, n_in, n_out, n_params
        Shape and settings of the network.
    extrapolate : str or tuple of str
        Policy outside the grids, of all layers, or of each where they differ. Assignable, as either.
    params : ndarray, shape (n_params,)
        All trainable parameters; a copy when read, and assignable as a whole.

    Raises
    ------
    ValueError, TypeError
        One sentence that names the argument, its rule and its value.
    AttributeError
        If an attribute is set that the class does not have, such as a misspelled one. A subclass declares its own
        attributes in its body, for instance ``history: list[float]``.

    References
    ----------
    Z. Liu et al., "KAN: Kolmogorov-Arnold networks", arXiv 2404.19756 (2024).

    Examples
    --------
    >>> import numpy as np
    >>> from numkan import KAN
    >>> model = KAN(width=[2, 5, 1], grid=5, k=3, seed=0)
    >>> model
    KAN(width=[2, 5, 1], grid=5, k=3, extrapolate='continue', dtype=float64)
    >>> x = np.random.default_rng(0).uniform(-1, 1, (100, 2))
    >>> y = np.exp(np.sin(np.pi * x[:, :1]) + x[:, 1:] ** 2)
    >>> loss, grad = model.loss_and_grad(x, y)
    >>> grad.shape == model.params.shape
    True
    >>> sorted(model.unravel(grad)[0])
    ['coef', 'scale_base', 'scale_sp']
    """

    edge_scores = edge_scores
    explore = explore
    fit = fit
    predict = predict
    predict_std = predict_std
    prune = prune
    sample = sample
    score = score
    to_c = to_c
    to_numpy = to_numpy
    to_scipy = to_scipy

    # --- files ----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, posterior: bool = False) -> None:
        """Write the model to one plain ``.npz`` file, exact in every bit and without pickle.

        The same model makes the same bytes. The file is written beside its place and then renamed, so that a crash
        never leaves half of it, nor loses an older one.

        Parameters
        ----------
        path : str or path
            Used as it is; ``.npz`` is the usual ending.
        posterior : bool
            Whether to save how sure the fit was, for :meth:`predict_std` and :meth:`sample`: the square of the number
            of coefficients more numbers. A RuntimeError if the model has no posterior.

        Notes
        -----
        ``numpy.load(path)`` opens the file. It has these members, with one of each array for each layer, from
        ``layer_0.`` on; in C order, little-endian, in the model's dtype:

        ``config``
            JSON as bytes (uint8): ``program``, ``format`` (1), ``dtype``, and ``layers``, a list of objects with
            ``n_in``, ``n_out``, ``G``, ``k``, ``base_fun`` (``"silu"``, ``"identity"``, ``"zero"``, or ``"given"`` for
            functions of the user's, which are not in the file), ``extrapolate``, ``grid_eps``, ``sp_trainable`` and
            ``sb_trainable``.
        ``grid``, shape (n_in, G + 2k + 1)
            Knots of each input. The domain goes from column k to column G + k.
        ``coef``, shape (n_in, n_out, G + k)
            Coefficients: of input i, output o and B-spline p at ``[i, o, p]``.
        ``scale_base``, ``scale_sp``, ``mask``, shape (n_in, n_out)
            Factors of each edge's base function, of its spline, and of both.
        ``encoding``
            JSON as bytes, if ``numkan fit`` made the model: how columns of a table become the inputs.
        ``posterior``, ``posterior.root``
            The posterior, if it is saved.

        Outside the domain the spline is, by the layer's policy: under ``continue`` the polynomial of the outermost span
        for 3 % of the domain's length, then a straight line with its value and slope; under ``linear`` such a line from
        the end on; under ``clamp`` the value at the end; under ``fade`` the B-splines on all knots, which fall to 0;
        under ``nan`` NaN; under ``raise`` an error. ``docs/file_format.md`` describes the format in full, and has a
        reader of 20 lines in NumPy alone.

        Examples
        --------
        >>> import tempfile
        >>> from numkan import KAN
        >>> model = KAN([2, 5, 1])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.npz")
        ...     again = KAN.load(f"{folder}/model.npz")
        >>> again.params.tobytes() == model.params.tobytes()
        True
        """
        save(self, path, posterior=posterior)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, base_fun: tuple[Function, ...] | None = None) -> Self:
        """Read a model that :meth:`save` wrote. The file is checked, as a whole, before anything is built from it.

        Parameters
        ----------
        path : str or path
        base_fun : (callable, callable), optional
            The pair (value, derivative) of a model that was made with one: functions are not in the file.

        Raises
        ------
        OSError
            If there is no such file, or reading it is not permitted.
        ValueError
            If it is not a complete file that numkan wrote, or `base_fun` is missing or given without need.

        Examples
        --------
        >>> import tempfile
        >>> from numkan import KAN
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     KAN([2, 5, 1], grid=7).save(f"{folder}/model.npz")
        ...     KAN.load(f"{folder}/model.npz")
        KAN(width=[2, 5, 1], grid=7, k=3, extrapolate='continue', dtype=float64)
        """
        return load(path, cls, base_fun)
