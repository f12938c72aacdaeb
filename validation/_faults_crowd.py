"""Many at once, and too little memory: processes with a cold cache, threads, address space that runs out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
from _fault_tools import Found, found, run_program, state

import numkan
from numkan import KAN

__all__ = ["check_memory_limits", "check_processes_with_a_cold_cache", "check_ten_threads"]

_COLD = """
import hashlib, warnings
import numpy as np
from numkan import KAN
warnings.simplefilter("error")
x = np.random.default_rng(0).uniform(-1, 1, (500, 3))
print(hashlib.sha256(KAN([3, 4, 2], seed=0)(x).tobytes()).hexdigest())
"""


def check_processes_with_a_cold_cache() -> Found:
    """Eight processes that fill one empty cache at once predict the same bits; no unfinished file is left."""
    number, failures = 8, list[str]()
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "NUMBA_CACHE_DIR": cache, "OPENBLAS_NUM_THREADS": "1"}
        processes = [
            subprocess.Popen([sys.executable, "-c", _COLD], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(number)
        ]
        said = [process.communicate(timeout=500) for process in processes]
        failures += [
            f"exit code {process.returncode}: {errors.decode()[-200:]}"
            for process, (_, errors) in zip(processes, said, strict=True)
            if process.returncode
        ]
        if len({out for out, _ in said}) != 1:
            failures.append("other bits")
        files = [path for path in Path(cache).rglob("*") if path.is_file()]
        failures += [f"{path.name} is left" for path in files if "tmp" in path.suffix or path.stat().st_size == 0]
    return found(number, failures, f"; {len(files)} files in the cache")


def check_ten_threads(quick: bool = False) -> Found:
    """Ten threads that predict, differentiate and fit at once, while the number of threads changes, get the right bits.

    One model is shared; each thread fits a copy of its own.
    """
    x = np.random.default_rng(0).uniform(-1, 1, (3000, 3))
    y, model = np.sin(x[:, :1] + x[:, 1:2]), KAN([3, 6, 1], seed=0)
    calls = {
        "predict": lambda: model(x).tobytes(),
        "loss_and_grad": lambda: model.loss_and_grad(x, y)[1].tobytes(),
        "frozen": lambda: model.frozen()(x[:50]).tobytes(),
        "jacobian": lambda: model.jacobian(x[:100]).tobytes(),
        "fit": lambda: _fitted(model.copy(), x[:200], y[:200]),
    }
    want, before = {name: call() for name, call in calls.items()}, state(model)
    failures, tried, turns = list[str](), list[int](), 2 if quick else 12

    def work(number: int) -> None:
        for turn in range(turns):
            for name, call in calls.items():
                numkan.set_threads(1 + (number + turn) % 4)
                try:
                    failures.extend([] if call() == want[name] else [f"{name}: other bits"])
                except Exception as error:
                    failures.append(f"{name}: {type(error).__name__}: {error}")
                tried.append(number)

    threads, usual = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(10)], numkan.get_threads()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
        failures += ["a thread hangs"] if thread.is_alive() else []
    numkan.set_threads(usual)
    failures += [] if state(model) == before else ["the model has changed"]
    return found(len(tried), failures)


def _fitted(model: KAN, x: np.ndarray, y: np.ndarray) -> bytes:
    model.fit(x, y, method="lbfgs", steps=3, grids=None, validation=None)
    return state(model)


_LIMITED = """
import ctypes, json, os, resource, signal, sys, tempfile
import numpy as np
from numkan import KAN
from _fault_tools import state

x = np.random.default_rng(0).uniform(-1, 1, (60_000, 3)); y = np.sin(x[:, :1] + x[:, 1:2])
path = tempfile.mkdtemp() + "/m.npz"
new = lambda: KAN([3, 8, 1], seed=0)
new().save(path)
calls = {
    "predict": lambda m: m(x),
    "activations": lambda m: m.activations(x),
    "loss_and_grad": lambda m: m.loss_and_grad(x, y),
    "residuals_and_jacobian": lambda m: m.residuals_and_jacobian(x[:9000], y[:9000]),
    "update_grid": lambda m: m.update_grid_from_samples(x),
    "refine": lambda m: m.refine(200),
    "prune": lambda m: m.prune(x),
    "save": lambda m: m.save(path),
    "load": lambda m: KAN.load(path),
    "lbfgs": lambda m: m.fit(x, y, method="lbfgs", steps=2, grids=[3, 6]),
    "adam": lambda m: m.fit(x, y, method="adam", steps=4, grids=[3, 6]),
    "lm": lambda m: m.fit(x[:3000], y[:3000], method="lm", steps=2, restarts=1, grids=[3, 8], checkpoint=path + "c"),
}
CHANGES = ("update_grid", "lbfgs", "adam", "lm")
for call in calls.values():
    call(new())  # what they need is compiled

def deep(n):
    return n and max([n], key=lambda _: deep(n - 1))

sys.setrecursionlimit(10_000)
deep(2000)  # the stack grows by a megabyte now: a child that has no memory for it would be ended by the kernel

def child(name, room):
    ctypes.CDLL(None).malloc_trim(0)
    spare = [bytes(100_000) for _ in range(80)]
    above = bytes(1000)  # it keeps the heap from shrinking when the spare blocks are freed
    del spare
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    model, error = new(), None
    before = state(model)
    resource.setrlimit(resource.RLIMIT_AS, (size + room, resource.RLIM_INFINITY))
    try:
        calls[name](model)
    except MemoryError:
        error = "MemoryError"
    except OSError as caught:
        error = "MemoryError" if caught.errno == 12 else repr(caught)
    except Exception as caught:
        error = f"{type(caught).__name__}: {caught}"[:300]
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if error not in (None, "MemoryError"):
        return error
    if error and name not in CHANGES[1:] and state(model) != before:
        return "the model has changed"
    if not (np.isfinite(model.params).all() and np.isfinite(model(x[:100])).all() and np.isfinite(model.loss(x, y))):
        return "the model is torn"
    calls[name](new())
    return "" if error is None else "none"

tried, refused, failures = 0, 0, []
for name in calls:
    for room in json.loads(sys.argv[1]):
        tried += 1
        begin, end = os.pipe()
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)
            try:
                os.write(end, child(name, room).encode())
            finally:
                os._exit(0)
        code = os.waitpid(pid, 0)[1]
        os.close(end)
        said = os.read(begin, 4096).decode()
        os.close(begin)
        refused += said == "none"
        if code or said not in ("", "none"):
            hung = "hung" if code == signal.SIGALRM else f"signal or exit code {code}"
            failures.append(f"{name} with {room >> 10} KB: {said or hung}")
print(json.dumps([tried, refused, failures]))
"""


def check_memory_limits(quick: bool = False) -> Found:
    """Where memory runs out, MemoryError is raised; nothing hangs, no model is torn; with more of it all goes on."""
    if sys.platform != "linux":
        return Found("left out: /proc is Linux's", True, 0, 0)
    rooms = [0] if quick else [0, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26]
    # Small blocks come from a heap with 8 MB to spare, because NumPy (2.4.6) crashes where a broadcast has no room for
    # its buffers of 64 KB: it raises MemoryError without the GIL. Larger ones are mapped, and given back at once.
    memory = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "1"}
    done = run_program(_LIMITED, json.dumps(rooms), seconds=3000, **memory)
    if done.returncode:
        return Found(f"exit code {done.returncode}: {done.stderr[-300:]}", False, 0, 0)
    tried, refused, failures = json.loads(done.stdout)
    return found(tried, failures + ([] if refused else ["memory has always sufficed"]), f"; {refused} MemoryErrors")
