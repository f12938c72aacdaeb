"""Names of the conformance kit."""

from numkan.conformance.twin import loss_sizes as loss_sizes
