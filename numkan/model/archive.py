"""Models on disk: one plain ``.npz``, exact in every bit, without pickles, and never half written.

A file is a zip of uncompressed ``.npy`` members, so ``numpy.load(path)`` reads it as well: ``config`` (JSON as bytes)
and, for each layer, ``layer_0.grid``, ``.coef``, ``.scale_base``, ``.scale_sp`` and ``.mask``. A model that was fitted
to a table has ``encoding`` too (JSON as bytes, ``numkan/cli/encoding.py``), which is stored and not interpreted here.
A posterior, if asked for, is ``posterior`` (JSON as bytes) and ``posterior.root``.
Members are sorted and have a fixed date, so the same model makes the same bytes. The reader trusts nothing: it compares
names, dtypes, shapes and sizes with each other and with the size of the file before it makes any array.
``docs/file_format.md`` describes the format for other programs.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from itertools import pairwise
from typing import IO, Any, TypeVar

import numpy as np

from numkan._check import FloatArray, check_flag, check_integer, check_number
from numkan._npz import BROKEN, check_directory, check_path, members_of, read_array, reason, write_members
from numkan._replace_file import replace_file
from numkan._shown import shown
from numkan.base import Function, base_function
from numkan.layer.layer import KANLayer
from numkan.model.network import Network
from numkan.model.posterior import current_posterior, keep_posterior

__all__ = ["load", "save"]

Model = TypeVar("Model", bound=Network)

#: The version of the format, which the reader requires. A change of the format gets the next number.
FORMAT = 1

#: A posterior's root, noise and loss.
_Posterior = tuple[FloatArray, float, str]

#: Members that are not of a layer.
_OPTIONAL = {"config.npy", "encoding.npy", "posterior.npy", "posterior.root.npy"}

_ARRAYS = ("coef", "grid", "mask", "scale_base", "scale_sp")
_SETTINGS = ("G", "base_fun", "extrapolate", "grid_eps", "k", "n_in", "n_out", "sb_trainable", "sp_trainable")

#: Stands for a pair (value, derivative) of functions, which cannot be saved.
_GIVEN = "given"

#: The largest number of layers, and bytes of the zip's list of members, which is parsed as a whole: 128 for each
#: member.
_MAX_LAYERS = 2000
_MAX_DIRECTORY_BYTES = 128 * (len(_OPTIONAL) + len(_ARRAYS) * _MAX_LAYERS)

# --- writing ------------------------------------------------------------------------------------------------------


def save(model: Network, path: str | os.PathLike[str], *, posterior: bool = False) -> None:
    """Write a model to a file, which is complete under its name or not there at all.

    Parameters
    ----------
    model : Network
    path : str or path
        Taken as it is; ``.npz`` is the usual ending.
    posterior : bool
        Whether to write the posterior of its fit too, which may be much larger than the model.

    Raises
    ------
    OSError
        If the file cannot be written, or an older one of that name is read-only; the older one is untouched.
    ValueError
        If the name is that of a pipe or a device, or the model has more layers than can be read again.
    """
    if model.depth > _MAX_LAYERS:
        raise ValueError(f"A model of {model.depth} layers cannot be saved: a file holds at most {_MAX_LAYERS}.")
    members = _members(model)
    if check_flag("posterior", posterior):
        members |= _posterior_members(model)
    replace_file(check_path(path), lambda file: write_members(file, members))


def _posterior_members(model: Network) -> dict[str, Any]:
    """Return the arrays of the posterior by name."""
    found = current_posterior(model)
    about = {"loss": found.loss, "noise": found.noise if found.noise >= 0.0 else None, "size": len(found.root)}
    text = json.dumps(about, sort_keys=True, allow_nan=False).encode()
    return {"posterior": np.frombuffer(text, np.uint8), "posterior.root": found.root.astype("<f8", copy=False)}


def _members(model: Network) -> dict[str, Any]:
    """Return all arrays of a model's file by name, little-endian and in C order."""
    config = {
        "dtype": model.dtype.name,
        "format": FORMAT,
        "layers": [_settings(layer) for layer in model.act_fun],
        "program": "numkan",
    }
    text = json.dumps(config, sort_keys=True, allow_nan=False).encode()
    members: dict[str, Any] = {"config": np.frombuffer(text, np.uint8)}
    if model._encoding is not None:
        members["encoding"] = np.frombuffer(model._encoding, np.uint8)
    for place, layer in enumerate(model.act_fun):
        for name in _ARRAYS:
            array = np.ascontiguousarray(getattr(layer, name))
            members[f"layer_{place}.{name}"] = array.astype(layer.dtype.newbyteorder("<"), copy=False)
    return members


