"""Names of the conformance kit."""

from numkan.conformance.network_twin import loss_sizes as loss_sizes
