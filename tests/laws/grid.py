"""Names of the conformance kit."""

from numkan.conformance.cases import GridCase as GridCase
from numkan.conformance.laws.grids import preserved as preserved
