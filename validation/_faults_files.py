"""Files that were damaged or forged, and what `KAN.load` and ``fit(resume=...)`` say to them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _fault_tools import CASES, Found, Unclear, X, answer, found, state

from numkan import KAN
from numkan._npz import write_members

__all__ = ["check_damaged_checkpoints", "check_damaged_models", "check_fits_of_mapped_files"]

FILES, QUICK = 2000, 200
ODD: tuple[Any, ...] = (
    -1,
    0,
    1,
    "odd",
    "",
    None,
    [],
    {},
    [[1]],
    1e308,
    -0.5,
    True,
    10**30,
    {"float": "nan"},
    "x" * 9999,
)


def check_fits_of_mapped_files(quick: bool = False) -> Found:
    """Fits of mapped, read-only files of any dtype, byte order and layout have the bits of those of arrays."""
    failures, tried = list[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        for name in ("lbfgs", "adam", "lm", "lm, noise")[: 3 if quick else None]:
            case = CASES[name]
            for kind in (np.asarray, np.asfortranarray, lambda a: a.astype(">f8"), lambda a: a.astype("f4")):
                tried += 1
                x, y = kind(X), kind(np.asarray(case.y))
                np.save(f"{folder}/x.npy", x)
                np.save(f"{folder}/y.npy", y)
                plain, mapped = case.model(), case.model()
                plain.fit(x.astype(float), y.astype(float), **case.options)
                mapped.fit(*(np.load(f"{folder}/{part}.npy", mmap_mode="r") for part in "xy"), **case.options)
                failures += [] if state(plain) == state(mapped) else [f"{name}: other bits"]
    return found(tried, failures)


def check_damaged_models(quick: bool = False) -> Found:
    """Damaged and forged files of models are loaded, or refused in a sentence, in 10 s at most."""
    rng, failures, loaded, other = np.random.default_rng(1), list[str](), 0, 0
    models = [KAN([2, 3, 1], grid=4, seed=1), KAN([1, 2, 2], grid=[2, 3], k=2, seed=2, dtype=np.float32)]
    tries = QUICK if quick else FILES
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.npz"
        for turn in range(tries):
            model = models[turn % len(models)]
            model.save(path)
            damage = damaged(path, rng)
            made: list[KAN] = []
            try:
                answer(lambda made=made: made.append(KAN.load(path)), 10.0)
            except Unclear as error:
                failures.append(f"{damage}: {error}")
            loaded += len(made)
            if made and state(made[0]) != state(model):
                other += 1
                failures += [f"{damage}: another model"] if damage in BYTES else []
    return found(tries, failures, f"; {loaded} were loaded, {other} of them with numbers or settings that were edited")


def check_damaged_checkpoints(quick: bool = False) -> Found:
    """Damaged and forged checkpoints are gone on from, or refused in a sentence that leaves the model as it was."""
    rng, failures, refused = np.random.default_rng(2), list[str](), 0
    names = ("lbfgs", "adam", "lm")
    tries = QUICK if quick else FILES
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.npz"
        contents = {name: _middle(name, path) for name in names}
        for turn in range(tries):
            name = names[turn % len(names)]
            case, model = CASES[name], CASES[name].model()
            path.write_bytes(contents[name])
            damage = damaged(path, rng)
            before = state(model)
            try:
                error = answer(lambda case=case, model=model: case.fit(model, resume=path), 60.0)
            except Unclear as unclear:
                failures.append(f"{name}, {damage}: {unclear}")
                continue
            refused += error is not None
            if error is not None and state(model) != before:
                failures.append(f"{name}, {damage}: the model has changed, {error}")
    return found(tries, failures, f"; {refused} were refused")


def _middle(name: str, path: Path) -> bytes:
    """Return the checkpoint of a fit in its second stage."""
    files: list[bytes] = []
    CASES[name].fit(CASES[name].model(), checkpoint=path, every=1, callback=lambda s: files.append(path.read_bytes()))
    return files[len(files) * 2 // 3]


# --- damage -------------------------------------------------------------------------------------------------------


def damaged(path: Path, rng: np.random.Generator) -> str:
    """Damage a file in one of many ways; return which."""
    name = str(rng.choice([*BYTES, *BYTES, "leaf", "leaf", "leaf", "array", "member"]))
    if name in BYTES:
        path.write_bytes(BYTES[name](bytearray(path.read_bytes()), rng))
        return name
    with np.load(path) as file:
        members = {member: file[member] for member in file.files}
    _FORGERIES[name](members, rng)
    with open(path, "wb") as out:
        write_members(out, members)
    return name


def _flipped(data: bytearray, rng: np.random.Generator) -> bytes:
    for place in rng.integers(len(data), size=rng.integers(1, 9)):
        data[place] ^= int(rng.integers(1, 256))
    return bytes(data)


def _directory(data: bytearray, rng: np.random.Generator) -> bytes:
    """Flip bytes in the list of members at the end, where sizes and places stand."""
    begin = max(data.find(b"PK\x01\x02"), 0)
    for place in rng.integers(begin, len(data), size=rng.integers(1, 5)):
        data[place] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))
    return bytes(data)


def _moved(data: bytearray, rng: np.random.Generator) -> bytes:
    a, b, c = sorted(int(place) for place in rng.integers(len(data), size=3))
    return bytes(data[:a] + data[b:c] + data[a:b] + data[c:])


def _repeated(data: bytearray, rng: np.random.Generator) -> bytes:
    a, b = sorted(int(place) for place in rng.integers(len(data), size=2))
    return bytes(data[:b] + data[a:])


BYTES: dict[str, Callable[[bytearray, np.random.Generator], bytes]] = {
    "bytes flipped": _flipped,
    "directory": _directory,
    "cut off": lambda data, rng: bytes(data[: rng.integers(len(data))]),
    "parts moved": _moved,
    "parts repeated": _repeated,
    "zeros": lambda data, rng: bytes(data[: rng.integers(len(data))]).ljust(len(data), b"\0"),
    "noise": lambda data, rng: rng.bytes(int(rng.integers(2000))),
}


def _leaf(members: dict[str, Any], rng: np.random.Generator) -> None:
    """Give one value of the JSON another one, with right checksums."""
    config = json.loads(members["config"].tobytes())
    tree: Any = config
    while True:
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        key = keys[rng.integers(len(keys))]
        if isinstance(tree[key], dict | list) and tree[key] and rng.random() < 0.9:
            tree = tree[key]
            continue
        tree[key] = ODD[rng.integers(len(ODD))]
        break
    members["config"] = np.frombuffer(json.dumps(config).encode(), np.uint8)


def _array(members: dict[str, Any], rng: np.random.Generator) -> None:
    """Give some numbers of an array others, or the array another shape or dtype."""
    name = _some(members, rng)
    array = members[name].copy()
    kind = rng.integers(5)
    if kind == 0:
        array = array.astype("f4" if array.dtype == np.float64 else "f8")
    elif kind == 1:
        array = array[..., :-1]
    elif kind == 2:
        array = array.T
    elif array.size:
        odd = [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e300, -1e300, 5e-324]
        with np.errstate(all="ignore"):
            array.reshape(-1)[rng.integers(array.size, size=3)] = np.array(rng.choice(odd, 3)).astype(array.dtype)
    members[name] = np.ascontiguousarray(array)


def _member(members: dict[str, Any], rng: np.random.Generator) -> None:
    name = _some(members, rng)
    if rng.random() < 0.5:
        del members[name]
    else:
        members[f"{name}.more"] = members[name]


def _some(members: dict[str, Any], rng: np.random.Generator) -> str:
    names = [name for name in sorted(members) if name != "config"]
    return names[rng.integers(len(names))]


_FORGERIES = {"leaf": _leaf, "array": _array, "member": _member}
