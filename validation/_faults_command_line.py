"""The command line on a bad day: Ctrl-C, readers that go away, full disks, input that cannot be read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _fault_tools import Found, found

from numkan import KAN

__all__ = ["check_ctrl_c_at_any_moment", "check_full_disks_and_readers_that_go_away", "check_input_that_cannot_be_read"]

_COMPILING = "numkan compiles kernels"


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "numkan", *map(str, arguments)]


def _run(*arguments: object, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(*arguments), stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=300
    )


def _lines(said: str) -> list[str]:
    return [line for line in said.splitlines() if not line.startswith(_COMPILING)]


def _prepare(folder: Path, rows: int = 3000) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (rows, 2))
    table = np.column_stack([x, np.sin(3 * x[:, 0]) + x[:, 1] ** 2])
    np.savetxt(folder / "d.csv", table, fmt="%.6g", delimiter=",", header="a,b,y", comments="")
    np.savetxt(folder / "x.csv", np.tile(x, (20, 1)), fmt="%.4g", delimiter=",", header="a,b", comments="")
    KAN([2, 1], grid=2, k=1, seed=0).save(folder / "m.npz")


def check_ctrl_c_at_any_moment() -> Found:
    """Ctrl-C at any moment of `numkan fit` is exit code 130, or it was through; no half file, and no traceback."""
    failures, codes = list[str](), list[int]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        fit = _command("fit", folder / "d.csv", "--target", "y", "--out", folder / "out.npz", "--no-progress")
        subprocess.run(fit, check=True, capture_output=True)  # what it needs is compiled
        began = time.perf_counter()
        subprocess.run(fit, check=True, capture_output=True)
        whole = time.perf_counter() - began
        number = 40
        for turn in range(number):
            (folder / "out.npz").unlink(missing_ok=True)
            process = subprocess.Popen(fit, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            time.sleep(whole * (0.3 + 0.7 * turn / number))  # Python itself starts in the first part
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=120)
            # while Python itself starts, the signal ends it, which shells report as 130 too
            code = 130 if process.returncode == -signal.SIGINT else process.returncode
            codes.append(code)
            if 130 not in codes:
                whole /= 2  # the machine was busier when it was timed
            left = sorted({entry.name for entry in folder.iterdir()} - {"d.csv", "x.csv", "m.npz", "out.npz"})
            if code not in (0, 130):
                failures.append(f"exit code {code}: {said[-200:]}")
            if left or "Traceback" in said:
                failures.append(f"{left} is left, or a traceback: {said[-200:]}")
            if (folder / "out.npz").exists():
                KAN.load(folder / "out.npz")
            elif code == 0:
                failures.append("there is no model")
    failures += [] if codes.count(130) else ["none was interrupted"]
    return found(number, failures, f"; {codes.count(130)} were interrupted, {codes.count(0)} were through")


def check_full_disks_and_readers_that_go_away(quick: bool = False) -> Found:
    """Full disks are one line and exit code 2, readers that have had enough none and 0; no half file is left."""
    failures, tried = list[str](), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        before = sorted(folder.iterdir())
        commands: list[tuple[object, ...]] = [
            ("predict", folder / "m.npz", folder / "x.csv"),
            ("show", folder / "m.npz"),
            ("show", folder / "m.npz", "--json"),
            ("info",),
            ("fit", folder / "d.csv", "--target", "y"),
        ]
        for command in commands[: 1 if quick else None]:
            if os.path.exists("/dev/full"):
                tried += 1
                with open("/dev/full", "w") as full:
                    done = _run(*command, stdout=full.fileno())
                if done.returncode != 2 or _lines(done.stderr) != ["numkan: No space left on device."]:
                    failures.append(f"{command[0]} > /dev/full: {done.returncode}, {done.stderr[-200:]}")
            tried += 1
            failures += _gone(command)
        out = "/dev/full" if os.path.exists("/dev/full") else str(folder / "no" / "m.npz")
        for target in (out, str(folder), str(folder / "no" / "m.npz"))[: 1 if quick else None]:
            tried += 1
            done = _run("fit", folder / "d.csv", "--target", "y", "--out", target)
            if done.returncode != 2 or len(_lines(done.stderr)) != 1:
                failures.append(f"--out {target}: {done.returncode}, {done.stderr[-200:]}")
        failures += [] if sorted(folder.iterdir()) == before else ["a file is left"]
    return found(tried, failures)


def _gone(command: tuple[object, ...]) -> list[str]:
    """Read the first byte of what a command prints, and go; return what is wrong then."""
    with subprocess.Popen(_command(*command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        said = process.stderr.read()
    wrong = process.returncode != 0 or _lines(said)
    return [f"{command[0]} | true: {process.returncode}, {said[-200:]}"] if wrong else []


def check_input_that_cannot_be_read(quick: bool = False) -> Found:
    """Input that is missing, a folder, unreadable, empty, cut off or of another kind is one line and exit code 2."""
    failures = list[str]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder, 50)
        inputs = _bad_inputs(folder)
        tries = [("fit", path, "--target", "y") for path in inputs]
        tries += [("predict", folder / "m.npz", path) for path in inputs]
        tries += [("predict", path, folder / "x.csv") for path in inputs]
        tries += [("show", path) for path in inputs]
        tries = tries[::11] if quick else tries
        for command in tries:
            done = _run(*command)
            lines = _lines(done.stderr)
            if done.returncode != 2 or len(lines) != 1 or not lines[0].startswith("numkan") or len(lines[0]) > 900:
                failures.append(f"{command[0]} {Path(str(command[1])).name} {done.returncode}: {done.stderr[-200:]}")
    return found(len(tries), failures)


def _bad_inputs(folder: Path) -> list[Path]:
    """Return files that are no table and no model."""
    data, model = (folder / "d.csv").read_bytes(), (folder / "m.npz").read_bytes()
    contents: dict[str, bytes] = {
        "empty.csv": b"",
        "header.csv": b"a,b,y\n",
        "noise.csv": np.random.default_rng(0).bytes(5000),
        "ragged.csv": data + b"1,2\n",
        "quotes.csv": b'a,b,y\n1,"2,3\n' * 9,
        "nul.csv": data[:300] + b"\0" + data[300:],
        "utf16.csv": data.decode().encode("utf-16"),
        "cut.npz": model[: len(model) // 2],
        "text.npz": data,
        "cut.npy": b"\x93NUMPY\x01\x00v\x00{'descr'",
        "pickle.npy": _pickled(folder),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    more: list[Path] = [folder / "missing.csv", folder, folder / "d.csv" / "below.csv"]
    return [*(folder / name for name in contents), *more]


def _pickled(folder: Path) -> bytes:
    np.save(folder / "objects.npy", np.array([{}, None], object), allow_pickle=True)
    return (folder / "objects.npy").read_bytes()
