"""Waiting awake: a thread that is needed again in microseconds watches a number in memory.

To wake a thread that sleeps takes tens of microseconds, and more where its core sleeps too or another has to be found
for it. That is as long as the tasks of a network of ordinary size, so those who wait for each other stay awake for a
moment first. They do so in a kernel, where other threads may have the interpreter.
"""

from __future__ import annotations

import platform
import threading
import time
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from numkan.compile import kernel

__all__ = ["COUNT", "STAY_AWAY", "count", "enter", "leave", "new_count", "turns_in", "wait", "watch"]

_IS_X86 = platform.machine().lower() in ("x86_64", "amd64", "i686")


def _place(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [at])


@intrinsic
def _read(typing_context, numbers, at):  # type: ignore[no-untyped-def]
    """Return numbers[at] as it is in memory now."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.load_atomic(_place(context, builder, signature.args[0], *args), "acquire", 8)

    return types.int64(numbers, types.intp), codegen


@intrinsic
def _count(typing_context, numbers, at):  # type: ignore[no-untyped-def]
    """Add 1 to numbers[at], whoever else does; return what it was."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        place = _place(context, builder, signature.args[0], *args)
        return builder.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "acq_rel")

    return types.int64(numbers, types.intp), codegen


@intrinsic
def _pause(typing_context):  # type: ignore[no-untyped-def]
    """Tell the processor that this is a loop that waits."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        if _IS_X86:
            nothing = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, nothing, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), codegen


_lock = threading.Lock()


def _count_in_python(numbers: Any, at: int) -> int:
    with _lock:
        before = int(numbers[at])
        numbers[at] = before + 1
    return before


#: Add 1 to numbers[at], whoever else does, and return what it was.
count = _count_in_python if config.DISABLE_JIT else _count


@kernel
def _wait(numbers, at, goal, turns):  # type: ignore[no-untyped-def]
    for _ in range(turns):
        if _read(numbers, at) >= goal:
            return True
        _pause()
    return _read(numbers, at) >= goal


def _wait_in_python(numbers: Any, at: int, goal: int, turns: int) -> bool:
    return bool(numbers[at] >= goal)


#: Wait until numbers[at] >= goal, for so many turns at most, and return whether it is. With the JIT off nobody waits.
wait = _wait_in_python if config.DISABLE_JIT else _wait


#: What is in a `new_count`.
COUNT, STAY_AWAY = range(2)
_STAY_AWAKE = not config.DISABLE_JIT


def new_count() -> Any:
    """Return a count that threads watch: 0, and for how many turns more who waited for it leaves others alone, 0."""
    return np.zeros(2, np.int64)


@kernel
def _watch(counted, offers, goal, turns):  # type: ignore[no-untyped-def]
    count(counted, COUNT)
    found = wait(offers, COUNT, goal, turns)
    if found and _STAY_AWAKE:
        for _ in range(offers[STAY_AWAY]):
            _read(offers, COUNT)  # as in the other turns: nothing is left of an empty loop where there is no pause
            _pause()
    return found


@kernel
def enter(call):  # type: ignore[no-untyped-def]
    """Say that this thread is in a kernel that others are welcome to: see `_threads.Call`."""
    count(call.rung, COUNT)


@kernel
def leave(call):  # type: ignore[no-untyped-def]
    """Say that this thread is done with a kernel's arrays; who helped looks out for what is offered next."""
    _watch(call.left, call.offers, call.goal, call.turns)


def watch(counted: Any, number: Any, goal: int, turns: int) -> bool:
    """Count in `counted`; then wait until `number` comes to `goal`, for so many turns at most; return whether it does.

    Both are `new_count`. The interpreter is free meanwhile, and before the count: who waits for that finds it so. With
    the JIT off nobody stays awake.
    """
    return bool(_watch(counted, number, goal, turns))


@cache
def turns_in(seconds: float) -> int:
    """Return how many turns of :func:`watch` take about that long on this machine."""
    counted, number, tried = new_count(), new_count(), 1000
    took = []
    for _ in range(4):  # the first compiles
        start = time.perf_counter()
        watch(counted, number, 1, tried)
        took.append(time.perf_counter() - start)
    return int(tried * seconds / min(took))
