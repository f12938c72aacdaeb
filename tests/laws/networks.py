"""Names of the conformance kit."""

from numkan.conformance.cases import NetworkCase as NetworkCase
from numkan.conformance.laws.gradients import contracted as contracted
