"""Contenders of `benchmark.py`: numkan and live peers behind two calls without arguments, ``forward`` and ``both``.

A peer is installed software, run as its authors ship it, except efficient-kan, which is not on a package index: its
formulas are in `_efficient_kan_formulas.py`. Forward passes of torch run under ``no_grad``; "both" is forward,
mean squared error and the gradient by all parameters. What "compiled" means is said at each builder. A peer that
cannot be imported raises ImportError from its builder.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

DEGREE = 3  # the only degree that every peer has


@dataclass(frozen=True)
class Workload:
    """A network, a grid, a number of rows and a degree."""

    name: str
    width: tuple[int, ...]
    G: int
    rows: int
    k: int = DEGREE  # the peers are asked for no other

    def __str__(self) -> str:
        return f"{self.name} [{','.join(map(str, self.width))}] G{self.G} N{self.rows}"

    def data(self, dtype: str) -> tuple[np.ndarray, np.ndarray]:
        """Draw inputs, uniform on [-1, 1], and targets."""
        rng = np.random.default_rng(20240430)
        x = rng.uniform(-1, 1, (self.rows, self.width[0])).astype(dtype)
        return x, rng.normal(size=(self.rows, self.width[-1])).astype(dtype)


@dataclass(frozen=True)
class Contender:
    """The two calls that are timed, which return once the work is done; None where a form lacks one."""

    forward: Callable[[], Any]
    both: Callable[[], Any] | None


def numkan_public(work: Workload, dtype: str, threads: int) -> Contender:
    """Time numkan's public calls, checks and packing of the parameters included."""
    import numkan

    numkan.set_threads(threads)
    model = numkan.KAN(width=list(work.width), grid=work.G, k=work.k, seed=1, dtype=np.dtype(dtype).type)
    x, y = work.data(dtype)
    return Contender(lambda: model(x), lambda: model.loss_and_grad(x, y))


def numkan_frozen(work: Workload, dtype: str, threads: int) -> Contender:
    """Time numkan's packed predictor, which only predicts."""
    import numkan

    numkan.set_threads(threads)
    model = numkan.KAN(width=list(work.width), grid=work.G, k=work.k, seed=1, dtype=np.dtype(dtype).type)
    predict = model.frozen()
    x, _ = work.data(dtype)
    return Contender(lambda: predict(x), None)


def check_outputs(outputs: Any, work: Workload, dtype: str) -> None:
    """Refuse outputs that are not finite, or have another shape or dtype than the workload's."""
    y = np.asarray(outputs)
    if y.shape != (work.rows, work.width[-1]) or y.dtype != np.dtype(dtype) or not np.isfinite(y).all():
        raise ValueError(f"outputs are not finite {dtype} of shape {(work.rows, work.width[-1])}")


def forget_compiled() -> None:
    """Drop what torch has compiled, so that one workload's shapes do not use up the next one's recompilations."""
    try:
        import torch._dynamo
    except ImportError:
        return
    torch._dynamo.reset()
    torch._dynamo.config.recompile_limit = 64  # the default, 8, would leave a peer's later forms uncompiled


def _torch_contender(build: Callable[[], Any], work: Workload, dtype: str, threads: int, compiled: bool) -> Contender:
    """Time a torch module, whole or compiled as one graph for exactly these shapes."""
    import torch

    torch.set_num_threads(threads)
    torch.set_default_dtype(getattr(torch, dtype))
    torch.manual_seed(1)
    module = build().to(getattr(torch, dtype))
    parameters = [p for p in module.parameters() if p.requires_grad]
    x, y = map(torch.from_numpy, work.data(dtype))
    call = torch.compile(module, dynamic=False) if compiled else module

    def forward() -> Any:
        with torch.no_grad():
            return call(x)

    def both() -> Any:
        for p in parameters:
            p.grad = None
        loss = torch.nn.functional.mse_loss(call(x), y)
        loss.backward()
        return loss

    return Contender(forward, both)


