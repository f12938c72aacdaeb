"""The laws as tests: ``pytest --pyargs numkan.conformance --adapter package.module:adapter``, one test a law."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from numkan.conformance.__main__ import read_known
from numkan.conformance.bench import Bench, Child
from numkan.conformance.laws import LAWS
from numkan.conformance.runner import EXAMPLES, examined
from numkan.conformance.scope import AdapterError


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Return a process for the adapter that ``--adapter`` names, in the current folder or installed."""
    target = request.config.getoption("--adapter", default=None)
    if target is None:
        pytest.skip("no adapter: give one with --adapter package.module:name")
    folder = str(request.config.invocation_params.dir)
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        child = Child(target)
    except AdapterError as error:
        pytest.exit(str(error), returncode=2)
    with child:
        yield child


@pytest.fixture(scope="session")
def known(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the laws that the file of ``--known`` lists."""
    path = request.config.getoption("--known", default=None)
    try:
        return read_known(path) if path else {}
    except ValueError as error:
        pytest.exit(str(error), returncode=2)


@pytest.mark.parametrize("id", LAWS)
def test_law(id: str, bench: Bench, known: dict[str, str]) -> None:
    """The law holds, or is not claimed, or is known to fail."""
    expected = {id: known[id]} if id in known else {}
    (result,) = examined(bench, [LAWS[id]], soak=0.0, seed=0, examples=EXAMPLES, known=expected).results
    if result.outcome == "NOT CLAIMED":
        pytest.skip(result.message)
    if result.outcome == "KNOWN":
        pytest.xfail(result.message)
    if result.outcome == "FAIL":
        numbers = "".join(f"\n    {name} = {value}" for name, value in (result.example or {}).items())
        pytest.fail(f"{result.line}\n{result.law.statement}{numbers}", pytrace=False)
