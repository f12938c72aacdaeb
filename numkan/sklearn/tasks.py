"""What networks are fitted to, and how their outputs are judged: numbers by squares, classes by the log of p."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from numkan.kan import KAN

__all__ = ["Classes", "Numbers", "Task", "answers", "softmax"]

Floats = NDArray[np.float64]

_LEAST = 1e-12  # of a probability whose logarithm counts


@dataclass(frozen=True)
class Task:
    """Inputs (n, n_in), targets, and weights (n,) of the samples."""

    z: Floats
    goal: NDArray[Any]
    weight: Floats
    n_out: int
    senses: tuple[int, ...] | None = None  # of the inputs: whether outputs rise or fall with them

    @property
    def loss(self) -> str:
        """The name of the loss of the fits."""
        return "mse"

    @property
    def n_answers(self) -> int:
        """How many numbers a network answers with."""
        return self.n_out

    def __len__(self) -> int:
        return len(self.z)

    def take(self, rows: NDArray[Any]) -> Self:
        """Return some samples."""
        return replace(self, z=self.z[rows], goal=self.goal[rows], weight=self.weight[rows])

    @property
    def given_weight(self) -> Floats | None:
        """The weights, None where they are all the same."""
        return None if (self.weight == self.weight[0]).all() else self.weight

    @staticmethod
    def answer(outputs: Floats) -> Floats:
        """Return what a network says (n, n_out), given its outputs."""
        return outputs

    def constant(self) -> Floats:
        """Return the best answer that is the same for all samples (n_answers,)."""
        raise NotImplementedError

    def losses(self, answer: Floats) -> Floats:
        """Return the loss of every sample (n,)."""
        raise NotImplementedError


class Numbers(Task):
    """Targets (n, n_out), of mean 0 and deviation 1."""

    def constant(self) -> Floats:
        """Return the mean of the targets."""
        mean: Floats = np.average(self.goal, axis=0, weights=self.weight)
        return mean

    def losses(self, answer: Floats) -> Floats:
        """Return squares of the errors, averaged over the outputs."""
        squares: Floats = np.square(answer - self.goal).mean(axis=1)
        return squares


class Classes(Task):
    """Places of classes (n,); networks answer with probabilities.

    Of two classes, networks have one output: the logarithm of the odds of the second.
    """

    @property
    def loss(self) -> str:
        """The name of the loss of the fits."""
        return "logistic" if self.n_out == 1 else "cross_entropy"

    @property
    def n_answers(self) -> int:
        """How many probabilities a network answers with."""
        return max(self.n_out, 2)

    @staticmethod
    def answer(outputs: Floats) -> Floats:
        """Return the softmax of every row (n, n_classes), where one output stands beside 0."""
        return softmax(np.insert(outputs, 0, 0.0, axis=1) if outputs.shape[1] == 1 else outputs)

    def constant(self) -> Floats:
        """Return the share of each class."""
        share: Floats = np.bincount(self.goal, self.weight, self.n_answers) / self.weight.sum()
        return share

    def losses(self, answer: Floats) -> Floats:
        """Return minus the logarithm of the probability of what came true."""
        said = answer[np.arange(len(self)), self.goal]
        loss: Floats = -np.log(np.maximum(said, _LEAST))
        return loss


def softmax(outputs: Floats) -> Floats:
    """Return the softmax of every row."""
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def answers(task: type[Task], model: KAN, z: Floats) -> Floats:
    """Return what a network says at inputs (n, n_in)."""
    return task.answer(np.asarray(model(z), np.float64))
