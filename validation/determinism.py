"""Claim: numkan returns the same bits, whatever runs at the same time, where the data lie, and how rows are batched.

Two promises are checked by SHA-256 of every byte, on several networks, one of them wide, in float32 and float64:

- for the same ordered data, outputs, loss, gradient, input derivative and Jacobian are the same when repeated, for 1
  and 2 threads, from several Python threads at once, in a new process, with a cold cache of compiled kernels, and for
  F-ordered, strided, reversed and read-only arrays;
- a row's outputs, input derivative and Jacobian are the same in any order and any batch, down to the row alone.

Bits are promised on one machine; between machines and vector widths the laws' tolerances hold. Exit code 1 on any
difference.

    python validation/determinism.py [--write]
    python validation/determinism.py --quick      # degree 3, and wide networks in one dtype: less to compile
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from _checks import keep
from _report import facts, paragraph, table

import numkan

Digests = dict[str, str]  # quantity -> SHA-256
BATCH = ("outputs", "loss", "gradient")  # what depends on the order of the data
ROWS = ("outputs", "derivative", "Jacobian")  # what belongs to a row
QUANTITIES = ("outputs", "loss", "gradient", "derivative", "Jacobian")
SUCH_AS = ("two threads", "other memory layouts", "rows permuted or in batches", "new processes", "a cold cache")
JACOBIAN_ENTRIES = 2_000_000  # per network: rows beyond this many entries are left out of the Jacobian


@dataclass(frozen=True)
class Network:
    """A network with its data; row counts are odd, so that blocks and vectors have remainders."""

    width: tuple[int, ...]
    G: int
    k: int
    rows: int
    dtype: str

    def __str__(self) -> str:
        return f"[{','.join(map(str, self.width))}] G{self.G} k{self.k} N{self.rows} {self.dtype}"

    def model(self) -> numkan.KAN:
        """Build it on knots that are not uniform, with coefficients of size one."""
        model = numkan.KAN(width=list(self.width), grid=self.G, k=self.k, seed=3, dtype=self.dtype)
        rng = np.random.default_rng(5)
        for layer in model.act_fun:
            step = layer.grid[:, 1:2] - layer.grid[:, :1]
            layer.grid = layer.grid + step * rng.uniform(-0.3, 0.3, layer.grid.shape).astype(self.dtype)
            layer.coef[...] = rng.normal(size=layer.coef.shape)
        return model

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Draw inputs, some of them outside the grids, and targets."""
        rng = np.random.default_rng(7)
        x = rng.uniform(-1.4, 1.4, (self.rows, self.width[0])).astype(self.dtype)
        return x, rng.normal(size=(self.rows, self.width[-1])).astype(self.dtype)

    def jacobian_rows(self, model: numkan.KAN) -> int:
        """Count the rows whose Jacobian is looked at."""
        return min(self.rows, max(3, JACOBIAN_ENTRIES // (model.params.size * self.width[-1])))


# Rows enough for several chunks, and for the wide one for several chunks in each of the pieces that a gradient is
# summed over; for the last two so few that threads share a block, by samples and by chains of inputs. Few degrees, as
# each one compiles its own kernels.
SHAPES = (
    ((1, 1), 1, 0, 4501),
    ((2, 5, 1), 5, 3, 6007),
    ((4, 16, 16, 1), 10, 3, 4099),
    ((3, 7, 2), 4, 5, 4777),
    ((5, 17, 3), 20, 3, 4099),
    ((96, 72), 5, 3, 2309),
    ((70, 33, 10), 8, 3, 1037),
    ((150, 72), 5, 3, 401),
    ((530, 20), 4, 3, 259),
)
NETWORKS = tuple(Network(*shape, dtype) for shape in SHAPES for dtype in ("float32", "float64"))
QUICK = tuple(net for net in NETWORKS if net.k == 3 and (net.width[0] < 50 or net.dtype == "float32"))


def digest(array: np.ndarray) -> str:
    """SHA-256 of dtype, shape and bytes."""
    array = np.ascontiguousarray(array)
    return hashlib.sha256(f"{array.dtype} {array.shape} ".encode() + array.tobytes()).hexdigest()


def on_batch(net: Network, model: numkan.KAN, x: np.ndarray, y: np.ndarray) -> Digests:
    """Digest everything that numkan computes from one ordered batch."""
    loss, gradient = model.loss_and_grad(x, y)
    rows = net.jacobian_rows(model)
    values = (model(x), np.asarray(loss), gradient, model.derivative(x), model.jacobian(x[:rows]))
    return dict(zip(QUANTITIES, map(digest, values), strict=True))


def on_pieces(net: Network, model: numkan.KAN, x: np.ndarray, pieces: list[np.ndarray]) -> Digests:
    """Digest what belongs to rows, computed piece by piece (index arrays) and put back in order."""
    rows = net.jacobian_rows(model)
    predict = model.frozen()

    def gather(call: Callable[[np.ndarray], np.ndarray], limit: int) -> np.ndarray:
        whole: np.ndarray | None = None
        for piece in pieces:
            piece = piece[piece < limit]
            if piece.size:
                part = call(x[piece])
                whole = np.empty((limit, *part.shape[1:]), part.dtype) if whole is None else whole
                whole[piece] = part
        assert whole is not None
        return whole

    values = (gather(model, net.rows), gather(model.derivative, net.rows), gather(model.jacobian, rows))
    digests = dict(zip(ROWS, map(digest, values), strict=True))
    if digest(gather(predict, net.rows)) != digests["outputs"]:
        digests["outputs"] = "the frozen predictor differs"
    return digests


def layouts(x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the same numbers as other arrays."""
    strided = np.zeros((2 * x.shape[0], 3 * x.shape[1]), x.dtype)
    strided[::2, ::3] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    yield "F order", np.asfortranarray(x)
    yield "strided", strided[::2, ::3]
    yield "negative strides", np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
    yield "read-only", frozen


def batchings(rows: int) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Yield ways of cutting the rows into batches."""
    rng = np.random.default_rng(11)
    order = rng.permutation(rows)
    yield "rows permuted", [order]
    yield "chunks of 1 to 200", np.split(np.arange(rows), np.cumsum(rng.integers(1, 200, rows // 60)).clip(0, rows))
    yield "permuted, chunks of 37", [order[i : i + 37] for i in range(0, rows, 37)]
    alone = np.sort(order[:400])
    yield "400 rows alone", [*np.split(alone, len(alone)), np.sort(order[400:])]


def in_this_process(net: Network) -> Iterator[tuple[str, Digests]]:
    """Yield conditions and their digests; the first is the reference."""
    numkan.set_threads(1)
    model, (x, y) = net.model(), net.data()
    yield "1 thread", on_batch(net, model, x, y)
    yield "repeated", on_batch(net, model, x, y)
    yield "in a copy", on_batch(net, model.copy(), x, y)
    for name, other in layouts(x):
        yield name, on_batch(net, model, other, dict(layouts(y))[name])
    numkan.set_threads(2)
    yield "2 threads", on_batch(net, model, x, y)
    with ThreadPoolExecutor(3) as pool:
        for digests in pool.map(lambda _: on_batch(net, model, x, y), range(3)):
            yield "from 3 Python threads", digests
    for name, pieces in batchings(net.rows):
        yield f"{name}, 2 threads", on_pieces(net, model, x, pieces)
    numkan.set_threads(1)
    for name, pieces in batchings(net.rows):
        yield name, on_pieces(net, model, x, pieces)


def fingerprint(networks: tuple[Network, ...], threads: int) -> dict[str, Digests]:
    """Digest every network once: what a new process computes."""
    numkan.set_threads(threads)
    return {str(net): on_batch(net, net.model(), *net.data()) for net in networks}


def in_new_process(threads: int, cache: str | None, *options: str) -> dict[str, Digests]:
    """Run `fingerprint` in a new process, where ``cache`` is a folder, with compiled kernels kept there."""
    environment = dict(os.environ) if cache is None else {**os.environ, "NUMBA_CACHE_DIR": cache}
    command = [sys.executable, __file__, "--fingerprint", str(threads), *options]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


class Comparison:
    """Counts of equal digests, by condition and quantity."""

    def __init__(self) -> None:
        self.same: dict[str, dict[str, list[int]]] = {}
        self.differences: list[str] = []

    def see(self, condition: str, net: str, got: Digests, expected: Digests) -> None:
        """Compare one network's digests with the reference."""
        counts = self.same.setdefault(condition, {q: [0, 0] for q in QUANTITIES})
        for quantity, value in got.items():
            equal = value == expected[quantity]
            counts[quantity][0] += equal
            counts[quantity][1] += 1
            if not equal:
                self.differences.append(f"{condition}: {quantity} of {net}")

    def rows(self) -> list[list[str]]:
        """List one row of the table for each condition."""
        cell = lambda n: f"{n[0]}/{n[1]}" if n[1] else "-"  # noqa: E731
        return [[condition, *(cell(counts[q]) for q in QUANTITIES)] for condition, counts in self.same.items()]

    def records(self) -> list[dict[str, object]]:
        """List the record of checks.json."""
        equal, compared = (sum(n[i] for counts in self.same.values() for n in counts.values()) for i in (0, 1))
        unit = f"of {compared}"
        return [{"what": "digests equal", "value": equal, "bound": compared, "least": True, "unit": unit}]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write what was measured into checks.json and RESULTS.md")
    parser.add_argument("--quick", action="store_true", help="fewer networks")
    parser.add_argument("--fingerprint", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write and options.quick:
        parser.error("--write is for all networks, not with --quick")
    networks, quick = (QUICK, ["--quick"]) if options.quick else (NETWORKS, [])
    if options.fingerprint:
        print(json.dumps(fingerprint(networks, options.fingerprint)))
        return 0
    comparison, reference = Comparison(), {}
    with tempfile.TemporaryDirectory() as cold, ThreadPoolExecutor(1) as beside:
        compiling = beside.submit(in_new_process, 1, cold, *quick)  # takes long, so it runs beside the rest
        for net in networks:
            for condition, digests in in_this_process(net):
                expected = reference.setdefault(str(net), digests)
                comparison.see(condition, str(net), digests, expected)
        processes = {
            "new process": in_new_process(1, None, *quick),
            "new process, 2 threads": in_new_process(2, None, *quick),
        }
        for condition, result in {**processes, "cold cache": compiling.result()}.items():
            for name, digests in result.items():
                comparison.see(condition, name, digests, reference[name])

    text = table(["condition", *QUANTITIES], comparison.rows())
    about = facts(["numkan", "numpy", "numba", "scipy"])
    claim = (
        f"{', '.join(QUANTITIES)} of {len(networks)} networks under {len(comparison.same)} conditions, such as "
        f"{', '.join(SUCH_AS)}."
    )
    print(f"{paragraph(about)}\n\n{claim}\n\n{text}\n\n{len(comparison.differences)} differences")
    print("\n".join(comparison.differences))
    if options.write:
        keep("determinism", {"about": {**about, "claim": claim}, "rows": comparison.records()})
    return 1 if comparison.differences else 0


if __name__ == "__main__":
    sys.exit(main())
