"""Networks: layers in a row, losses, and derivatives by parameters and inputs."""

from numkan.model.frozen import FrozenKAN as FrozenKAN
from numkan.model.losses import LOSSES as LOSSES
from numkan.model.network import Network as Network

__all__ = ["LOSSES", "FrozenKAN", "Network"]
