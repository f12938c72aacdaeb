"""A judge of samples and an engine that stands for a search, for tests of how a formula is chosen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from numkan.symbolic import LIBRARY
from numkan.symbolic.judge import Judge
from numkan.symbolic.symbols import python_text, symbols_for, to_sympy


def judge_of(x: Any, y: Any) -> Judge:
    return Judge(x, y, None, lambda: False)


def engine_of(judge: Judge, noisy: bool) -> Any:
    return SimpleNamespace(judge=judge, noisy=noisy, settings=SimpleNamespace(functions=LIBRARY))


def text(node: Any) -> str:
    return python_text(to_sympy(node, symbols_for(["a", "b", "c"], [0.5, 0.5, 0.5])))
