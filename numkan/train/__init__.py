"""Training: stages of grids, objectives of optimizers, early stopping, and the record of a fit."""

from numkan.train.fit import fit as fit
from numkan.train.history import FitResult as FitResult
from numkan.train.history import FitState as FitState
from numkan.train.history import FitStatus as FitStatus
from numkan.train.history import History as History
from numkan.train.history import Stage as Stage

__all__ = ["FitResult", "FitState", "FitStatus", "History", "Stage", "fit"]
