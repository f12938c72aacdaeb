"""Fits that are stopped, at every callback: by exceptions, by Ctrl-C, and to go on from a checkpoint."""

from __future__ import annotations

import signal
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

from _fault_tools import CASES, Case, Found, X, digest, found, state

from numkan import KAN

__all__ = ["check_a_fit_stopped_at_any_callback_goes_on", "check_interrupts_at_every_callback"]

QUICK = 6


def check_a_fit_stopped_at_any_callback_goes_on() -> Found:
    """Fits that were stopped at any callback go on from their checkpoints, to the same bits, history and result.

    Fits by L-BFGS, Adam and Levenberg-Marquardt, of all kinds of losses, in float32 and float64; where the checkpoint
    is of every third step, fewer than three are repeated.
    """
    tried, failures = 0, list[str]()
    with tempfile.TemporaryDirectory() as folder:
        for name, case in CASES.items():
            for every in (1, 3):
                number, failed = _stops(case, Path(folder) / "c.npz", every)
                tried += number
                failures += [f"{name} at {step}: {what}" for step, what in failed]
    return found(tried, failures)


def _stops(case: Case, path: Path, every: int) -> tuple[int, list[tuple[int, str]]]:
    """Stop a fit at each of its callbacks; return at how many, and where it did not go on as it should."""
    whole, files, failed = case.model(), list[bytes](), list[tuple[int, str]]()
    result = case.fit(whole, checkpoint=path, every=every, callback=lambda state: files.append(path.read_bytes()))
    for step in range(1, len(files) + 1):
        path.write_bytes(files[step - 1])
        model, seen = case.model(), list[int]()
        again = case.fit(model, resume=path, callback=lambda told, seen=seen: seen.append(told.step))
        if state(model) != state(whole):
            failed.append((step, "other bits"))
        if digest(again) != digest(result):
            failed.append((step, "another result"))
        if seen != list(range(step - step % every + 1, len(files) + 1)):
            failed.append((step, f"steps {seen[:2]}..."))
    return len(files), failed


def check_interrupts_at_every_callback(quick: bool = False) -> Found:
    """Ctrl-C, and any exception, at any callback is raised on; the model is at that step, whole, and can be used."""
    tried, failures = 0, list[str]()
    with tempfile.TemporaryDirectory() as folder:
        for name, case in islice(CASES.items(), QUICK if quick else None):
            steps: list[Any] = []
            case.fit(case.model(), callback=steps.append)
            for step in range(1, len(steps) + 1, 7 if quick else 1):
                for error in (KeyboardInterrupt, ZeroDivisionError):
                    tried += 1
                    failures += [f"{name} at {step}: {what}" for what in _interrupted(case, step, error, Path(folder))]
    return found(tried, failures)


def _interrupted(case: Case, step: int, error: type[BaseException], folder: Path) -> list[str]:
    """Interrupt a fit at a step; return what is wrong then."""
    model, at = case.model(), list[bytes]()

    def stop(told: Any) -> None:
        if told.step == step:
            at.append(state(model))
            if error is KeyboardInterrupt:
                signal.raise_signal(signal.SIGINT)
            raise error

    try:
        case.fit(model, callback=stop)
    except error:
        pass
    else:
        return ["it was not raised on"]
    wrong = [] if at == [state(model)] else ["the model is not at that step"]
    model.save(folder / "m.npz")
    if state(KAN.load(folder / "m.npz")) != state(model) or state(model.copy()) != state(model):
        wrong.append("a copy is another model")
    if _answer(model) != _answer(model.frozen()):
        wrong.append("predictions differ")
    if not case.fit(model).success:
        wrong.append("it cannot be fitted further")
    return wrong


def _answer(predict: Any) -> bytes | str:
    """Return predictions, or the sentence by which points are refused that no grid reaches yet."""
    try:
        return bytes(predict(X).tobytes())
    except ValueError as error:
        return str(error)
