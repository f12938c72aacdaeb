"""The options of ``pytest --pyargs numkan.conformance``; a package of its own, so that pytest starts without numkan."""

from typing import Any


def pytest_addoption(parser: Any) -> None:
    """Add what names the adapter and its known failures."""
    group = parser.getgroup("numkan", "numkan.conformance")
    group.addoption("--adapter", metavar="package.module:name", help="what to hold to the laws of numkan.conformance")
    group.addoption("--known", metavar="FILE", help='lines of "id: reason" for laws that the adapter is known to break')
