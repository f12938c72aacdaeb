"""The oracle at the top of the ladder: that of the conformance kit."""

from numkan.conformance.exact import basis as basis
from numkan.conformance.exact import curve as curve
from numkan.conformance.exact import insert as insert
from numkan.conformance.exact import left_span as left_span
from numkan.conformance.exact import magnitudes as magnitudes
from numkan.conformance.exact import rational as rational
from numkan.conformance.exact import span as span