def _pykan(work: Workload, dtype: str, threads: int, symbolic: bool) -> Contender:
    with contextlib.redirect_stdout(io.StringIO()):
        from kan import KAN

    def build() -> Any:
        options = {} if symbolic else {"symbolic_enabled": False, "save_act": False}
        return KAN(width=list(work.width), grid=work.G, k=DEGREE, seed=1, auto_save=False, **options)

    return _torch_contender(build, work, dtype, threads, compiled=False)


def pykan_default(work: Workload, dtype: str, threads: int) -> Contender:
    """Time pykan as constructed by default (but for its checkpoint folder): symbolic branch on, activations saved."""
    return _pykan(work, dtype, threads, symbolic=True)


def pykan_plain(work: Workload, dtype: str, threads: int) -> Contender:
    """Time pykan with the symbolic branch and the saved activations switched off, as its `speed()` does."""
    return _pykan(work, dtype, threads, symbolic=False)


def efficient_kan(work: Workload, dtype: str, threads: int) -> Contender:
    """Time efficient-kan's formulas: all knots by iteration, two dense products a layer."""
    import torch
    from _efficient_kan_formulas import KANLinear

    def build() -> Any:
        return torch.nn.Sequential(*(KANLinear(a, b, work.G, DEGREE) for a, b in pairwise(work.width)))

    return _torch_contender(build, work, dtype, threads, compiled=False)


def jaxkan(work: Workload, dtype: str, threads: int) -> Contender:
    """Time jaxKAN's spline layers, jitted; parameters are passed as plain arrays, the cheapest call that JAX has."""
    import jax

    jax.config.update("jax_enable_x64", dtype == "float64")
    import jax.numpy as jnp
    from flax import nnx
    from jaxkan.models.KAN import KAN

    model = KAN(list(work.width), "spline", {"k": DEGREE, "G": work.G, "grid_e": 1.0}, seed=1)
    graph, parameters, rest = nnx.split(model, nnx.Param, ...)
    cast = lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a  # noqa: E731
    rest = jax.tree.map(cast, rest)
    leaves, structure = jax.tree.flatten(jax.tree.map(cast, parameters))
    x, y = map(jnp.asarray, work.data(dtype))

    def predict(leaves: Any, x: Any) -> Any:
        return nnx.merge(graph, jax.tree.unflatten(structure, leaves), rest)(x)

    fast = jax.jit(predict)
    slope = jax.jit(jax.value_and_grad(lambda leaves, x, y: jnp.mean((predict(leaves, x) - y) ** 2)))
    return Contender(lambda: jax.block_until_ready(fast(leaves, x)), lambda: jax.block_until_ready(slope(leaves, x, y)))


def inkan(basis_mode: str, compiled: bool) -> Callable[[Workload, str, int], Contender]:
    """Time inkan: its basis is compiled as shipped; "compiled" puts the whole network under `torch.compile` too."""

    def contender(work: Workload, dtype: str, threads: int) -> Contender:
        from inkan import KANNetwork

        def build() -> Any:
            return KANNetwork(list(work.width), grid_size=work.G, basis_mode=basis_mode)

        return _torch_contender(build, work, dtype, threads, compiled)

    return contender


def flashkan(compiled: bool) -> Callable[[Workload, str, int], Contender]:
    """Time FlashKAN: its basis is compiled as shipped; "compiled" puts the whole network under `torch.compile` too."""

    def contender(work: Workload, dtype: str, threads: int) -> Contender:
        from flashkan import KANNetwork

        return _torch_contender(lambda: KANNetwork(list(work.width), grid_size=work.G), work, dtype, threads, compiled)

    return contender


CONTENDERS: dict[str, Callable[[Workload, str, int], Contender]] = {
    "numkan": numkan_public,
    "numkan frozen": numkan_frozen,
    "pykan default": pykan_default,
    "pykan plain": pykan_plain,
    "efficient-kan formulas": efficient_kan,
    "jaxkan jitted": jaxkan,
    "inkan": inkan("local", compiled=False),
    "inkan dense": inkan("dense", compiled=False),
    "inkan compiled": inkan("local", compiled=True),
    "inkan dense compiled": inkan("dense", compiled=True),
    "flashkan": flashkan(compiled=False),
    "flashkan compiled": flashkan(compiled=True),
}
