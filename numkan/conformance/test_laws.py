"""The pytest door: ``pytest --pyargs numkan.conformance --adapter package.module:adapter``, one test a law."""

from __future__ import annotations

from typing import Any

import pytest

from numkan.conformance.__main__ import imported, read_known
from numkan.conformance.laws import LAWS
from numkan.conformance.runner import check


@pytest.fixture(scope="session")
def adapter(request: pytest.FixtureRequest) -> Any:
    """Return what ``--adapter`` names."""
    target = request.config.getoption("--adapter", default=None)
    if target is None:
        pytest.skip("no adapter: give one with --adapter package.module:name")
    return imported(target)


@pytest.fixture(scope="session")
def known(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return what the file of ``--known`` lists."""
    path = request.config.getoption("--known", default=None)
    return read_known(path) if path else {}


@pytest.mark.parametrize("id", LAWS)
def test_law(id: str, adapter: Any, known: dict[str, str]) -> None:
    """The law holds, or is not claimed, or is known to fail."""
    (result,) = check(adapter, only=[id], known={id: known[id]} if id in known else {}).results
    if result.outcome == "NOT CLAIMED":
        pytest.skip(result.message)
    if result.outcome == "KNOWN":
        pytest.xfail(result.message)
    if result.outcome == "FAIL":
        numbers = "".join(f"\n    {name} = {value}" for name, value in (result.example or {}).items())
        pytest.fail(f"{result.line}\n{result.law.statement}{numbers}", pytrace=False)
