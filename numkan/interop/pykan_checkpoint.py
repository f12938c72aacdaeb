"""pykan's checkpoints as arrays and settings: ``NAME_config.yml`` and ``NAME_state``. No code in a file is run.

The state is read with torch's ``weights_only=True`` and the configuration with YAML's safe loader. (The third file,
``NAME_cache_data``, holds samples, which no model needs.)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from numkan._check import FloatArray, check_number
from numkan._shown import shown
from numkan.base import Function, base_function
from numkan.interop._needed import needed, reason
from numkan.interop.pykan_layers import AFFINE, ARRAYS, BASES, Settings, Source, numpy_array

__all__ = ["read_checkpoint"]

_PURPOSE = "Reading a pykan checkpoint"


def read_checkpoint(
    name: str | os.PathLike[str],
    base_fun: str | tuple[Function, ...] | None = None,
    grid_eps: float | None = None,
) -> Source:
    """Read a checkpoint of pykan's ``saveckpt(name)``; with `base_fun` and `grid_eps`, the state alone."""
    state, configuration = Path(f"{os.fspath(name)}_state"), Path(f"{os.fspath(name)}_config.yml")
    if base_fun is not None and grid_eps is not None:
        base_function(base_fun)
        settings, symbolic = Settings(base_fun, check_number("grid_eps", grid_eps, 0, 1)), True
    else:
        settings, symbolic = _settings(configuration)
    arrays, depth = _arrays(state)
    return Source(arrays, [settings] * depth, symbolic)


def _settings(path: Path) -> tuple[Settings, bool]:
    """Return the settings of all layers in a configuration, and whether symbolic edges are computed."""
    instead = "Give `base_fun` and `grid_eps` to read the state alone."
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"Argument `model` must name a checkpoint with {path}, which is not there. {instead}"
        ) from error
    yaml = needed("yaml", _PURPOSE)
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(
            f"Argument `model` must name a checkpoint with plain settings in {path}: {reason(error)}. {instead}"
        ) from error
    if not isinstance(config, dict):
        raise ValueError(
            f"Argument `model` must name a checkpoint with settings in {path}, not {shown(config)}. {instead}"
        )
    flags = {key: config.get(key) for key in ("sp_trainable", "sb_trainable", "symbolic_enabled")}
    for key, flag in flags.items():
        if not isinstance(flag, bool):
            raise ValueError(
                f"Argument `model` must have true or false for {key} in {path}, not {shown(flag)}. {instead}"
            )
    base_fun = config.get("base_fun_name")
    if not isinstance(base_fun, str) or base_fun not in BASES:
        raise ValueError(
            "Argument `model` must have the base function 'silu', 'identity' or 'zero' in layer 0 and the others, "
            f"not {shown(base_fun)} as in {path}. {instead}"
        )
    grid_eps = check_number(f"grid_eps in {path}", config.get("grid_eps"), 0, 1)
    sp, sb, symbolic = (bool(flag) for flag in flags.values())
    return Settings(base_fun, grid_eps, sp, sb), symbolic


def _arrays(path: Path) -> tuple[Mapping[str, FloatArray], int]:
    """Return the arrays of a state by their names, and the number of layers."""
    torch = needed("torch", _PURPOSE)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"Argument `model` must name a checkpoint with {path}, which is not there.") from error
    except Exception as error:  # any error of torch for a broken or foreign file
        raise ValueError(
            f"Argument `model` must name a checkpoint that pykan wrote, not {path}: {reason(error)}."
        ) from error
    if not isinstance(state, Mapping):
        raise ValueError(f"Argument `model` must name a checkpoint that pykan wrote, not {path}: it holds no state.")
    depth = 0
    while f"act_fun.{depth}.coef" in state:
        depth += 1
    known = {
        name
        for place in range(max(depth, 1))
        for name in (
            *(f"act_fun.{place}.{array}" for array in ARRAYS),
            f"symbolic_fun.{place}.mask",
            f"symbolic_fun.{place}.affine",
            *(f"{array}_{place}" for array in AFFINE),
        )
    }
    odd = sorted(known ^ set(state), key=str)
    if odd:
        raise ValueError(
            f"Argument `model` must name a checkpoint of pykan 0.2, not {path}: "
            f"{odd[0]} is {'missing' if odd[0] in known else 'unknown'}."
        )
    return {name: numpy_array(name, state[name]) for name in sorted(known)}, depth
