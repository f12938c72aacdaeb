"""Faults of the process: signals at any moment, memory that runs out, mapped files, kills while a model is saved.

Each check states a claim in its docstring and returns what was measured and whether the claim holds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

__all__ = [
    "check_alarms_tear_no_commit",
    "check_ctrl_c_while_kernels_compile",
    "check_kills_while_saving_lose_no_model",
    "check_mapped_files_are_not_copied",
]


def _run(program: str, *arguments: str, seconds: float = 300.0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, with one BLAS thread."""
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=seconds)


_ALARMS = """
import json, random, signal
from numkan import KAN
from numkan.train.commit import commit_grids

class Late(Exception):
    pass

def raise_late(number, frame):
    raise Late

signal.signal(signal.SIGALRM, raise_late)

def state(model):
    layers = b"".join(layer.grid.tobytes() + layer.coef.tobytes() for layer in model.act_fun)
    return model.params.tobytes() + layers, tuple(model.grid), model.act_fun[0].coef.base is not None

works = [KAN([2, 3, 1], grid=grid, seed=grid) for grid in (5, 5, 8)]
works[1].params = 2 * works[0].params
works[1].act_fun[0].grid = works[0].act_fun[0].grid * 1.5
wanted = {state(work) for work in works}
model, hits, torn = works[0].copy(), 0, 0
clock = random.Random(0)
for turn in range(TURNS):
    try:
        signal.setitimer(signal.ITIMER_REAL, clock.uniform(1e-6, 4e-4))
        for _ in range(20):
            for work in works:
                commit_grids(model, work)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Late:
        hits += 1
    if state(model) not in wanted:
        torn, model = torn + 1, works[0].copy()
print(json.dumps([hits, torn]))
"""


def check_alarms_tear_no_commit() -> tuple[str, bool]:
    """Exceptions from the handler of an alarm, at any moment of a commit, leave a model as before or as after."""
    done = _run(_ALARMS.replace("TURNS", "2000"))
    hits, torn = json.loads(done.stdout)
    return f"{hits} exceptions, {torn} torn models", hits >= 1000 and torn == 0


_CTRL_C = """
import ctypes, json, signal, sys, threading, time
import numpy as np
from numkan import KAN

signal.signal(signal.SIGINT, signal.default_int_handler)
libc = ctypes.CDLL(None)
clock = np.random.default_rng(int(sys.argv[1]))
x = np.random.default_rng(0).uniform(-1, 1, (40, 3)); y = x[:, :1] * x[:, 1:2]
sent, answered, others, latest, is_over, at = 0, 0, [], 0.0, False, 0.0
lock = threading.Lock()

def press():
    global sent, at
    while not is_over:
        time.sleep(clock.uniform(0.05, 1.0))
        with lock:
            if is_over or sent > answered:
                continue
            sent, at = sent + 1, time.perf_counter()
            signal.pthread_kill(main, signal.SIGINT)

main = threading.get_ident()
presser = threading.Thread(target=press, daemon=True)
presser.start()
began = time.perf_counter()
done = 0
while time.perf_counter() - began < float(sys.argv[2]) and done < 3:
    try:
        try:
            model = KAN([3, 4, 1], grid=3, seed=0)
            model.fit(x, y, method="lbfgs", steps=5, grids=[3])
            model.jacobian(x)
            KAN([3, 4, 1], grid=3, seed=0, dtype=np.float32).fit(x, y, method="adam", steps=5, grids=[3])
            done += 1
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            others.append(repr(error))
    except KeyboardInterrupt:
        latest = max(latest, time.perf_counter() - at)
        answered += 1
try:
    is_over = True
    presser.join()
    time.sleep(0.1)
except KeyboardInterrupt:
    answered += 1
reference = KAN([3, 4, 1], grid=3, seed=0)
reference.fit(x, y, method="lbfgs", steps=5, grids=[3])
print(json.dumps([sent, answered, others, latest, reference.params.tobytes().hex()[:4000]]))
"""