def _settings(layer: KANLayer) -> dict[str, Any]:
    settings = {name: getattr(layer, name) for name in _SETTINGS}
    if not isinstance(layer.base_fun, str):
        settings["base_fun"] = _GIVEN
    return settings


# --- reading ------------------------------------------------------------------------------------------------------


def load(path: str | os.PathLike[str], model_class: type[Model], base_fun: tuple[Function, ...] | None = None) -> Model:
    """Read a model that `save` wrote, bit for bit.

    Parameters
    ----------
    path : str or path
    model_class : type
        The class of the model that is made of the layers.
    base_fun : (callable, callable), optional
        The pair (value, derivative), for a model with a user's base function: functions are not in the file.

    Raises
    ------
    OSError
        If there is no such file, or reading it is not permitted.
    ValueError
        If the file is not a complete one that numkan wrote, or if `base_fun` is missing, or given without need.
    """
    with open(check_path(path), "rb") as file:
        try:
            layers, given, encoding, posterior = _read_layers(file)
        except BROKEN as error:
            raise ValueError(
                f"Argument `path` must name a model that numkan saved, not {os.fspath(path)!r}: {reason(error)}"
            ) from error
    if given and (base_fun is None or isinstance(base_fun, str)):
        raise ValueError(
            "Argument `base_fun` must be the pair (value, derivative) of functions that the saved model was made with, "
            f"not {shown(base_fun)}: functions are not in the file."
        )
    if base_fun is not None and not given:
        raise ValueError(
            f"Argument `base_fun` must be left out for this file, which names the base function "
            f"({layers[0].base_fun!r}), not {shown(base_fun)}."
        )
    for layer in given:
        layer._base = base_function(base_fun)  # type: ignore[arg-type]
    model = model_class._of(layers)
    model._encoding = encoding
    if posterior is not None:
        keep_posterior(model, *posterior)
    return model


def _read_layers(file: IO[bytes]) -> tuple[list[KANLayer], list[KANLayer], bytes | None, _Posterior | None]:
    """Return all layers, those that still need a user's base function, and the encoding and the posterior or None."""
    check_directory(file, _MAX_DIRECTORY_BYTES)
    with zipfile.ZipFile(file) as archive:
        index = members_of(archive, os.fstat(file.fileno()).st_size)
        if "config.npy" not in index:
            raise ValueError("it has no member config.npy.")
        text = read_array(archive, index["config.npy"], np.dtype(np.uint8), None)
        dtype, settings = _check_config(json.loads(text.tobytes()))
        shapes = {
            f"layer_{place}.{name}.npy": shape
            for place, layer in enumerate(settings)
            for name, shape in _shapes(layer).items()
        }
        odd = sorted((set(index) - _OPTIONAL) ^ set(shapes))
        if odd:
            raise ValueError(f"member {odd[0]} is {'missing' if odd[0] in shapes else 'unknown'}.")
        arrays = {name: read_array(archive, index[name], dtype, shape) for name, shape in shapes.items()}
        encoding = _encoding(archive, index.get("encoding.npy"))
        posterior = _posterior(archive, index, settings)
    layers, given = [], []
    for place, layer in enumerate(settings):
        layers.append(_layer(layer, dtype, {name: arrays[f"layer_{place}.{name}.npy"] for name in _ARRAYS}))
        if layer["base_fun"] == _GIVEN:
            given.append(layers[-1])
    return layers, given, encoding, posterior


def _encoding(archive: zipfile.ZipFile, info: zipfile.ZipInfo | None) -> bytes | None:
    """Return the JSON of the encoding as it is in the file, which must be an object; None if the file has none."""
    if info is None:
        return None
    text: bytes = read_array(archive, info, np.dtype(np.uint8), None).tobytes()
    if not isinstance(json.loads(text), dict):
        raise ValueError(f"member {info.filename} is no JSON object.")
    return text


