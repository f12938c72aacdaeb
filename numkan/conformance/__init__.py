"""The referee: laws that any implementation of B-splines or KANs can be checked with, and that numkan is checked with.

Write an adapter, an object with a method ``basis(x, knots, k)`` and whatever else your implementation has
(:mod:`numkan.conformance.adapter` says what each method gets and returns), and hold it to the laws through one of
three doors::

    python -m numkan.conformance package.module:adapter
    numkan.conformance.check(adapter)                                        # returns a report
    pytest --pyargs numkan.conformance --adapter package.module:adapter      # one test a law

A law that does not hold is reported with the worst error in units of its bound, and with the smallest case that
breaks it, in plain numbers. What an adapter does not have is not held against it; what it has to decide, such as the
values outside the domain, it declares.

Nothing here trusts numkan: truth comes from rational arithmetic (:mod:`numkan.conformance.exact`) and from slow twins
in NumPy (:mod:`numkan.conformance.twin`). numkan's own adapter is :mod:`numkan.conformance.own`.
"""

from numkan.conformance.adapter import Adapter as Adapter
from numkan.conformance.adapter import Layer as Layer
from numkan.conformance.law import Law as Law
from numkan.conformance.laws import LAWS as LAWS
from numkan.conformance.report import Report as Report
from numkan.conformance.report import Result as Result
from numkan.conformance.runner import check as check
from numkan.conformance.runner import replay as replay
from numkan.conformance.scope import AdapterError as AdapterError

__all__ = ["LAWS", "Adapter", "AdapterError", "Law", "Layer", "Report", "Result", "check", "replay"]
