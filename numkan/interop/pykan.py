r"""pykan's models as numkan's, and back: the same function with the same parameters.

Both compute

.. math::

    \phi_{io}(x) = m_{io} \Big( s^{base}_{io}\, b(x) + s^{sp}_{io} \sum_p c_{iop}\, B_{p,k}(x; t_i) \Big)

from arrays of the same shapes, so that numbers are copied and nothing is fitted. Outside its grid a spline of pykan
fades to zero, which is the policy ``extrapolate="fade"`` here. On float64, outputs and gradients of the two differ by
rounding only: by less than 1e-12 of the sum of the magnitudes of their terms (near the outermost knots, where all of
them vanish, by less than 1e-15 of the coefficients). One point is an exception: at k = 1 a spline has a corner at the
last interior knot, where pykan takes the slope by x from the right, and numkan from inside.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from numkan import KAN
from numkan._npz import check_path
from numkan._shown import shown
from numkan.base import Function
from numkan.interop._needed import needed
from numkan.interop.pykan_checkpoint import read_checkpoint
from numkan.interop.pykan_layers import ARRAYS, BASES, check_knots, layers_of, source_of_model
from numkan.model.network import Network

__all__ = ["from_pykan", "to_pykan"]


def from_pykan(
    model: Any,
    *,
    base_fun: str | tuple[Function, ...] | None = None,
    grid_eps: float | None = None,
) -> KAN:
    """Return the numkan model that is the same function as a pykan model, with the same parameters.

    Carried over are coefficients, scales, masks, grids, degrees, `grid_eps`, the base function, the dtype, and whether
    the scales are trainable. The policy is ``extrapolate="fade"``, in every layer.

    Parameters
    ----------
    model : pykan model, str or path
        A live model, or the path of a checkpoint that `saveckpt` wrote: ``"model/0.1"`` for the files
        ``model/0.1_config.yml`` and ``model/0.1_state``. No code in a file is run.
    base_fun, grid_eps
        For a checkpoint whose configuration is missing or not plain: the settings that it would have, `base_fun` as for
        :class:`numkan.KAN`. Pass both or none. The configuration is then not read, and scales are trainable.

    Returns
    -------
    KAN

    Raises
    ------
    ValueError
        If the model has something that cannot be carried over: edges that are symbolic, multiplication nodes, a base
        function that numkan does not know, scales of nodes or subnodes that are not 1, biases that are not 0, two knots
        at one place (of which pykan makes something that is no spline), or inputs that `prune_input` chose (select them
        from x, and set ``model.input_id = torch.arange(n)`` first). The message names the layer, counted from 0.
    TypeError
        If `model` is neither.
    OSError
        If there is no such file, or reading it is not permitted.
    ImportError
        If torch or yaml, which a checkpoint is read with, are not installed.

    Examples
    --------
    .. code-block:: python

        import kan
        from numkan.interop import from_pykan

        theirs = kan.KAN(width=[2, 5, 1], grid=5, k=3, auto_save=False)
        model = from_pykan(theirs)
        theirs.saveckpt("mark")
        model = from_pykan("mark")
    """
    path = isinstance(model, str | os.PathLike)
    if path:
        check_path(model, "model")
    if (base_fun is None) != (grid_eps is None):
        name, other = ("base_fun", "grid_eps") if base_fun is None else ("grid_eps", "base_fun")
        raise ValueError(f"Argument `{name}` must be given together with `{other}`, not left out.")
    if base_fun is not None and not path:
        raise ValueError(f"Argument `base_fun` must be left out for a model, which has its own, not {shown(base_fun)}.")
    source = read_checkpoint(model, base_fun, grid_eps) if path else source_of_model(model)
    return KAN._of(layers_of(source))


def to_pykan(model: Network) -> Any:
    """Return the pykan model that is the same function, with the same parameters.

    Carried over is what :func:`from_pykan` reads. The new model is on the CPU, has no symbolic edge, does not save
    itself (``auto_save=False``), and leaves the global random numbers of torch, NumPy and Python as they were.

    Parameters
    ----------
    model : KAN
        Every layer must have ``extrapolate="fade"``, as pykan has no other policy. Where points outside the grids do
        not matter, say so with ``layer.extrapolate = "fade"`` for each of ``model.act_fun``.

    Returns
    -------
    kan.KAN

    Raises
    ------
    ValueError
        If the model has something that pykan has not: another policy, degree 0, a base function of the user's, not the
        same base function in all layers, or two knots of an input at one place. The message names the layer, counted
        from 0.
    TypeError
        If `model` is no network of numkan's.
    ImportError
        If torch or pykan are not installed.

    Examples
    --------
    .. code-block:: python

        from numkan import KAN
        from numkan.interop import to_pykan

        theirs = to_pykan(KAN([2, 5, 1], extrapolate="fade"))
    """
    if not isinstance(model, Network):
        raise TypeError(f"Argument `model` must be a network of numkan, not {type(model).__name__}.")
    _check_for_pykan(model)
    torch, kan = needed("torch", "Making a pykan model"), needed("kan", "Making a pykan model")
    layers = model.act_fun
    with _random_numbers_kept(torch):
        new = kan.KAN(
            width=list(model.width),
            grid=_one_or_all(model.grid),
            k=_one_or_all(model.k),
            grid_eps=layers[0].grid_eps,
            base_fun=layers[0].base_fun,
            auto_save=False,
        )
    new.sp_trainable = all(layer.sp_trainable for layer in layers)
    new.sb_trainable = all(layer.sb_trainable for layer in layers)
    for parameter in new.parameters():
        parameter.data = parameter.data.to(getattr(torch, model.dtype.name))
    for layer, theirs in zip(layers, new.act_fun, strict=True):
        for name in ARRAYS:
            getattr(theirs, name).data = torch.from_numpy(np.array(getattr(layer, name)))
        theirs.grid_eps = layer.grid_eps
        theirs.scale_sp.requires_grad_(layer.sp_trainable)
        theirs.scale_base.requires_grad_(layer.sb_trainable)
    return new


def _check_for_pykan(model: Network) -> None:
    """Raise an error if a model has something that pykan does not support."""
    first = model.act_fun[0].base_fun
    for place, layer in enumerate(model.act_fun):
        rule = value = ""
        if layer.extrapolate != "fade":
            rule, value = "extrapolate 'fade', pykan's policy,", repr(layer.extrapolate)
        elif layer.k == 0:
            rule, value = "a degree of at least 1, as pykan has,", "0"
        elif layer.base_fun not in BASES:
            value = repr(layer.base_fun) if isinstance(layer.base_fun, str) else "functions of the user's"
            rule = "the base function 'silu', 'identity' or 'zero'"
        elif layer.base_fun != first:
            rule, value = f"the base function of layer 0, {first!r},", repr(layer.base_fun)
        if rule:
            raise ValueError(f"Argument `model` must have {rule} in layer {place}, not {value}.")
        check_knots(layer.grid, place)


@contextmanager
def _random_numbers_kept(torch: Any) -> Iterator[None]:
    """Restore the global random states, which pykan's constructor seeds."""
    ours, theirs = np.random.get_state(), random.getstate()  # noqa: NPY002 (it is the legacy state that is seeded)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        np.random.set_state(ours)  # noqa: NPY002
        random.setstate(theirs)


def _one_or_all(values: list[int]) -> int | list[int]:
    """Return one number if all are the same, as pykan's other methods expect."""
    return values[0] if len(set(values)) == 1 else values
