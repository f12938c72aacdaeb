"""The conformance kit: laws for any implementation of B-splines or KANs, by which numkan itself is checked.

Write an adapter, an object with a method ``basis(x, knots, k)`` and methods for whatever else your implementation has
(:mod:`numkan.conformance.adapter` describes the arguments and results of each), and check it in one of three ways::

    python -m numkan.conformance package.module:adapter
    numkan.conformance.check(adapter)                                        # returns a report
    pytest --pyargs numkan.conformance --adapter package.module:adapter      # one test a law

A law that does not hold is reported with the worst error in units of its bound, and with the smallest case that
breaks it, in plain numbers. Methods that an adapter lacks are not failures. Choices, such as the values outside the
domain, are declared by the adapter.

Expected values do not come from numkan, but from rational arithmetic (:mod:`numkan.conformance.exact`) and from slow
twins in NumPy (:mod:`numkan.conformance.twin`, :mod:`numkan.conformance.network_twin`). numkan's own adapter is
:mod:`numkan.conformance.own`.
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
