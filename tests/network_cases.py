"""Strategies and adapters for the laws of networks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numba import config

from numkan import KAN
from numkan.conformance import strategies
from numkan.conformance.adapter import Array
from numkan.conformance.cases import NetworkCase
from numkan.conformance.own import Numkan, layer_of
from numkan.conformance.own import numbers_of as numbers_of_layer
from numkan.conformance.strategies import random_case as random_case
from numkan.conformance.strategies import random_layer as random_layer
from numkan.conformance.strategies import random_points as random_points
from tests.naive_network import Layer


def tanh_slope(x: Array) -> Array:
    small = np.exp(-2 * np.abs(x))  # where 1 / cosh(x)^2 overflows
    return 4 * small / (1 + small) ** 2


TANH = (np.tanh, tanh_slope)
BASES = ("silu", "identity", "zero", TANH)
POLICIES = ("continue", "fade", "linear", "clamp")

#: Whether this is a form that the suite runs in again: all of it runs with vectors of this machine's width and, with as
#: many lanes as with bounds checked, with the JIT off.
AGAIN = bool(os.environ.get("NUMKAN_VECTOR_WIDTH") or config.BOUNDSCHECK) and not config.DISABLE_JIT

#: Degrees of cases in float32 and in float64. A degree of a dtype compiles for ten seconds and more. It is a number of
#: powers, and chooses tables of 4 lanes (up to 3) or 8: at a further width of vectors, some of each parity and size do.
#: With bounds checked one does, for with the JIT off all are tried.
SINGLE: Sequence[int] = range(6) if config.DISABLE_JIT else (3,) if AGAIN else (1, 3)
DOUBLE: Sequence[int] = ((3,) if config.BOUNDSCHECK else (2, 5)) if AGAIN else range(6)


def model_of(layers: Any) -> KAN:
    """A KAN with these layers."""
    return KAN._of([layer_of(numbers) for numbers in layers])


def numbers_of(model: Any) -> list[Layer]:
    """A model's numbers, copied."""
    return [numbers_of_layer(layer) for layer in model.act_fun]


class NumkanNetworks(Numkan):
    """numkan's layers and networks, base functions of the user's included."""

    def model(self, layers: Any) -> Any:
        return model_of(layers)

    def save(self, layers: Any, path: Any) -> None:
        base_fun = layers[0].base_fun
        self.pair = None if isinstance(base_fun, str) else base_fun
        super().save(layers, path)

    def load(self, path: Any) -> list[Layer]:
        return numbers_of(KAN.load(path, base_fun=self.pair))


def network_cases() -> st.SearchStrategy[NetworkCase]:
    return strategies.network_cases(bases=BASES, degrees={"float32": SINGLE, "float64": DOUBLE})