def _posterior(
    archive: zipfile.ZipFile, index: dict[str, zipfile.ZipInfo], settings: list[dict[str, Any]]
) -> _Posterior | None:
    """Return the posterior; None if the file has none."""
    names = {"posterior.npy", "posterior.root.npy"}
    if not names & set(index):
        return None
    if missing := sorted(names - set(index)):
        raise ValueError(f"member {missing[0]} is missing.")
    about = json.loads(read_array(archive, index["posterior.npy"], np.dtype(np.uint8), None).tobytes())
    if not isinstance(about, dict) or sorted(about) != ["loss", "noise", "size"] or not isinstance(about["loss"], str):
        raise ValueError(f"its posterior is {shown(about)}.")
    noise = math.nan if about["noise"] is None else check_number("noise", about["noise"], 0.0)
    size, sizes = check_integer("size", about["size"], 1), [math.prod(_shapes(layer)["coef"]) for layer in settings]
    if size not in (sum(sizes), sizes[-1]):
        raise ValueError(f"its posterior is of {size} coefficients, and the model has {sum(sizes)}.")
    root: FloatArray = read_array(archive, index["posterior.root.npy"], np.dtype(np.float64), (size, size)).copy()
    if not np.isfinite(root).all():
        raise ValueError("its posterior is not finite.")
    return root, noise, about["loss"]


def _check_config(config: Any) -> tuple[np.dtype[Any], list[dict[str, Any]]]:
    """Return the dtype and the settings of each layer, after a check of the numbers among them."""
    if not isinstance(config, dict) or config.get("program") != "numkan":
        raise ValueError("it was not written by numkan.")
    if config.get("format") != FORMAT:
        raise ValueError(f"its format is {shown(config.get('format'))}, and this version of numkan reads {FORMAT}.")
    if config.get("dtype") not in ("float32", "float64"):
        raise ValueError(f"its dtype is {shown(config.get('dtype'))}.")
    layers = config.get("layers")
    if not isinstance(layers, list) or not layers:
        raise ValueError("its config has no layers.")
    for layer in layers:
        if not isinstance(layer, dict) or sorted(layer) != sorted(_SETTINGS):
            raise ValueError(f"a layer has the settings {shown(layer)}, not {', '.join(_SETTINGS)}.")
        for name, minimum in (("n_in", 1), ("n_out", 1), ("G", 1), ("k", 0)):
            check_integer(name, layer[name], minimum)
        for name in ("sp_trainable", "sb_trainable"):
            if not isinstance(layer[name], bool):
                raise TypeError(f"Argument `{name}` must be true or false, not {shown(layer[name])}.")
    for before, after in pairwise(layers):
        if before["n_out"] != after["n_in"]:
            raise ValueError(f"a layer with {before['n_out']} outputs is followed by one with {after['n_in']} inputs.")
    return np.dtype(config["dtype"]), layers


def _shapes(layer: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    edges = (layer["n_in"], layer["n_out"])
    n_basis = layer["G"] + layer["k"]
    return {
        "coef": (*edges, n_basis),
        "grid": (layer["n_in"], n_basis + layer["k"] + 1),
        "mask": edges,
        "scale_base": edges,
        "scale_sp": edges,
    }


def _layer(settings: dict[str, Any], dtype: np.dtype[Any], arrays: dict[str, FloatArray]) -> KANLayer:
    """Return a layer; a user's base function is zero until it is given."""
    layer = KANLayer(
        settings["n_in"],
        settings["n_out"],
        settings["G"],
        settings["k"],
        base_fun="zero" if settings["base_fun"] == _GIVEN else settings["base_fun"],
        grid_eps=settings["grid_eps"],
        sp_trainable=settings["sp_trainable"],
        sb_trainable=settings["sb_trainable"],
        extrapolate=settings["extrapolate"],
        init="power",  # cheap to draw; all parameters are overwritten
        dtype=dtype,
    )
    for name, array in arrays.items():
        setattr(layer, name, array)
    return layer
