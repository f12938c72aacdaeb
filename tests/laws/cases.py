"""Names of the conformance kit."""

from numkan.conformance.points import interior as interior
from numkan.conformance.points import middles as middles
from numkan.conformance.points import probes as probes
from numkan.conformance.points import with_more_knots as with_more_knots
