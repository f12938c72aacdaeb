"""What happens while a kernel compiles: signals wait for its end, and a long wait is explained once."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numba import config
from numba.core.codegen import JITCodeLibrary

from numkan._interrupt import uninterrupted
from numkan.compile import cache, compilers, kernel
from numkan.compile import notice as notices


@pytest.fixture(autouse=True)
def cache_root(tmp_path, monkeypatch):
    """Compile in this process, even where the JIT is off, with an empty cache."""
    monkeypatch.setattr(config, "DISABLE_JIT", 0)
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_warned", set())
    cache._folder.cache_clear()
    yield tmp_path / "cache"
    cache._folder.cache_clear()


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C as in a terminal: what a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def doubled() -> Any:
    @kernel
    def double(x, out):
        for i in range(x.size):
            out[i] = x[i] + x[i]

    return double


def result(f: Any) -> list[float]:
    out = np.empty(3)
    f(np.arange(1.0, 4), out)
    return out.tolist()


def kernels(root: Any) -> list[Any]:
    return list(root.rglob("*.kernel"))


# --- signals ------------------------------------------------------------------------------------------------------


class Interrupting:
    """An attribute of libraries that LLVM's callback sets to True, as it hands over machine code: so comes Ctrl-C."""

    def __get__(self, library: Any, owner: Any) -> bool:
        return library.__dict__["_compiled"]

    def __set__(self, library: Any, value: bool) -> None:
        if value:
            signal.raise_signal(signal.SIGINT)
        library.__dict__["_compiled"] = value


def test_ctrl_c_while_llvm_hands_over_machine_code_comes_when_the_kernel_is_done(monkeypatch, cache_root, ctrl_c):
    monkeypatch.setattr(compilers._KernelLibrary, "_compiled", Interrupting(), raising=False)
    assert_interrupted_afterwards(cache_root)


def test_ctrl_c_while_types_are_inferred_comes_when_the_kernel_is_done(monkeypatch, cache_root, ctrl_c):
    define = compilers.KernelCompiler.define_pipelines

    def interrupted(compiler: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return define(compiler)

    monkeypatch.setattr(compilers.KernelCompiler, "define_pipelines", interrupted)
    assert_interrupted_afterwards(cache_root)


def assert_interrupted_afterwards(cache_root: Any) -> None:
    f = doubled()
    with pytest.raises(KeyboardInterrupt):
        result(f)
    assert len(f.signatures) == len(kernels(cache_root)) == 1
    assert result(f) == [2, 4, 6]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_machine_code_that_went_astray_is_used_but_not_kept(monkeypatch, cache_root):
    def astray(library: Any) -> Any:
        raise RuntimeError("no compiled object yet")

    monkeypatch.setattr(JITCodeLibrary, "_get_compiled_object", astray)
    assert result(doubled()) == [2, 4, 6]
    assert kernels(cache_root) == []


def test_signals_that_are_held_back_are_all_handled_even_where_one_raises(ctrl_c):
    came: list[int] = []

    def raise_both_twice() -> None:
        with uninterrupted():
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                signal.raise_signal(number)
            assert not came

    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        with pytest.raises(KeyboardInterrupt):
            raise_both_twice()
        assert came == [signal.SIGTERM]
        signal.raise_signal(signal.SIGTERM)
        assert len(came) == 2
    finally:
        signal.signal(signal.SIGTERM, before)


def test_within_another_one_signals_come_after_the_inner_one(ctrl_c):
    done = []

    def nested() -> None:
        with uninterrupted():
            with uninterrupted():
                signal.raise_signal(signal.SIGINT)
                done.append("inner")
            done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        nested()
    assert done == ["inner"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# --- the notice ---------------------------------------------------------------------------------------------------


@pytest.fixture
def notice(monkeypatch: pytest.MonkeyPatch) -> notices._Notice:
    fresh = notices._Notice()
    monkeypatch.setattr(compilers, "notice", fresh)
    return fresh


def test_a_long_time_of_compiling_is_explained_in_one_line_once(notice, cache_root, capsys):
    result(doubled())
    assert capsys.readouterr() == ("", "")
    notice.patience = 0.0
    result(doubled())  # loads
    assert capsys.readouterr() == ("", "")
    for dtype in (np.float32, np.int64):
        doubled()(np.ones(3, dtype), np.ones(3, dtype))
    said = capsys.readouterr()
    assert said.out == ""
    assert (
        said.err == f"numkan compiles kernels for this machine (once: later runs load them from {cache_root}/numkan).\n"
    )


def test_time_is_added_up_over_kernels_and_counted_once_where_one_calls_another(notice, monkeypatch):
    now = 10.0
    monkeypatch.setattr(notices.time, "perf_counter", lambda: now)
    with notice.compiling():
        now += 1.0
        with notice.compiling():
            now += 1.0
    now += 100.0
    assert notice.is_due
    with notice.compiling():
        now += 0.9
    assert notice.is_due
    with notice.compiling():
        now += 0.2
        with notice.compiling():
            assert not notice.is_due


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, closed()])
def test_without_a_stderr_nothing_is_said_and_nothing_fails(stream, notice, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", stream)
    notice.patience = 0.0
    with notice.compiling():
        pass
    assert not notice.is_due
    assert capsys.readouterr() == ("", "")
