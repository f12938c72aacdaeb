"""A pykan model without pykan: plain objects that have the attributes, shapes and types of pykan 0.2.8's.

It cannot be called. Its function is that of the slow twin of its numbers, see :func:`twins`.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np

from numkan.conformance.adapter import Array
from tests.naive_network import Layer
from tests.network_cases import random_layer

ARRAYS = ("grid", "coef", "mask", "scale_base", "scale_sp")
AFFINE = ("node_bias", "node_scale", "subnode_bias", "subnode_scale")


class Tensor:
    """As much of a torch tensor as a reader may use."""

    def __init__(self, array: Any, requires_grad: bool = False) -> None:
        self.array, self.requires_grad = np.array(array), requires_grad

    def detach(self) -> Tensor:
        return Tensor(self.array)

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> Array:
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return self.array

    def __iter__(self) -> Any:
        return iter(self.array)


class SiLU:
    def __repr__(self) -> str:
        return "SiLU()"


class Identity:
    def __repr__(self) -> str:
        return "Identity()"


class Tanh:
    def __repr__(self) -> str:
        return "Tanh()"


BASES = {"silu": SiLU(), "identity": Identity(), "zero": lambda x: x * 0.0}


def stand_in(
    width: Any = (2, 3, 1),
    grid: Any = (4, 3),
    k: Any = (3, 2),
    base_fun: str = "silu",
    dtype: Any = np.float64,
    sp_trainable: bool = True,
    sb_trainable: bool = True,
    seed: int = 0,
) -> Any:
    """A model with numbers drawn anew, knots uneven but none repeated."""
    rng, depth = np.random.default_rng(seed), len(width) - 1
    base = BASES[base_fun]
    model = SimpleNamespace(
        width=[[n, 0] for n in width],
        act_fun=[],
        symbolic_fun=[],
        symbolic_enabled=True,
        base_fun=base,
        base_fun_name=base_fun,
        input_id=Tensor(np.arange(width[0])),
        **{name: [] for name in AFFINE},
    )
    for n_in, n_out, G, degree in zip(width[:-1], width[1:], grid, k, strict=True):
        numbers = random_layer(rng, n_in, n_out, G, degree)
        step = 0.01 * np.arange(G + 2 * degree + 1)  # no two knots at one place
        trainable = {"coef": True, "scale_sp": sp_trainable, "scale_base": sb_trainable}
        arrays = {name: getattr(numbers, name) + (step if name == "grid" else 0) for name in ARRAYS}
        tensors = {name: Tensor(array.astype(dtype), trainable.get(name, False)) for name, array in arrays.items()}
        model.act_fun.append(SimpleNamespace(**tensors, base_fun=base, grid_eps=0.25, k=degree, num=G))
        model.symbolic_fun.append(
            SimpleNamespace(
                mask=Tensor(np.zeros((n_out, n_in), dtype)), affine=Tensor(np.zeros((n_out, n_in, 4), dtype))
            )
        )
        for name in AFFINE:
            getattr(model, name).append(Tensor(np.full(n_out, float(name.endswith("scale")), dtype)))
    assert len(model.act_fun) == depth
    return model


def twins(model: Any) -> list[Layer]:
    """The layers of a stand-in (or of a live model) as the slow twin takes them."""

    def array(tensor: Any) -> Array:
        return np.array(tensor.detach().cpu().numpy(), float)

    names = {"SiLU": "silu", "Identity": "identity"}
    return [
        Layer(
            *(array(getattr(layer, name)) for name in ("grid", "coef", "scale_base", "scale_sp", "mask")),
            layer.k,
            names.get(type(layer.base_fun).__name__, "zero"),
            "fade",
        )
        for layer in model.act_fun
    ]


# --- checkpoints, with torch and yaml that are stand-ins too ------------------------------------------------------


def state_of(model: Any) -> dict[str, Array]:
    """What the state of a model holds, by the names that pykan gives."""
    out = {}
    for place, (layer, symbolic) in enumerate(zip(model.act_fun, model.symbolic_fun, strict=True)):
        out |= {f"act_fun.{place}.{name}": getattr(layer, name).array for name in ARRAYS}
        out |= {f"symbolic_fun.{place}.{name}": getattr(symbolic, name).array for name in ("mask", "affine")}
        out |= {f"{name}_{place}": getattr(model, name)[place].array for name in AFFINE}
    return out


def settings_of(model: Any) -> dict[str, Any]:
    """What the configuration of a model says."""
    first = model.act_fun[0]
    return {
        "width": model.width,
        "grid": [layer.num for layer in model.act_fun],
        "k": [layer.k for layer in model.act_fun],
        "mult_arity": 2,
        "base_fun_name": model.base_fun_name,
        "symbolic_enabled": model.symbolic_enabled,
        "grid_eps": first.grid_eps,
        "sp_trainable": first.scale_sp.requires_grad,
        "sb_trainable": first.scale_base.requires_grad,
        "device": "cpu",
    }


def save(name: str, state: Any = None, settings: Any = None) -> None:
    """Write a checkpoint that `fake_torch` and `fake_yaml` read."""
    if state is not None:
        with open(f"{name}_state", "wb") as file:
            np.savez(file, **state)
    if settings is not None:
        with open(f"{name}_config.yml", "w", encoding="utf-8") as file:
            json.dump(settings, file)


def _load(path: Any, *, map_location: Any, weights_only: bool) -> Any:
    assert map_location == "cpu"
    assert weights_only is True
    with np.load(path) as archive:
        return {name: Tensor(archive[name]) for name in archive.files}


fake_torch = SimpleNamespace(load=_load)
fake_yaml = SimpleNamespace(safe_load=json.loads, YAMLError=json.JSONDecodeError)
