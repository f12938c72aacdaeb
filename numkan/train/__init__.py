"""Training: stages of grids, what optimizers are run on, early stopping, and the record of it all."""

from numkan.train.fit import fit as fit
from numkan.train.history import FitResult as FitResult
from numkan.train.history import FitState as FitState
from numkan.train.history import FitStatus as FitStatus
from numkan.train.history import History as History
from numkan.train.history import Stage as Stage

__all__ = ["FitResult", "FitState", "FitStatus", "History", "Stage", "fit"]
