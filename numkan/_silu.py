r"""silu and its derivatives: kernels of the value and the slope, and higher derivatives of arrays for equations.

With :math:`\sigma = 1 / (1 + e^{-x})` silu is :math:`x \sigma`, and by Leibniz' rule

.. math:: (x \sigma)^{(\nu)} = x\, \sigma^{(\nu)} + \nu\, \sigma^{(\nu - 1)}, \qquad
          \sigma' = \sigma (1 - \sigma), \quad \sigma'' = \sigma' (1 - 2 \sigma), \quad
          \sigma''' = \sigma' (1 - 6 \sigma'), \quad \sigma'''' = \sigma'' (1 - 12 \sigma').
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from numkan._check import FloatArray
from numkan.compile import kernel

__all__ = ["silu_derivatives", "silu_kernel"]

# --- kernels ----------------------------------------------------------------------------------------------------------
#
# The exponential is written out so that the compiler can vectorize loops over it. On a host without Intel's vector
# mathematics library, ``exp`` costs as much as the whole rest of an edge.
#
# exp(x) = 2^n exp(r), n = round(x / log 2), |r| <= log(2) / 2 (Cody and Waite 1980, ch. 6): log 2 is split in two so
# that x - n log 2 is exact to the last bit, exp(r) is its Taylor polynomial, and 2^n is put together from its bits.
# Adding 1.5 * 2^52 (2^23) rounds to an integer and leaves it in the low bits of the sum.

_MAGIC_64 = 1.5 * 2.0**52
_LOG2E = 1.4426950408889634
_LN2_HIGH_64 = 0.6931471803691238
_LN2_LOW_64 = 1.9082149292705877e-10
_CLAMP_64 = 708.0  # beyond, 2^n leaves the normal range

_MAGIC_32 = np.float32(1.5 * 2.0**23)
_LOG2E_32 = np.float32(_LOG2E)
_LN2_HIGH_32 = np.float32(0.693359375)
_LN2_LOW_32 = np.float32(-2.12194440e-4)
_CLAMP_32 = np.float32(87.0)
_ONE_32 = np.float32(1)
_TAYLOR_32 = tuple(np.float32(1 / d) for d in (5040, 720, 120, 24, 6, 2))
_C7, _C6, _C5, _C4, _C3, _C2 = _TAYLOR_32


@kernel
def _exp64(x):  # type: ignore[no-untyped-def]
    """Return exp(x) for abs(x) <= 708, within 1.5 units in the last place."""
    shifted = np.float64(x * _LOG2E + _MAGIC_64)
    n = shifted - _MAGIC_64
    r = (x - n * _LN2_HIGH_64) - n * _LN2_LOW_64
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * (r * r) + r + 1.0
    exponent = np.int64(((shifted.view(np.int64) + np.int64(1023)) & np.int64(0x7FF)) << np.int64(52))
    return p * exponent.view(np.float64)


@kernel
def _exp32(x):  # type: ignore[no-untyped-def]
    """Return exp(x) for abs(x) <= 87, within 1.5 units in the last place."""
    shifted = np.float32(x * _LOG2E_32 + _MAGIC_32)
    n = shifted - _MAGIC_32
    r = (x - n * _LN2_HIGH_32) - n * _LN2_LOW_32
    p = _C7
    p = p * r + _C6
    p = p * r + _C5
    p = p * r + _C4
    p = p * r + _C3
    p = p * r + _C2
    p = p * (r * r) + r + _ONE_32
    exponent = np.int32(((shifted.view(np.int32) + np.int32(127)) & np.int32(0xFF)) << np.int32(23))
    return p * exponent.view(np.float32)


@kernel
def _silu64(at):  # type: ignore[no-untyped-def]
    """Return silu and its derivative. NaN fails both comparisons and is kept."""
    inside = -_CLAMP_64 if at < -_CLAMP_64 else (_CLAMP_64 if at > _CLAMP_64 else at)
    e = _exp64(-inside)
    sigmoid = 1.0 / (1.0 + e)
    slope = sigmoid + sigmoid * (inside * (e * sigmoid))
    return 0.0 if at < -_CLAMP_64 else at * sigmoid, 0.0 if at < -_CLAMP_64 else slope


@kernel
def _silu32(at):  # type: ignore[no-untyped-def]
    """Return silu and its derivative. NaN fails both comparisons and is kept."""
    zero = np.float32(0)
    inside = -_CLAMP_32 if at < -_CLAMP_32 else (_CLAMP_32 if at > _CLAMP_32 else at)
    e = _exp32(-inside)
    sigmoid = _ONE_32 / (_ONE_32 + e)
    slope = sigmoid + sigmoid * (inside * (e * sigmoid))
    return zero if at < -_CLAMP_32 else at * sigmoid, zero if at < -_CLAMP_32 else slope


def silu_kernel(dtype: np.dtype[Any]) -> Any:
    """Return the kernel of one number x that returns x / (1 + exp(-x)) and its derivative, for a dtype."""
    return _silu32 if dtype == np.float32 else _silu64


# --- derivatives beyond the first -------------------------------------------------------------------------------------


def _silu_derivative(x: FloatArray, nu: int) -> FloatArray:
    """Return the derivative of order 2, 3 or 4. 1 - sigma is computed without cancellation, as sigma(-x)."""
    e = np.exp(-np.abs(x))
    large, small = 1 / (1 + e), e / (1 + e)
    slope = large * small
    bend = slope * np.where(x < 0, large - small, small - large)
    lower = [slope, bend, slope * (1 - 6 * slope), bend * (1 - 12 * slope)]
    far = np.where(slope > 0, x, 0)  # at infinity too, x times what vanishes is 0
    found: FloatArray = far * lower[nu - 1] + nu * lower[nu - 2]
    return np.where(np.isnan(x), x, found)


#: The second, third and fourth derivative.
silu_derivatives = tuple(partial(_silu_derivative, nu=nu) for nu in (2, 3, 4))
