"""Functions take few arguments: what belongs together is a named tuple, whose fields are described once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import numkan

PACKAGE = Path(numkan.__file__).parent

#: Arguments by position, of kernels and of other functions; further ones must be named by the caller.
MOST = 8


def long_signatures(source: str) -> Iterator[str]:
    """Return the functions of a source that take more arguments by position than they may."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
            if len(names) - (names[:1] in (["self"], ["cls"])) > MOST:
                yield node.name


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_functions_take_at_most_8_arguments_by_position(path: Path) -> None:
    assert not list(long_signatures(path.read_text(encoding="utf-8")))


def test_long_signatures_are_found_wherever_they_stand() -> None:
    arguments = ", ".join("abcdefghi")
    inside = f"def factory():\n    @kernel\n    def long({arguments}): pass\n"
    method = f"class A:\n    def method(self, {arguments[:-3]}): pass\n    def long(self, {arguments}): pass\n"
    named = f"def named(a, *, {arguments[3:]}, j): pass\n"
    assert list(long_signatures(inside + method + named)) == ["long", "long"]
