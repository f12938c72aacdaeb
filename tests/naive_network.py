"""Slow twins of layers, networks and losses: those of the conformance kit."""

from numkan.conformance.adapter import KINDS as KINDS
from numkan.conformance.adapter import Layer as Layer
from numkan.conformance.network_twin import LOSSES as LOSSES
from numkan.conformance.network_twin import STEP as STEP
from numkan.conformance.network_twin import activations as activations
from numkan.conformance.network_twin import backward as backward
from numkan.conformance.network_twin import edges as edges
from numkan.conformance.network_twin import forward as forward
from numkan.conformance.network_twin import jacobian as jacobian
from numkan.conformance.network_twin import jacobian_sizes as jacobian_sizes
from numkan.conformance.network_twin import loss_slope as loss_slope
from numkan.conformance.network_twin import mse as mse
from numkan.conformance.network_twin import network_forward as network_forward
from numkan.conformance.network_twin import network_jacobian as network_jacobian
from numkan.conformance.network_twin import pack as pack
from numkan.conformance.network_twin import pack_tangent as pack_tangent
from numkan.conformance.network_twin import prepare as prepare
from numkan.conformance.network_twin import pull_back as pull_back
from numkan.conformance.network_twin import sizes as sizes
from numkan.conformance.network_twin import tangent as tangent
from numkan.conformance.network_twin import unpack_gradient as unpack_gradient
from numkan.conformance.twin import basis as basis
