"""Compiled loops over whole vectors: the inner product, the two-loop recursion, Adam's update.

Inner products are summed in float64 for vectors of either dtype, in an order that depends on the length alone, so
neither BLAS nor its threads can change a bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from numkan._check import FloatArray
from numkan.compile import kernel

__all__ = ["adam_update", "inner", "two_loop"]


@kernel
def inner(a: FloatArray, b: FloatArray) -> float:  # (n,), (n,)
    """Sum of a_j b_j, in float64: four interleaved partial sums, which a processor can run side by side."""
    n = a.shape[0]
    whole = n - n % 4
    sum0 = 0.0
    sum1 = 0.0
    sum2 = 0.0
    sum3 = 0.0
    for j in range(0, whole, 4):
        sum0 += np.float64(a[j]) * np.float64(b[j])
        sum1 += np.float64(a[j + 1]) * np.float64(b[j + 1])
        sum2 += np.float64(a[j + 2]) * np.float64(b[j + 2])
        sum3 += np.float64(a[j + 3]) * np.float64(b[j + 3])
    for j in range(whole, n):
        sum0 += np.float64(a[j]) * np.float64(b[j])
    return (sum0 + sum1) + (sum2 + sum3)


@kernel
def two_loop(
    s: FloatArray,  # (memory, n) ring of steps
    y: FloatArray,  # (memory, n) ring of changes of the gradient
    rho: NDArray[np.float64],  # (memory,) 1 / s.y
    oldest: int,
    count: int,
    scale: float,  # the initial inverse Hessian is scale * identity
    weights: NDArray[np.float64],  # (memory,) scratch memory for the first loop's coefficients
    q: FloatArray,  # (n,) in: a vector; out: the inverse Hessian times it
) -> None:
    """Nocedal and Wright (2006), algorithm 7.4, in place; pair i of the ring stands in row (oldest + i) % memory."""
    memory, n = s.shape
    # 1. From the newest pair to the oldest: a_i = rho_i s_i.q, then q <- q - a_i y_i.
    for i in range(count - 1, -1, -1):
        row = (oldest + i) % memory
        weight = rho[row] * inner(s[row], q)
        weights[row] = weight
        for j in range(n):
            q[j] -= weight * y[row, j]
    # 2. The initial matrix.
    for j in range(n):
        q[j] *= scale
    # 3. From the oldest to the newest: q <- q + (a_i - rho_i y_i.q) s_i.
    for i in range(count):
        row = (oldest + i) % memory
        weight = weights[row] - rho[row] * inner(y[row], q)
        for j in range(n):
            q[j] += weight * s[row, j]


@kernel
def adam_update(
    x: FloatArray,  # (n,)
    grad: FloatArray,  # (n,)
    m: FloatArray,  # (n,) first moment
    v: FloatArray,  # (n,) second moment
    numbers: FloatArray,  # (8,) beta1, 1 - beta1, beta2, 1 - beta2, 1 - beta1^t, 1 - beta2^t, eps, rate
    x_new: FloatArray,  # (n,)
    m_new: FloatArray,  # (n,)
    v_new: FloatArray,  # (n,)
) -> None:
    """Kingma and Ba (2015), algorithm 1; the constants are an array, so that no float64 is mixed with float32."""
    for j in range(x.shape[0]):
        m_j = numbers[0] * m[j] + numbers[1] * grad[j]
        v_j = numbers[2] * v[j] + numbers[3] * (grad[j] * grad[j])
        m_new[j] = m_j
        v_new[j] = v_j
        x_new[j] = x[j] - numbers[7] * (m_j / numbers[4]) / (np.sqrt(v_j / numbers[5]) + numbers[6])