def check_ctrl_c_while_kernels_compile() -> tuple[str, bool]:
    """Ctrl-C while kernels compile is answered by KeyboardInterrupt, each time, and what was compiled is right."""
    with tempfile.TemporaryDirectory() as cache:
        first = _run(_CTRL_C, "0", "60", NUMBA_CACHE_DIR=cache)
        sent, answered, others, latest, params = json.loads(first.stdout)
        again = _run(_CTRL_C, "1", "0", NUMBA_CACHE_DIR=cache)
    same = json.loads(again.stdout)[-1] == params
    lost_in_callbacks = first.stderr.count("KeyboardInterrupt")
    measured = (
        f"{sent} sent, {answered} answered, the latest after {latest:.1f} s, {lost_in_callbacks} lost in callbacks, "
        f"other errors: {others or 'none'}; {'the same' if same else 'other'} bits in a second process"
    )
    return measured, sent >= 10 and sent == answered and not others and not lost_in_callbacks and same


_MAPPED = """
import ctypes, json, sys, threading, time
import numpy as np
from numkan import KAN

folder, n = sys.argv[1], 2_000_000
x = np.random.default_rng(0).uniform(-1, 1, (n, 2))
kinds = {
    "read-only": x,
    "float32": x.astype("f4"),
    "other byte order": x.astype(">f8"),
    "Fortran order": np.asfortranarray(x),
}
for name, array in kinds.items():
    np.save(f"{folder}/{name}.npy", array)
model = KAN([2, 5, 1], seed=0)
want = model(x[:1000])
for array in kinds.values():
    model(array[:1000])
model(x)  # the pool and its memory are there
del x, kinds, array

def anonymous():
    lines = open("/proc/self/status").read().split("\\n")
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024

taken = {}
for name in ("read-only", "float32", "other byte order", "Fortran order"):
    mapped = np.load(f"{folder}/{name}.npy", mmap_mode="r")
    ctypes.CDLL(None).malloc_trim(0)
    before, peak, is_over = anonymous(), 0.0, False
    def watch():
        global peak
        while not is_over:
            peak = max(peak, anonymous())
            time.sleep(0.002)
    watcher = threading.Thread(target=watch)
    watcher.start()
    y = model(mapped)
    is_over = True
    watcher.join()
    assert y.shape == (n, 1) and (name == "float32" or y[:1000].tobytes() == want.tobytes())
    taken[name] = peak - before - y.nbytes / 2**20
    del y
print(json.dumps(taken))
"""


def check_mapped_files_are_not_copied() -> tuple[str, bool]:
    """Predictions at mapped files of any kind, 2 million rows or 31 MB, take 20 MB at most beside their outputs."""
    with tempfile.TemporaryDirectory() as folder:
        done = _run(_MAPPED, folder)
    taken = json.loads(done.stdout)
    return ", ".join(f"{name} {size:.0f} MB" for name, size in taken.items()), max(taken.values()) <= 20


_KILLED = """
import json, os, random, signal, sys, time
from numkan import KAN

path = os.path.join(sys.argv[1], "m.npz")
models = [KAN([2, 5, 1], seed=seed) for seed in (0, 1)]
for model in models:
    model.save(path)
wanted = {model.params.tobytes() for model in models}
clock, broken = random.Random(0), 0
for _ in range(100):
    child = os.fork()
    if child == 0:
        while True:
            for model in models:
                model.save(path)
    time.sleep(clock.uniform(0.001, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    broken += KAN.load(path).params.tobytes() not in wanted
left = [name for name in os.listdir(sys.argv[1]) if name != "m.npz"]
for name in left:
    os.utime(os.path.join(sys.argv[1], name), (0, 0))  # a day later
models[0].save(path)
print(json.dumps([broken, len(left), len(os.listdir(sys.argv[1])) - 1]))
"""


def check_kills_while_saving_lose_no_model() -> tuple[str, bool]:
    """Kills at any moment of saving leave a whole model, and the next saving a day later leaves nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        done = _run(_KILLED, folder)
    broken, left, stay = json.loads(done.stdout)
    measured = f"100 kills: {broken} broken files, {left} unfinished ones left behind, {stay} of them a day later"
    return measured, broken == 0 and left > 0 and stay == 0
