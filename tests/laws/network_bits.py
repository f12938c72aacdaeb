"""Names of the conformance kit."""

from numkan.conformance.laws.bits import containers as containers
