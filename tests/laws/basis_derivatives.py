"""Names of the conformance kit."""

from numkan.conformance.laws.derivatives import worst_derivative_error as worst_derivative_error
