"""Names of the conformance kit."""

from numkan.conformance.laws.values import worst_relative_error as worst_relative_error
